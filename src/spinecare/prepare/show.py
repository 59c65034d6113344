"""Every stage of preparing one scan, side by side in one picture."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from spinecare.prepare.crop import normalise
from spinecare.prepare.denoise import denoise
from spinecare.prepare.pipeline import Found
from spinecare.scan import Bool, Float32, Level, Prepared, Refused, Scan, UInt8
from spinecare.settings import PrepareSettings

Colour = tuple[int, int, int]

PAPER: Colour = (17, 21, 28)
INK: Colour = (233, 237, 243)
FAINT: Colour = (146, 156, 171)
OPERATOR: Colour = (255, 193, 61)
IMAGE: Colour = (64, 196, 255)
FADED: Colour = (32, 98, 128)
BONE: Colour = (120, 220, 140)
DRAWING: Colour = (232, 74, 137)
MARGIN: Colour = (74, 86, 128)

PANEL = 440  # height of a stage in pixels
WIDEST = 620
GAP = 22
HEAD = 86
CAPTION = 52

# Pillow's own font has hardly more than ASCII, and draws an empty box for the rest.
_PLAIN = str.maketrans({"×": "x", "–": "-", "—": "-", "−": "-", "±": "+/-", "‘": "'", "’": "'", "“": '"', "”": '"'})


def draw_stages(scan: Scan, found: Found, prepared: Prepared | Refused, settings: PrepareSettings) -> Image.Image:
    """One RGB picture: as read, drawing, cleaned, levels from the image, raw crop, denoised, normalised.

    Parameters
    ----------
    scan, found, prepared
        A scan, what `find_levels` and what `prepare` said of it. For a refused scan the crops are left out.
    settings
        The settings that `prepare` was called with.
    """
    levels = found.overlay.levels
    margins = "; margins in blue were not scanned" if not found.valid.all() else ""
    stages = [
        ("As read", _size(scan.pixels), _as_read(scan)),
        ("Operator's drawing", _drawing_caption(found), _drawing(scan, found)),
        ("Drawing taken off", f"filled from around it{margins}", _cleaned(found)),
        ("Levels from the image", _image_caption(found), _from_image(found)),
    ]
    if isinstance(prepared, Prepared):
        crop_size = f"{settings.height} x {settings.width}"
        white = scan.white if scan.quantity == "bmd_g_cm2" else 1.0
        raw = prepared.raw / np.float32(white)
        calm = denoise(raw, settings.denoise)
        stages += [
            ("Raw crop", crop_size, _enlarged(_grey(raw))),
            ("Denoised", settings.denoise, _enlarged(_grey(calm))),
            ("Normalised", "what the members see", _enlarged(_grey(normalise(calm)))),
        ]
        used = "the operator's region of interest" if levels else "the image alone"
        verdict = f"Levels in use: from {used}. " + " ".join(prepared.notes if levels else ())
    else:
        verdict = f"Refused: {prepared.reason} {prepared.hint}"
    return _sheet(scan.source.name, verdict, stages)


def _sheet(name: str, verdict: str, stages: Sequence[tuple[str, str, UInt8]]) -> Image.Image:
    """The stages in a row, each with its title and a caption, under the file's name."""
    width = GAP + sum(picture.shape[1] + GAP for _, _, picture in stages)
    sheet = Image.new("RGB", (width, HEAD + PANEL + CAPTION + GAP), PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((GAP, 16), _fitting(pen, name, 26, width - 2 * GAP), INK, ImageFont.load_default(26))
    pen.text((GAP, 52), _fitting(pen, verdict, 16, width - 2 * GAP), FAINT, ImageFont.load_default(16))
    left = GAP
    for title, caption, picture in stages:
        rows, cols = picture.shape[:2]
        top = HEAD + (PANEL - rows) // 2
        sheet.paste(Image.fromarray(picture), (left, top))
        pen.rectangle((left - 1, top - 1, left + cols, top + rows), outline=(52, 60, 74))
        pen.text((left, HEAD + PANEL + 8), _fitting(pen, title, 18, cols), INK, ImageFont.load_default(18))
        pen.text((left, HEAD + PANEL + 32), _fitting(pen, caption, 13, cols), FAINT, ImageFont.load_default(13))
        left += cols + GAP
    return sheet


def plain_letters(text: str) -> str:
    """The text in printable ASCII: accents dropped, signs spelt, "?" for what has no such letter."""
    spelt = unicodedata.normalize("NFKD", text.translate(_PLAIN))
    letters = (c for c in spelt if not unicodedata.combining(c))
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in letters)


def _fitting(pen: ImageDraw.ImageDraw, text: str, size: int, width: float) -> str:
    """The text in letters that the font has, cut with an ellipsis where it is wider than `width` pixels."""
    text = plain_letters(text)
    font = ImageFont.load_default(size)
    if pen.textlength(text, font) <= width:
        return text
    while text and pen.textlength(text + "...", font) > width:
        text = text[:-1]
    return text.rstrip() + "..."


