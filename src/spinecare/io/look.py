"""One look at every picture of a dataset: whether it can be read, its hashes and its thumbnail."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from spinecare.errors import ScanError
from spinecare.io.links import Links
from spinecare.io.near import THUMBNAIL, find_near_identical, thumbnail
from spinecare.io.read import read_scan
from spinecare.scan import Scan

Kind = Literal["file", "pixels", "near"]
Progress = Callable[[int, int], None]


def silent(done: int, of: int) -> None:
    """No progress is shown."""


@dataclass(frozen=True)
class Pair:
    """Two pictures of one scan, by position: the same file, the same pixels, or near-identical."""

    first: int
    second: int
    kind: Kind
    similarity: float


@dataclass(frozen=True, eq=False)
class Looks:
    """What a dataset's pictures are like.

    unreadable
        Position -> what `read_scan` says.
    pairs
        Sorted by position. Of n copies, n - 1 pairs with the first are named.
    """

    n: int
    unreadable: dict[int, ScanError] = field(default_factory=dict)
    pairs: tuple[Pair, ...] = ()

    def sets(self) -> list[list[int]]:
        """The sets of pictures that show one scan, each sorted."""
        links = Links(self.n)
        for pair in self.pairs:
            links.join(pair.first, pair.second)
        return links.sets()


def look_at(
    files: Sequence[str | Path], progress: Progress = silent, visit: Callable[[int, Scan], None] | None = None
) -> Looks:
    """Read every file once and find those that show one scan.

    Parameters
    ----------
    files
        The pictures.
    progress
        Called with (done, of) after each file.
    visit
        Called with (position, scan) for each readable file, so that nobody reads it twice.
    """
    n = len(files)
    thumbnails: npt.NDArray[np.uint8] = np.zeros((n, THUMBNAIL, THUMBNAIL), np.uint8)
    unreadable: dict[int, ScanError] = {}
    by_file: dict[str, int] = {}
    by_pixels: dict[str, int] = {}
    pairs: list[Pair] = []
    fresh: list[int] = []
    for i, file in enumerate(files):
        try:
            scan = read_scan(file)
        except ScanError as error:
            unreadable[i] = error
        else:
            if visit:
                visit(i, scan)
            file_twin = by_file.setdefault(scan.source.sha256, i)
            twin = by_pixels.setdefault(_pixel_hash(scan), i)
            if file_twin != i:
                pairs.append(Pair(file_twin, i, "file", 1.0))
            elif twin != i:
                pairs.append(Pair(twin, i, "pixels", 1.0))
            else:
                thumbnails[len(fresh)] = thumbnail(scan)
                fresh.append(i)
        progress(i + 1, n)
    for near in find_near_identical(thumbnails[: len(fresh)]):
        pairs.append(Pair(fresh[near.first], fresh[near.second], "near", near.similarity))
    pairs.sort(key=lambda pair: (pair.first, pair.second))
    return Looks(n, unreadable, tuple(pairs))


def _pixel_hash(scan: Scan) -> str:
    """Of the values, whatever the file format: the same picture as PNG and as BMP has one hash."""
    what = scan.pixels if scan.colour is None else scan.colour
    return hashlib.sha256(repr((what.shape, scan.white)).encode() + what.tobytes()).hexdigest()
