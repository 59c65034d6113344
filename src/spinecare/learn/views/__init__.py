"""Views of a scan as numbers, as a plain dict: name → how it is made. See `learn.material`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spinecare.errors import TrainingError
from spinecare.scan import Float32

if TYPE_CHECKING:
    from spinecare.learn.material import Material, Sources


@dataclass(frozen=True)
class View:
    """One view.

    about
        A line for reports: what it is, and where its weights come from.
    make
        Material → float32 (n, 1 + copies, numbers).
    version
        To be raised when the numbers change; part of the cache's key.
    reads
        Sources → what identifies the weights that it reads (a SHA-256), or "". Raises TrainingError when they are missing.
    """

    about: str
    make: Callable[[Material], Float32]
    version: int = 1
    reads: Callable[[Sources], str] = lambda sources: ""


VIEWS: dict[str, View] = {}


def make_view(name: str, material: Material) -> Float32:
    """The numbers of one view, float32 (n, 1 + copies, numbers).

    Raises
    ------
    TrainingError
        For an unknown view, or one whose weights are not there.
    """
    if name not in VIEWS:
        raise TrainingError(f"There is no view {name!r}. Choose from {', '.join(VIEWS)}.")
    return VIEWS[name].make(material)