def _size(pixels: npt.NDArray[np.float32]) -> str:
    return f"{pixels.shape[0]} x {pixels.shape[1]} pixels"


def _drawing_caption(found: Found) -> str:
    if found.overlay.levels:
        return "L1-L4 in yellow" + (", bone outline in green" if found.overlay.bone_outline is not None else "")
    return "drawing without levels" if found.overlay.mask.any() else "none in this scan"


def _image_caption(found: Found) -> str:
    located = found.located
    return f"L1-L4, confidence {located.confidence:.2f}" if located.levels else "no four levels found"


def _as_read(scan: Scan) -> UInt8:
    return _panel(scan.colour if scan.colour is not None else _grey(scan.grey))


def _drawing(scan: Scan, found: Found) -> UInt8:
    """The scan in grey with the mask tinted, the levels read from it and the bone outline."""
    shown = _blend(_grey(0.8 * scan.grey), found.overlay.mask, DRAWING, 0.55)
    panel = _panel(shown)
    if found.overlay.bone_outline is not None:
        inside = cv2.resize(found.overlay.bone_outline.astype(np.uint8), panel.shape[1::-1], interpolation=0)
        contours, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(panel, contours, -1, BONE, 1, cv2.LINE_AA)
    return _with_levels(panel, found.overlay.levels, OPERATOR, scan.pixels.shape)


def _cleaned(found: Found) -> UInt8:
    return _panel(_blend(_grey(found.clean), ~found.valid, MARGIN, 0.75))


def _from_image(found: Found) -> UInt8:
    panel = _panel(_grey(found.clean))
    shape = found.clean.shape
    for line in (found.located.left, found.located.centre, found.located.right):
        rows = np.arange(len(line))
        known = np.isfinite(line)
        points = _to_panel(np.stack([rows[known], line[known]], axis=1), shape, panel)
        if len(points):
            curve = list(points.round().astype(np.int32)[None])
            cv2.polylines(panel, curve, False, FADED, 1, cv2.LINE_AA)
    return _with_levels(panel, found.located.levels, IMAGE, shape)


def _with_levels(panel: UInt8, levels: Sequence[Level], colour: Colour, shape: tuple[int, ...]) -> UInt8:
    """The panel with the levels' boxes and names."""
    drawn = panel.copy()
    for level in levels:
        corners = _to_panel(level.polygon, shape, panel)
        fixed = list(np.rint(corners * 16).astype(np.int32)[None])
        cv2.polylines(drawn, fixed, True, colour, 1, cv2.LINE_AA, 4)
    picture = Image.fromarray(drawn)
    pen = ImageDraw.Draw(picture)
    font = ImageFont.load_default(15)
    for level in levels:
        corners = _to_panel(level.polygon, shape, panel)
        x, y = float(corners[:, 0].min()) + 5, float(corners[:, 1].mean()) - 9
        pen.text((x, y), level.name, colour, font, stroke_width=2, stroke_fill=PAPER)
    return np.array(picture, dtype=np.uint8)


def _to_panel(points: npt.NDArray[np.floating], shape: tuple[int, ...], panel: UInt8) -> npt.NDArray[np.float64]:
    """(row, col) in scan pixels to (x, y) in the panel."""
    scale = np.array([panel.shape[0] / shape[0], panel.shape[1] / shape[1]])
    return np.asarray(((points + 0.5) * scale - 0.5)[:, ::-1], dtype=np.float64)


def _grey(image: Float32) -> UInt8:
    """Grey in [0, 1] as RGB bytes."""
    return np.repeat(np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)[..., None], 3, axis=2)


def _blend(rgb: UInt8, where: Bool, colour: Colour, share: float) -> UInt8:
    mixed = rgb.astype(np.float32)
    mixed[where] = (1 - share) * mixed[where] + share * np.array(colour, dtype=np.float32)
    return mixed.astype(np.uint8)


def _panel(rgb: UInt8) -> UInt8:
    """Resized to the height of a panel, or less where it would become too wide."""
    scale = min(PANEL / rgb.shape[0], WIDEST / rgb.shape[1])
    size = max(120, round(rgb.shape[1] * scale)), max(40, round(rgb.shape[0] * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(rgb, size, interpolation=how), dtype=np.uint8)


def _enlarged(rgb: UInt8) -> UInt8:
    """A crop at the height of a panel, its pixels kept apart enough to judge the grain."""
    width = max(120, round(PANEL * rgb.shape[1] / rgb.shape[0]))
    return np.asarray(cv2.resize(rgb, (width, PANEL), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
