"""The combiners of a study, as a plain dict: kind → how it is built from options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from spinecare.errors import TrainingError
from spinecare.learn.combine.base import Combiner, Joined
from spinecare.learn.combine.stack import Stack, StackOrdinal
from spinecare.learn.combine.stack_net import StackNet
from spinecare.learn.combine.voting import Voting
from spinecare.learn.members.options import built

COMBINERS: dict[str, Callable[..., Combiner]] = {
    "voting": Voting,
    "stack": Stack,
    "stack_ordinal": StackOrdinal,
    "stack_net": StackNet,
}

__all__ = ["COMBINERS", "Combiner", "Joined", "build_combiner"]


def build_combiner(kind: str, options: Mapping[str, Any]) -> Combiner:
    """A combiner of one kind.

    Raises
    ------
    TrainingError
        For an unknown kind, an unknown option, or a value that an option can't take.
    """
    if kind not in COMBINERS:
        raise TrainingError(f"There is no combiner {kind!r}. Choose from {', '.join(COMBINERS)}.")
    return built(f"The combiner {kind}", COMBINERS[kind], options)
