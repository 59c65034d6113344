"""The published design's members: a network's base, frozen with a head on its features, or fine-tuned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from spinecare.errors import TrainingError
from spinecare.learn.members.base import Member
from spinecare.learn.members.options import built


def on_base(
    kind: str,
    network: str,
    views: Mapping[str, str],
    head: Callable[..., Member],
    start: str,
    depth: str | int,
    options: dict[str, Any],
) -> Member:
    """A member on the base of a network.

    Parameters
    ----------
    kind
        Its own name, for errors.
    network
        Name in `learn.networks.NETWORKS`, for the deep way.
    views
        Start → the view through the base, for the frozen way.
    head
        What is fitted on that view.
    start
        What the base was trained on before: "virtual", "imagenet" (VGG16 alone) or "none".
    depth
        "frozen"; or for `learn.members.deep.Deep` its depth: stages left trainable from the end, "all", or "deep" for
        what it does by itself.
    options
        Of the head or of `Deep`.

    Raises
    ------
    TrainingError
        For a start that the base has not, another depth, or an option that the head has not.
    """
    whose = f"The member {kind}"
    starts = (*views, "none")
    if start not in starts:
        raise TrainingError(f"{whose} can't start from {start!r}. Choose from {', '.join(starts)}.")
    if depth != "frozen":
        return _deep(whose, network, start, depth, options)
    if start == "none":
        raise TrainingError(f"{whose} is frozen, and a base trained on nothing sees nothing. Set depth = deep.")
    if "view" in options:
        raise TrainingError(f"{whose} has its view from start; leave view out, or choose another kind.")
    return built(whose, head, {"view": views[start], **options})


def _deep(whose: str, network: str, start: str, depth: str | int, options: dict[str, Any]) -> Member:
    if depth not in ("deep", "all") and not (isinstance(depth, int) and depth > 0):
        raise TrainingError(f"{whose} has no depth {depth!r}. Choose frozen, deep, all or a number of stages.")
    from spinecare.learn.members.deep import Deep  # here: it brings torch

    told = {} if depth == "deep" else {"depth": depth}
    return built(f"{whose}, fine-tuned,", Deep, {"kind": network, "start": start, **told, **options})
