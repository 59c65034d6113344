"""From fitted members to a bundle folder: ONNX, int8, heads, card, hashes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from spinecare.bundle.schema import HEADS_FILE, MemberSpec, StartingWeights
from spinecare.learn.data import Pictures
from spinecare.learn.export import (
    drift,
    export_network,
    first_convolution,
    run_network,
    session,
    store_int8_weights,
    to_int8,
)
from spinecare.learn.forest import forest_to_onnx
from spinecare.learn.level0 import Fitted
from spinecare.learn.networks import NETWORKS
from spinecare.learn.networks.vgg16 import ORIGIN
from spinecare.learn.recipe import MemberRecipe, TrainSettings
from spinecare.runtime.stack import softmax

CALIBRATION_PICTURES = 96
LARGEST_DRIFT = 0.02  # |Δp| that DESIGN 5.5 allows

Float = np.ndarray


@dataclass(frozen=True, eq=False)
class Packed:
    """One member in the bundle: its entry, its probabilities (n, 3) on the test part as shipped, its drift."""

    spec: MemberSpec
    said: Float
    drift: dict[str, Any]


def pack_member(
    recipe: MemberRecipe,
    fitted: Fitted,
    before: Float,
    pictures: Pictures,
    settings: TrainSettings,
    work: Path,
    bundle: Path,
) -> Packed:
    """Write one member's ONNX files into the bundle's folder, in the smallest form that keeps its answers.

    Forms are tried in this order, the first whose largest |Δp| over the test part is at most 0.02 stays (labels play
    no part in it): int8 throughout; int8 with the first convolution computed in float; weights stored
    as int8 and all computed in float. When all move an answer further, the one that moves it least stays;
    `metrics` tells how far.

    Parameters
    ----------
    before
        Probabilities (n, 3) of the float network in torch on the test part.
    """
    name = recipe.name
    plain = work / f"{name}.onnx"
    export_network(fitted.net, plain, settings.prepare.height, settings.prepare.width)
    forest_file = None
    if fitted.forest is not None:
        forest_file = f"{name}_forest.onnx"
        (bundle / forest_file).write_bytes(forest_to_onnx(fitted.forest).SerializeToString())
    test = pictures.images[pictures.part("test")]
    target = bundle / f"{name}.onnx"
    tried: dict[str, Any] = {}
    said, precision = before, "float32"
    forms = _forms(plain, pictures, settings)

    def written(form: str) -> Float:
        forms[form](target)
        return _says(target, bundle / forest_file if forest_file else None, test)

    for precision in forms:
        said = written(precision)
        tried[precision] = drift(before, said)
        if tried[precision]["max_abs_dp"] <= LARGEST_DRIFT:
            break
    else:
        precision = min(tried, key=lambda form: float(tried[form]["max_abs_dp"]))
        said = written(precision)
    spec = MemberSpec(name, NETWORKS[name].kind, target.name, forest_file, precision)
    return Packed(spec, said, {"precision": precision, **tried[precision], "tried": tried})


def _forms(plain: Path, pictures: Pictures, settings: TrainSettings) -> dict[str, Callable[[Path], None]]:
    if not settings.int8:
        return {"float32": lambda target: _copy(plain, target)}
    train = pictures.part("train")
    # Spread over the part, in its order: repeatable without another seed.
    chosen = train[np.linspace(0, len(train) - 1, min(CALIBRATION_PICTURES, len(train))).astype(int)]
    images = pictures.images[chosen]

    def whole(target: Path) -> None:
        to_int8(plain, target, images)

    def mixed(target: Path) -> None:
        to_int8(plain, target, images, (first_convolution(plain),))
        store_int8_weights(target, target)

    return {
        "int8": whole,
        "int8, first convolution computed in float": mixed,
        "int8-weights": lambda target: store_int8_weights(plain, target),
    }


def _copy(source: Path, target: Path) -> None:
    target.write_bytes(source.read_bytes())


def _says(network: Path, forest: Path | None, images: Float) -> Float:
    logits, pooled = run_network(network, images)
    if forest is None:
        return softmax(logits)
    p = np.asarray(session(forest).run(["probabilities"], {"features": pooled})[0], dtype=np.float64)
    return p / p.sum(axis=1, keepdims=True)


def write_heads(fitted: dict[str, Fitted], bundle: Path) -> None:
    """`heads.safetensors`: `<member>.weight` float32 (3, channels), `<member>.bias` (3,), for class maps."""
    tensors = {}
    for name, one in fitted.items():
        tensors[f"{name}.weight"] = one.net.head.weight.detach().numpy().copy()
        tensors[f"{name}.bias"] = one.net.head.bias.detach().numpy().copy()
    save_file(tensors, bundle / HEADS_FILE)


def starting_weights(settings: TrainSettings) -> tuple[StartingWeights, ...]:
    """The members that did not start at random, and from where."""
    return tuple(StartingWeights(recipe.name, ORIGIN) for recipe in settings.members if recipe.options.get("weights"))
