"""Level 0: what each member says to a prepared picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spinecare.bundle.read import Bundle
from spinecare.bundle.schema import CLASSES, MemberSpec
from spinecare.errors import AssessmentError
from spinecare.runtime.stack import Float64, softmax
from spinecare.scan import Float32


@dataclass(frozen=True, eq=False)
class Said:
    """What one member says to a picture, and the last map it says it from.

    probabilities
        float64 (3,), in the order of the classes.
    features
        float32 (channels, h, w): the last map before global average pooling, for explaining.
    """

    probabilities: Float64
    features: Float32


def member_probabilities(bundle: Bundle, image: Float32) -> dict[str, Float64]:
    """Each member's probabilities (3,), by name: `ask_members` without what explains them."""
    return {name: said.probabilities for name, said in ask_members(bundle, image).items()}


def ask_members(bundle: Bundle, image: Float32) -> dict[str, Said]:
    """What each member says, by name, in the order of the bundle.

    Members run one after another, each on all threads of its session: the VGG16 is most of the work, so
    side by side with one thread each would wait for it alone.

    Parameters
    ----------
    image
        float32 (height, width) in [0, 1], prepared with the bundle's settings.

    Raises
    ------
    AssessmentError
        When the picture has another size, or a member's answer is not a set of probabilities.
    """
    size = (bundle.spec.prepare.height, bundle.spec.prepare.width)
    if image.shape != size or not np.isfinite(image).all():
        raise AssessmentError(
            f"The prepared picture is {image.shape} and the model takes finite values of {size}.",
            "Prepare it with the settings of the bundle.",
        )
    batch = np.ascontiguousarray(image, dtype=np.float32)[np.newaxis, np.newaxis]
    return {member.name: _ask(bundle, member, batch) for member in bundle.spec.members}


def _ask(bundle: Bundle, member: MemberSpec, batch: Float32) -> Said:
    network = bundle.sessions[member.model]
    if member.forest is None:
        # The features are on the way to the logits: handing them out costs a copy and no computation.
        logits, features = network.run(["logits", "features"], {"image": batch})
        return Said(_checked(member, softmax(logits[0])), features[0])
    (features,) = network.run(["features"], {"image": batch})
    pooled = features.mean(axis=(2, 3), dtype=np.float64).astype(np.float32)
    (probabilities,) = bundle.sessions[member.forest].run(["probabilities"], {"features": pooled})
    return Said(_checked(member, np.asarray(probabilities[0], dtype=np.float64)), features[0])


def _checked(member: MemberSpec, p: Float64) -> Float64:
    # Rounding of float32 votes is let through and made good; anything else is a broken model.
    if p.shape != (len(CLASSES),) or not np.isfinite(p).all() or p.min() < -1e-6 or abs(p.sum() - 1) > 1e-3:
        raise AssessmentError(
            f"The member {member.name} answered {p.tolist()}, which are not three probabilities.",
            "No label is given. Use another bundle, and tell its maker.",
        )
    clipped: Float64 = np.clip(p, 0.0, 1.0)
    return clipped / float(clipped.sum())
