"""The members of a study, as a plain dict: kind → how it is built from options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from spinecare.errors import TrainingError
from spinecare.learn.members.bagged_logistic import BaggedLogistic
from spinecare.learn.members.bagged_svm import BaggedSvm
from spinecare.learn.members.base import Fitted, Member
from spinecare.learn.members.cnn import cnn
from spinecare.learn.members.forest import Forest
from spinecare.learn.members.logistic import Logistic
from spinecare.learn.members.mlp import Mlp
from spinecare.learn.members.options import built
from spinecare.learn.members.ordinal import Ordinal
from spinecare.learn.members.resnet_forest import resnet_forest
from spinecare.learn.members.svm import Svm
from spinecare.learn.members.vgg16 import vgg16

MEMBERS: dict[str, Callable[..., Member]] = {
    "cnn": cnn,
    "vgg16": vgg16,
    "resnet_forest": resnet_forest,
    "logistic": Logistic,
    "bagged_logistic": BaggedLogistic,
    "svm": Svm,
    "bagged_svm": BaggedSvm,
    "forest": Forest,
    "mlp": Mlp,
    "ordinal": Ordinal,
}

__all__ = ["MEMBERS", "Fitted", "Member", "build_member"]


def build_member(kind: str, options: Mapping[str, Any]) -> Member:
    """A member of one kind.

    Raises
    ------
    TrainingError
        For an unknown kind, an unknown option, or a value that an option can't take.
    """
    if kind not in MEMBERS:
        raise TrainingError(f"There is no member {kind!r}. Choose from {', '.join(MEMBERS)}.")
    return built(f"The member {kind}", MEMBERS[kind], options)
