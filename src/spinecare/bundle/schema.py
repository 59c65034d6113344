"""The description of a model bundle: frozen values <-> `bundle.json`, format 1.

A bundle is a folder: `bundle.json`, the members' ONNX files, `heads.safetensors` with the linear heads,
and `card.md`. `parse_spec` checks every field before anything is opened; `seal` writes the JSON with the
SHA-256 of every file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast, get_args

from spinecare.bundle.fields import UPGRADE, Fields, is_plain_file_name
from spinecare.errors import BundleError
from spinecare.scan import LABELS, LEVEL_NAMES
from spinecare.settings import Denoise, PrepareSettings

FORMAT = 1
SPEC_FILE = "bundle.json"
HEADS_FILE = "heads.safetensors"
CARD_FILE = "card.md"
CLASSES: tuple[str, ...] = tuple(label.value for label in LABELS)

# Classes of the level network, in order.
PARTS: tuple[str, ...] = ("background", *LEVEL_NAMES, "above", "below")

MemberKind = Literal["deep", "deep_forest"]


@dataclass(frozen=True)
class MemberSpec:
    """One member of the ensemble.

    kind
        `deep`: softmax of the network's logits. `deep_forest`: the network's features, averaged over
        the map, go through a random forest; the network keeps its linear head for class maps.
    inputs
        What the member reads; `image` alone in this version.
    model, forest
        ONNX files in the bundle's folder; `forest` for `deep_forest` only.
    precision
        How the weights are stored, such as `int8`. Told, not used.
    threads
        The thread count that the trainer measured with. Told; the setting of the reader decides.
    """

    name: str
    kind: MemberKind
    model: str
    forest: str | None = None
    precision: str = "float32"
    inputs: tuple[str, ...] = ("image",)
    threads: int = 1


@dataclass(frozen=True)
class StackSpec:
    """Level 1: multinomial logistic regression on the members' log probabilities.

    `coef` (3, 3 x members) in the order of `inputs`, `intercept` (3,). With x the concatenated
    log(clip(p, 1e-6, 1)) of the members, the stack says softmax(coef @ x + intercept).
    """

    inputs: tuple[str, ...]
    coef: tuple[tuple[float, ...], ...]
    intercept: tuple[float, ...]
    kind: str = "logistic_regression"
    transform: str = "log"


@dataclass(frozen=True)
class CalibrationSpec:
    """Temperature scaling: softmax(log(p) / temperature)."""

    temperature: float
    method: str = "temperature"


@dataclass(frozen=True)
class ConformalSpec:
    """The prediction set: every class with 1 - p <= threshold, and always the likeliest one.

    `coverage` is what was aimed at; `method` says how and on which data the threshold was found.
    """

    coverage: float
    threshold: float
    method: str


@dataclass(frozen=True)
class LevelsSpec:
    """The network that finds L1-L4 where no operator marked them.

    model
        ONNX file in the bundle's folder: `image` float32 (n, 1, rows, cols) in [0, 1] to `probabilities` float32
        (n, 7, h, w) of the classes of `PARTS`.
    rows, cols
        Of the whole scan as the network takes it.
    least_agreement
        In [0, 1]: levels of which less of the bone agrees with their number are not told.
    surest
        The confidence of the surest levels: as often as numbers were right where they were compared.
    metrics
        What was measured after training, on which scans.
    """

    model: str
    rows: int
    cols: int
    least_agreement: float
    surest: float
    trained_on: str
    precision: str = "float32"
    classes: tuple[str, ...] = PARTS
    metrics: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class StartingWeights:
    """Where a member's weights started, if not at random."""

    member: str
    origin: str


