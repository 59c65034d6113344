"""Opens a model bundle: every byte is verified before anything is opened."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import safetensors
import safetensors.numpy

from spinecare.bundle.schema import (
    CLASSES,
    HEADS_FILE,
    SPEC_FILE,
    BundleSpec,
    LevelsSpec,
    MemberSpec,
    needed_files,
    parse_spec,
)
from spinecare.errors import BundleError
from spinecare.settings import RuntimeSettings

DEFAULT_FOLDER = Path(__file__).parent / "default"

# Kinds of file that hold weights: one of these that bundle.json doesn't list has no business there.
_WEIGHT_SUFFIXES = (".onnx", ".data", ".safetensors", ".ort")
_ASK_AGAIN = "Get the bundle again from where it came from, or use another."


@dataclass(frozen=True, eq=False)
class LevelNetwork:
    """The network that finds L1-L4, opened: its entry in the bundle and its session."""

    spec: LevelsSpec
    session: Any


@dataclass(frozen=True, eq=False)
class Bundle:
    """A verified bundle, ready to answer.

    sessions
        ONNX file name -> session. A member's network takes `image` float32 (n, 1, height, width) and
        gives `logits` (n, 3) and `features` (n, channels, h, w); a forest takes `features`
        (n, channels) and gives `probabilities` (n, 3).
    heads
        `<member>.weight` float32 (3, channels) and `<member>.bias` (3,): the linear heads.
    sha256
        Of the bytes of bundle.json, which holds the hash of everything else.
    """

    spec: BundleSpec
    sessions: dict[str, Any]
    heads: dict[str, npt.NDArray[np.float32]]
    folder: Path
    sha256: str

    @property
    def levels(self) -> LevelNetwork | None:
        """The network that finds L1-L4, or None where the bundle has none."""
        spec = self.spec.levels
        return None if spec is None else LevelNetwork(spec, self.sessions[spec.model])


def open_bundle(folder: str | Path | None = None, settings: RuntimeSettings | None = None) -> Bundle:
    """Verify a bundle's folder and open its sessions on the CPU.

    Parameters
    ----------
    folder
        The folder of the bundle; the one in the package when None.
    settings
        Threads of a session.

    Raises
    ------
    BundleError
        When a file is missing, changed or not listed, when a field of bundle.json is wrong or asks for
        what this version cannot do, or when a model does not have the inputs and outputs it should.
    """
    home = DEFAULT_FOLDER if folder is None else Path(folder)
    spec, text = _read_spec(home, default=folder is None)
    contents = _verified_contents(spec, home)
    # Sessions open from the very bytes that were hashed: a file swapped in between cannot slip in.
    sessions = {
        name: _open_session(name, contents[name], settings or RuntimeSettings())
        for name in dict.fromkeys(needed_files(spec))
        if name.endswith(".onnx")
    }
    bundle = Bundle(
        spec=spec,
        sessions=sessions,
        heads=_open_heads(contents[HEADS_FILE]),
        folder=home,
        sha256=hashlib.sha256(text).hexdigest(),
    )
    for member in spec.members:
        _check_member(bundle, member)
    if bundle.levels is not None:
        _check_levels(bundle.levels)
    return bundle


def open_levels(folder: str | Path | None = None, settings: RuntimeSettings | None = None) -> LevelNetwork | None:
    """Verify a bundle's folder and open its level network alone; None where the bundle has none.

    Raises
    ------
    BundleError
        As `open_bundle`.
    """
    home = DEFAULT_FOLDER if folder is None else Path(folder)
    spec, _ = _read_spec(home, default=folder is None)
    if spec.levels is None:
        return None
    contents = _verified_contents(spec, home)
    return open_level_network(spec.levels, contents[spec.levels.model], settings)


def open_level_network(spec: LevelsSpec, content: bytes, settings: RuntimeSettings | None = None) -> LevelNetwork:
    """A level network from the bytes of its ONNX file.

    Raises
    ------
    BundleError
        When the file cannot be opened or does not have the input and output that its entry tells.
    """
    network = LevelNetwork(spec, _open_session(spec.model, content, settings or RuntimeSettings()))
    _check_levels(network)
    return network


def _read_spec(home: Path, default: bool) -> tuple[BundleSpec, bytes]:
    text = _read(home / SPEC_FILE, home, default=default)
    try:
        document = json.loads(text.decode("utf-8"))
    except ValueError as error:
        raise BundleError(f"{home / SPEC_FILE} is not JSON ({error}). {_ASK_AGAIN}") from error
    return parse_spec(document), text


def _read(path: Path, home: Path, default: bool = False) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        if default:
            raise BundleError(
                "This installation has no default model bundle. Make one with `spinecare default-train`, "
                "or name one with --bundle."
            ) from error
        if path.name == SPEC_FILE:
            raise BundleError(f"{home} is not a model bundle: there is no {SPEC_FILE} in it.") from error
        raise BundleError(f"The bundle {home} lacks its file {path.name}. {_ASK_AGAIN}") from error
    except OSError as error:
        raise BundleError(f"{path} cannot be read ({error.strerror}).") from error


def _verified_contents(spec: BundleSpec, home: Path) -> dict[str, bytes]:
    listed = dict(spec.files or {})
    for path in sorted(home.iterdir()):
        if path.suffix.lower() in _WEIGHT_SUFFIXES and path.name not in listed:
            raise BundleError(f"The bundle {home} holds {path.name}, which it does not list. {_ASK_AGAIN}")
    contents = {}
    for name, digest in listed.items():
        contents[name] = _read(home / name, home)
        if hashlib.sha256(contents[name]).hexdigest() != digest:
            raise BundleError(
                f"The file {name} of the bundle {home} was changed or damaged: its SHA-256 is not the one "
                f"in {SPEC_FILE}. {_ASK_AGAIN}"
            )
    return contents


def _open_session(name: str, content: bytes, settings: RuntimeSettings) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = settings.threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    # A member's idle threads must not spin on the cores that the next member needs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if b"QuantizeLinear" not in content:
        # Weights alone are int8 (`DequantizeLinear`, with its small q, and no quantised activations):
        # unfold them once here, not at every run. A VGG16 at 192 x 96 runs a fifth faster for it.
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    try:
        return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has no common base of its own exceptions
        raise BundleError(f"ONNX Runtime cannot open {name} of the bundle: {error}") from error


def _open_heads(content: bytes) -> dict[str, npt.NDArray[np.float32]]:
    try:
        heads: dict[str, npt.NDArray[np.float32]] = safetensors.numpy.load(content)
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise BundleError(f"{HEADS_FILE} of the bundle cannot be read: {error}") from error
    return heads


def _check_member(bundle: Bundle, member: MemberSpec) -> None:
    size = (bundle.spec.prepare.height, bundle.spec.prepare.width)
    network = bundle.sessions[member.model]
    inputs = {i.name: i.shape for i in network.get_inputs()}
    if set(inputs) != {"image"} or len(inputs["image"]) != 4 or not _fits(inputs["image"][1:], (1, *size)):
        raise BundleError(
            f"{member.model} must take one input `image` of (n, 1, {size[0]}, {size[1]}); it takes {inputs}."
        )
    outputs = {o.name: o.shape for o in network.get_outputs()}
    if not {"logits", "features"} <= set(outputs) or len(outputs["features"]) != 4:
        raise BundleError(f"{member.model} must give `logits` and `features` (a map); it gives {outputs}.")
    weight = bundle.heads.get(f"{member.name}.weight")
    bias = bundle.heads.get(f"{member.name}.bias")
    if weight is None or bias is None or weight.ndim != 2 or len(weight) != len(CLASSES):
        raise BundleError(f"{HEADS_FILE} must hold {member.name}.weight (3, channels) and {member.name}.bias.")
    channels = weight.shape[1]
    if bias.shape != (len(CLASSES),) or not _fits(outputs["features"][1:2], (channels,)):
        raise BundleError(f"The head of {member.name} does not fit the features of {member.model}.")
    if member.forest is not None:
        forest = bundle.sessions[member.forest]
        given = {i.name: i.shape for i in forest.get_inputs()}
        told = {o.name for o in forest.get_outputs()}
        if set(given) != {"features"} or "probabilities" not in told:
            raise BundleError(f"{member.forest} must take `features` and give `probabilities`.")
        if not _fits(given["features"][1:], (channels,)):
            raise BundleError(f"{member.forest} does not fit the features of {member.model}.")


def _check_levels(network: LevelNetwork) -> None:
    spec = network.spec
    inputs = {i.name: i.shape for i in network.session.get_inputs()}
    if (
        set(inputs) != {"image"}
        or len(inputs["image"]) != 4
        or not _fits(inputs["image"][1:], (1, spec.rows, spec.cols))
    ):
        raise BundleError(
            f"{spec.model} must take one input `image` of (n, 1, {spec.rows}, {spec.cols}); it takes {inputs}."
        )
    outputs = {o.name: o.shape for o in network.session.get_outputs()}
    told = outputs.get("probabilities", [])
    if len(told) != 4 or not _fits(told[1:2], (len(spec.classes),)):
        raise BundleError(
            f"{spec.model} must give `probabilities` of (n, {len(spec.classes)}, h, w); it gives {outputs}."
        )


def _fits(shape: list[Any], wanted: tuple[int, ...]) -> bool:
    # A dimension that the graph leaves open is a name or None.
    return len(shape) == len(wanted) and all(
        not isinstance(s, int) or s == w for s, w in zip(shape, wanted, strict=True)
    )
