"""Contact sheets of virtual patients, with or without the truth drawn over them."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from spinecare.phantom.chain import draw_scan
from spinecare.phantom.scanner import Style
from spinecare.phantom.truth import PART_COLOURS
from spinecare.scan import Truth, UInt8

# Width and height of a tile: a Hologic crop is about square, an iDXA export a little higher than wide.
TILES: dict[Style, tuple[int, int]] = {"hologic": (224, 224), "idxa": (224, 244)}
GAP = 4
COLUMNS = 6


def contact_sheet(
    n: int,
    seed: int,
    style: Style = "hologic",
    *,
    balance: bool = False,
    truth: bool = False,
    overlay: bool = True,
) -> Image.Image:
    """n virtual patients side by side; `truth` draws the true level boxes and colours the parts of the spine.

    Parameters
    ----------
    n
        At least 1; six stand in a row.
    seed, style, balance, overlay
        As in `draw_scan`, for the indices 0 to n - 1.
    """
    width, height = TILES[style]
    columns = min(n, COLUMNS)
    sheet = Image.new("RGB", (columns * (width + GAP), -(-n // columns) * (height + GAP)))
    for index in range(n):
        scan, known, _ = draw_scan(seed, index, style, balance=balance, overlay=overlay)
        grey = np.rint(scan.pixels).astype(np.uint8)
        tile = np.dstack([grey] * 3) if scan.colour is None else scan.colour
        picture = Image.fromarray(with_truth(tile, known) if truth else tile)
        picture.thumbnail((width, height), Image.Resampling.LANCZOS)
        sheet.paste(picture, (index % columns * (width + GAP), index // columns * (height + GAP)))
    return sheet


def with_truth(picture: UInt8, truth: Truth) -> UInt8:
    """A picture, uint8 (rows, cols, 3), with its truth over it: parts in colour, level boxes as lines."""
    shown = picture.astype(np.float32)
    if truth.parts is not None:
        colours = np.array(PART_COLOURS, np.float32)[truth.parts]
        shown = np.where(truth.parts[..., None] > 0, 0.65 * shown + 0.35 * colours, shown)
    image = Image.fromarray(shown.astype(np.uint8))
    for polygon in truth.polygons.values():
        ImageDraw.Draw(image).polygon([(float(c), float(r)) for r, c in polygon], outline=(255, 60, 160))
    return np.asarray(image)