@dataclass(frozen=True)
class BundleSpec:
    """The whole of `bundle.json`.

    prevalence, assumed_prevalence
        Class shares in training, and those the answers are for: p' is p x assumed / prevalence, made
        to add up to 1, after calibration.
    threshold
        Osteoporosis is yes when p'(osteoporosis) >= threshold; `threshold_rule` says how it was found.
    levels
        The level network, or None: levels are then found by image processing.
    files
        File name -> SHA-256 (lower-case hex) of every file but `bundle.json`.
    """

    name: str
    version: str
    prepare: PrepareSettings
    members: tuple[MemberSpec, ...]
    stack: StackSpec
    calibration: CalibrationSpec
    prevalence: dict[str, float]
    assumed_prevalence: dict[str, float]
    threshold: float
    threshold_rule: str
    conformal: ConformalSpec
    intended_use: str
    trained_on: str
    created: str
    starting_weights: tuple[StartingWeights, ...] = ()
    metrics: Mapping[str, Any] | None = None
    files: Mapping[str, str] | None = None
    levels: LevelsSpec | None = None

    def to_json(self) -> dict[str, Any]:
        """The document of `bundle.json` as plain JSON values, in the order people read it."""
        body = asdict(self)
        # JSON members carry `forest` only where there is one.
        body["members"] = [{k: v for k, v in m.items() if v is not None} for m in body["members"]]
        body["metrics"] = dict(self.metrics or {})
        body["files"] = dict(self.files or {})
        if self.levels is None:
            del body["levels"]
        else:
            body["levels"]["metrics"] = dict(self.levels.metrics or {})
        head = {k: body.pop(k) for k in ("name", "version")}
        plain = {"format": FORMAT, **head, "classes": list(CLASSES), **body}
        return cast(dict[str, Any], json.loads(json.dumps(plain, allow_nan=False)))


def parse_spec(document: Any) -> BundleSpec:
    """Check a parsed `bundle.json` field by field.

    Parameters
    ----------
    document
        What `json.loads` returned.

    Raises
    ------
    BundleError
        With the first field that is missing, wrong, contradictory or unknown to this version.
    """
    # The format comes first: another one may differ in everything else.
    version = document.get("format") if isinstance(document, dict) else None
    if isinstance(document, dict) and version != FORMAT:
        raise BundleError(
            f"bundle.json: format is {version!r}; this version of SpineCare reads format {FORMAT}. {UPGRADE}"
        )
    top = Fields(document, "", _TOP_KEYS)
    if tuple(top.texts("classes")) != CLASSES:
        raise top.error("classes", f"must be {', '.join(CLASSES)}, in this order")
    members = tuple(_member(item, i) for i, item in enumerate(top.items("members")))
    names = [m.name for m in members]
    if len(set(names)) != len(names):
        raise top.error("members", "holds two members with one name")
    metrics = top.raw("metrics")
    if not isinstance(metrics, dict):
        raise top.error("metrics", "must be a JSON object")
    spec = BundleSpec(
        name=top.text("name"),
        version=top.text("version"),
        prepare=_prepare(top.raw("prepare")),
        members=members,
        stack=_stack(top.raw("stack"), names),
        calibration=_calibration(top.raw("calibration")),
        prevalence=top.probabilities("prevalence", CLASSES),
        assumed_prevalence=top.probabilities("assumed_prevalence", CLASSES),
        threshold=top.number("threshold", 0.0, 1.0),
        threshold_rule=top.text("threshold_rule"),
        conformal=_conformal(top.raw("conformal")),
        intended_use=top.text("intended_use"),
        trained_on=top.text("trained_on"),
        created=top.text("created"),
        starting_weights=_starting_weights(top),
        metrics=metrics,
        files=top.hashes("files"),
        levels=parse_levels(top.raw("levels")) if top.has("levels") else None,
    )
    _check_files(spec, top)
    return spec


def needed_files(spec: BundleSpec) -> tuple[str, ...]:
    """The files that a bundle must have beside `bundle.json`."""
    models = [f for m in spec.members for f in (m.model, m.forest) if f is not None]
    return (*models, *([spec.levels.model] if spec.levels else []), HEADS_FILE, CARD_FILE)


