"""Every picture and its augmented copies as pictures of their own, so that a split can put them on either side."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from spinecare.errors import TrainingError
from spinecare.learn.data import Pictures
from spinecare.learn.material import Material
from spinecare.learn.recipe import AugmentSettings
from spinecare.scan import LABELS, Float32
from spinecare.study.claims_settings import SHARES, ClaimsSettings

# They are augmented already.
NO_CHANGE = AugmentSettings(0, 0, 0, 0, 0, 0, 0, 0, 0)


@dataclass(frozen=True, eq=False)
class Split:
    """Rows to fit on, rows that the stack learns from, rows to be judged by."""

    train: np.ndarray
    val: np.ndarray
    test: np.ndarray


def shown_pictures(pictures: Pictures, settings: ClaimsSettings) -> Pictures:
    """What members see: the prepared crops as they are, or the whole exports squeezed to the crops' size."""
    if settings.shown == "prepared":
        return pictures
    if pictures.wholes is None:
        raise TrainingError("The whole exports were not kept. Load the pictures with more=True.")
    size = (settings.prepare.width, settings.prepare.height)
    whole = np.stack([cv2.resize(one, size, interpolation=cv2.INTER_AREA) for one in pictures.wholes])
    return replace(pictures, images=whole, raws=whole)


def spread(pictures: Pictures, settings: ClaimsSettings, cache: Path) -> Material:
    """The n pictures and their copies as n (1 + copies) pictures that have none.

    Scan i's copy c is row i (1 + copies) + c, copy 0 the scan itself. Picture and raw crop of a copy are varied by the
    same draws. Whole scans are left out.
    """
    times = 1 + settings.copies
    many = replace(
        pictures,
        rows=pictures.rows.loc[pictures.rows.index.repeat(times)].reset_index(drop=True),
        images=_copies(pictures.images, settings),
        raws=None if pictures.raws is None else _copies(pictures.raws, settings),
        wholes=None,
        labels=np.repeat(pictures.labels, times),
        patients=np.repeat(pictures.patients, times),
    )
    return Material(many, NO_CHANGE, 0, settings.seed, cache, settings.sources)


def _copies(pixels: Float32, settings: ClaimsSettings) -> Float32:
    from spinecare.learn.views.copies import copies_of

    varied = copies_of(pixels, settings.augment, settings.copies, settings.seed)
    return varied.reshape(-1, *pixels.shape[1:])


def leaky_split(n: int, seed: int) -> Split:
    """70/10/20 of n rows at random: the published way, copies of one picture on every side."""
    order = np.random.default_rng(seed).permutation(n)
    first, second = round(SHARES[0] * n), round((SHARES[0] + SHARES[1]) * n)
    return Split(*(np.sort(part) for part in (order[:first], order[first:second], order[second:])))


def honest_split(labels: np.ndarray, groups: np.ndarray, copies: int, seed: int) -> Split:
    """70/10/20 by group and class, first of all; what is fitted on may be augmented, what is judged by is not.

    Parameters
    ----------
    labels, groups
        int and str (n (1 + copies),): of the spread pictures.

    Returns
    -------
    Train and val hold all copies of their groups' pictures, test the pictures themselves.
    """
    import pandas as pd

    from spinecare.io.dataset import split_manifest

    times = 1 + copies
    own = slice(None, None, times)
    names = [str(LABELS[k]) for k in labels[own]]
    frame = pd.DataFrame({"path": [f"{i}" for i in range(len(names))], "label": names, "patient_id": groups[own]})
    parts = np.repeat(split_manifest(frame, SHARES, seed)["split"].to_numpy(), times)
    judged = np.flatnonzero(parts == "test")
    return Split(np.flatnonzero(parts == "train"), np.flatnonzero(parts == "val"), judged[judged % times == 0])


def shuffled_labels(labels: np.ndarray, groups: np.ndarray, seed: int) -> np.ndarray:
    """Labels int (n,) dealt out anew among the groups: as many groups of each class, all pictures of a group alike."""
    _, first, which = np.unique(groups, return_index=True, return_inverse=True)
    return labels[first][np.random.default_rng(seed).permutation(len(first))][which]
