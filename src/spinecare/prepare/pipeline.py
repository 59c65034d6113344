"""From a scan to the picture that the members see: drawing off, levels found, cropped, calmed, normalised.

Real scans and virtual patients go through this one way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spinecare.prepare.crop import SpineBand, crop, crop_mapping, normalise, row_at
from spinecare.prepare.denoise import denoise
from spinecare.prepare.locate import Located, Locator, locate_levels
from spinecare.prepare.overlay import Overlay, read_overlay, remove_overlay, unscanned
from spinecare.scan import Bool, Float32, Level, Prepared, RefusalCode, Refused, Scan
from spinecare.settings import PrepareSettings

LEVELS = 4


@dataclass(frozen=True, eq=False)
class Found:
    """What stands in a scan, before anything is cut: the gate and `prepare` share it.

    overlay
        The operator's drawing.
    valid
        bool (rows, cols): False on unscanned margins.
    clean
        float32 (rows, cols) in [0, 1]: drawing and margins filled from the scan around them.
    located
        The spine and its levels from the image alone.
    """

    overlay: Overlay
    valid: Bool
    clean: Float32
    located: Located


@dataclass(frozen=True, eq=False)
class Cleaned:
    """A scan without what was drawn on it; `overlay`, `valid` and `clean` as in `Found`."""

    overlay: Overlay
    valid: Bool
    clean: Float32


def clean_scan(scan: Scan) -> Cleaned:
    """Read the drawing and take it off."""
    grey = scan.grey
    overlay = read_overlay(scan)
    valid = unscanned(grey, scan.colour)
    return Cleaned(overlay, valid, remove_overlay(grey, overlay.mask | ~valid))


def find_levels(scan: Scan, locate: Locator = locate_levels) -> Found:
    """Read the drawing, take it off, and look for the spine and L1 to L4 in what is left.

    Parameters
    ----------
    locate
        How they are looked for: `prepare.network.locator` of a bundle, or image processing.
    """
    cleaned = clean_scan(scan)
    return Found(cleaned.overlay, cleaned.valid, cleaned.clean, locate(cleaned.clean, cleaned.valid))


def prepare(scan: Scan, settings: PrepareSettings | None = None, found: Found | None = None) -> Prepared | Refused:
    """Make a scan ready for the members.

    Parameters
    ----------
    settings
        Size and denoising; those of the product if None.
    found
        What `find_levels` said of this scan, if it has been asked already.

    Returns
    -------
    `Prepared`, or `Refused` (levels_not_found) with fewer than four levels. Never raises for a readable scan.
    """
    settings = settings or PrepareSettings()
    found = found or find_levels(scan)
    located = found.located
    levels = found.overlay.levels or located.levels
    if len(levels) != LEVELS:
        return Refused(
            RefusalCode.LEVELS_NOT_FOUND,
            f"Only {len(levels)} of the levels L1 to L4 could be found in {scan.source.name}."
            if levels
            else " ".join((f"The levels L1 to L4 could not be found in {scan.source.name}.", *located.notes)),
            "Send an AP lumbar spine scan that shows L1 to L4 whole, and nothing else on the same sheet.",
            source=scan.source,
        )
    spine, spine_notes = _spine(levels, located, from_operator=bool(found.overlay.levels))
    mapping = crop_mapping(levels, spine, settings)
    raw = crop(found.clean, mapping, settings)
    image = normalise(denoise(raw, settings.denoise))
    if scan.quantity == "bmd_g_cm2":
        raw = raw * np.float32(scan.white)
    notes = found.overlay.notes + located.notes + spine_notes
    if found.overlay.levels:
        notes += (_difference(found.overlay.levels, located.levels, spine),)
    return Prepared(
        image=image,
        raw=raw,
        levels=levels,
        mapping=mapping,
        clean=found.clean,
        valid=found.valid,
        levels_from_image=located.levels if found.overlay.levels else (),
        bone_outline=found.overlay.bone_outline,
        notes=notes,
    )


def _spine(levels: tuple[Level, ...], located: Located, *, from_operator: bool) -> tuple[SpineBand, tuple[str, ...]]:
    """Middle and width of the spine between L1 and L4, from the image; from the box where the image fails."""
    boxes = np.stack([level.polygon for level in levels])  # (level, corner, row and col)
    left, right = float(np.median(boxes[:, [0, 3], 1])), float(np.median(boxes[:, [1, 2], 1]))
    first, last = np.clip([boxes[..., 0].min(), boxes[..., 0].max() + 1], 0, len(located.centre)).astype(int)
    centre = located.centre[first:last]
    width = (located.right - located.left)[first:last]
    known = np.isfinite(centre) & np.isfinite(width) & (width > 0)
    if known.sum() > 0.3 * len(known):
        band = SpineBand(float(np.median(centre[known])), float(np.median(width[known])))
        if not from_operator or (left < band.centre_col < right and band.width_col < 1.2 * (right - left)):
            return band, ()
    # Operators' boxes are about twice to three times as wide as the spine.
    note = "The spine's edges were not found between L1 and L4: its width is taken as 0.4 of the box."
    return SpineBand(0.5 * (left + right), 0.4 * (right - left)), (note,)


def _difference(operator: tuple[Level, ...], image: tuple[Level, ...], spine: SpineBand) -> str:
    """A sentence: how far the image-only boundaries lie from the operator's."""
    if len(image) != LEVELS:
        return "The image alone shows no four levels to compare with the operator's."
    theirs, ours = (np.array(boundary_rows(levels, spine.centre_col)) for levels in (operator, image))
    shares = np.abs(theirs - ours) / np.diff(theirs).mean()
    return (
        f"Found from the image alone, the levels' boundaries lie {shares.mean():.2f} of a level's height "
        f"from the operator's on average, at most {shares.max():.2f}."
    )


def boundary_rows(levels: tuple[Level, ...], col: float) -> list[float]:
    """The rows where the tops of the levels, and the bottom of the last, pass the column `col`."""
    tops = [row_at(level.polygon[0], level.polygon[1], col) for level in levels]
    return [*tops, row_at(levels[-1].polygon[3], levels[-1].polygon[2], col)]