def sha256_of(path: Path) -> str:
    """SHA-256 of a whole file, in lower-case hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def seal(spec: BundleSpec, folder: Path) -> BundleSpec:
    """Hash every file in `folder` and write `bundle.json`: the last step of an export.

    Returns the spec with `files` filled in.

    Raises
    ------
    BundleError
        When the spec would not load again, or a file that it names is not there.
    """
    files = {p.name: sha256_of(p) for p in sorted(folder.iterdir()) if p.is_file() and p.name != SPEC_FILE}
    sealed = replace(spec, files=files)
    document = sealed.to_json()
    parse_spec(document)
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / SPEC_FILE).write_text(text + "\n", encoding="utf-8")
    return sealed


_TOP_KEYS = (
    "format", "name", "version", "classes", "prepare", "members", "stack", "calibration", "prevalence",
    "assumed_prevalence", "threshold", "threshold_rule", "conformal", "intended_use", "trained_on",
    "starting_weights", "metrics", "created", "files", "levels",
)  # fmt: skip


def _prepare(value: Any) -> PrepareSettings:
    fields = Fields(value, "prepare", ("height", "width", "denoise"))
    return PrepareSettings(
        height=fields.whole("height", 32, 1024, UPGRADE),
        width=fields.whole("width", 32, 1024, UPGRADE),
        denoise=cast(Denoise, fields.text("denoise", get_args(Denoise), UPGRADE)),
    )


def _member(value: Any, index: int) -> MemberSpec:
    allowed = ("name", "kind", "inputs", "model", "forest", "precision", "threads")
    fields = Fields(value, f"members[{index}]", allowed)
    kind = cast(MemberKind, fields.text("kind", get_args(MemberKind), UPGRADE))
    inputs = fields.texts("inputs")
    if inputs != ("image",):
        raise fields.error("inputs", f"is {', '.join(inputs)}; this version gives members the image", UPGRADE)
    if (kind == "deep_forest") != fields.has("forest"):
        raise fields.error("forest", "must be given for a deep_forest member, and only for one")
    return MemberSpec(
        name=fields.text("name"),
        kind=kind,
        model=fields.file_name("model"),
        forest=fields.file_name("forest") if fields.has("forest") else None,
        precision=fields.text("precision"),
        inputs=inputs,
        threads=fields.whole("threads", 1, 256) if fields.has("threads") else 1,
    )


def _stack(value: Any, members: list[str]) -> StackSpec:
    fields = Fields(value, "stack", ("kind", "inputs", "transform", "coef", "intercept"))
    inputs = fields.texts("inputs")
    strangers = [name for name in inputs if name not in members]
    if strangers:
        raise fields.error("inputs", f"names {strangers[0]!r}, which is not a member")
    classes = len(CLASSES)
    return StackSpec(
        inputs=inputs,
        coef=fields.matrix("coef", classes, classes * len(inputs)),
        intercept=fields.numbers("intercept", classes),
        kind=fields.text("kind", ("logistic_regression",), UPGRADE),
        transform=fields.text("transform", ("log",), UPGRADE),
    )


def _calibration(value: Any) -> CalibrationSpec:
    fields = Fields(value, "calibration", ("method", "temperature"))
    method = fields.text("method", ("temperature",), UPGRADE)
    return CalibrationSpec(temperature=fields.number("temperature", 0.0, 1e3), method=method)


def _conformal(value: Any) -> ConformalSpec:
    fields = Fields(value, "conformal", ("coverage", "threshold", "method"))
    # LAC's score 1 - p lies in [0, 1], so both ends are thresholds that calibration can give.
    threshold = fields.number("threshold", -1e-12, 1.0 + 1e-12)
    return ConformalSpec(
        coverage=fields.number("coverage", 0.0, 1.0), threshold=threshold, method=fields.text("method")
    )


def parse_levels(value: Any) -> LevelsSpec:
    """Check the `levels` entry of a bundle.

    Raises
    ------
    BundleError
        With the first field that is missing, wrong or unknown to this version.
    """
    known = ("model", "rows", "cols", "least_agreement", "surest", "trained_on", "precision", "classes", "metrics")
    fields = Fields(value, "levels", known)
    if fields.texts("classes") != PARTS:
        raise fields.error("classes", f"must be {', '.join(PARTS)}, in this order", UPGRADE)
    metrics = fields.raw("metrics")
    if not isinstance(metrics, dict):
        raise fields.error("metrics", "must be a JSON object")
    return LevelsSpec(
        model=fields.file_name("model"),
        rows=fields.whole("rows", 32, 1024, UPGRADE),
        cols=fields.whole("cols", 32, 1024, UPGRADE),
        least_agreement=fields.number("least_agreement", 0.0, 1.0),
        surest=fields.number("surest", 0.0, 1.0),
        trained_on=fields.text("trained_on"),
        precision=fields.text("precision"),
        metrics=metrics,
    )


def _starting_weights(top: Fields) -> tuple[StartingWeights, ...]:
    values = top.raw("starting_weights")
    if not isinstance(values, list):
        raise top.error("starting_weights", "must be a list (empty when every member started at random)")
    found = []
    for i, value in enumerate(values):
        fields = Fields(value, f"starting_weights[{i}]", ("member", "origin"))
        found.append(StartingWeights(member=fields.text("member"), origin=fields.text("origin")))
    return tuple(found)


def _check_files(spec: BundleSpec, top: Fields) -> None:
    listed = spec.files or {}
    for name in needed_files(spec):
        if not is_plain_file_name(name) or name not in listed:
            raise top.error("files", f"does not list {name!r}, which the bundle needs")
    if SPEC_FILE in listed:
        raise top.error("files", f"lists {SPEC_FILE} itself, which cannot hold its own hash")
