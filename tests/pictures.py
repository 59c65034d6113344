"""Seeded pictures that are no AP lumbar spine, for the tests of the gate (and one plain spine that is).

Every generator takes a seed and returns float32 (rows, cols) grey in [0, 1], or uint8 (rows, cols, 3)
for a picture in colour. Photographs are those that scikit-image carries in its wheel.
"""

from __future__ import annotations

import string
from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from spinecare.scan import Float32, Patient, Scan, Source, View

Picture = npt.NDArray[np.float32] | npt.NDArray[np.uint8]

COLOUR_PHOTOS = ("astronaut", "chelsea", "coffee", "rocket", "retina", "immunohistochemistry", "hubble_deep_field")
GREY_PHOTOS = ("camera", "coins", "moon", "brick", "grass", "gravel", "clock", "horse", "cell", "page", "text")


def as_scan(picture: Picture, view: View = View.UNKNOWN, name: str = "picture.png") -> Scan:
    """A picture as `io` would hand it over: 8-bit grey levels, colour beside them when there is some."""
    colour = np.ascontiguousarray(picture) if picture.ndim == 3 and picture.dtype == np.uint8 else None
    grey = picture.astype(np.float32) @ np.float32([0.299, 0.587, 0.114]) if colour is not None else picture * 255.0
    pixels = np.rint(np.asarray(grey, dtype=np.float32))
    return Scan(pixels, 255.0, Source(name, "0" * 64, "image/png"), Patient("0" * 12), colour=colour, view=view)


def photo(name: str) -> Picture:
    """A photograph out of scikit-image's wheel: uint8 RGB, or float32 grey. Skips the test where it is missing."""
    import pytest

    data = pytest.importorskip("skimage.data")
    try:
        picture = np.asarray(getattr(data, name)())
    except Exception as error:  # pooch missing, or the file is not in this wheel and there is no network
        pytest.skip(f"scikit-image does not carry {name!r} here: {error}")
    if picture.ndim == 3:
        return np.ascontiguousarray(picture[..., :3]).astype(np.uint8)
    picture = picture.astype(np.float32)
    return np.asarray(picture / max(float(picture.max()), 1.0), dtype=np.float32)


def grey_of(picture: Picture) -> Float32:
    """The grey version of a picture in colour."""
    if picture.ndim == 2:
        return np.asarray(picture, dtype=np.float32)
    return np.asarray(picture.astype(np.float32) @ np.float32([0.299, 0.587, 0.114]) / 255.0, dtype=np.float32)


# --- plain things ---------------------------------------------------------------------------------


def flat(level: float) -> Float32:
    """One grey level everywhere."""
    return np.full((300, 260), level, dtype=np.float32)


def gradient(seed: int) -> Float32:
    """A linear ramp in a random direction."""
    a = np.random.default_rng(seed).uniform(0, 2 * np.pi)
    y, x = _grid(256, 256)
    ramp = np.cos(a) * x + np.sin(a) * y
    return _unit(ramp)


def white_noise(seed: int) -> Float32:
    """Independent uniform pixels."""
    return np.random.default_rng(seed).uniform(0, 1, (256, 240)).astype(np.float32)


def pink_noise(seed: int) -> Float32:
    """Noise with a 1/f amplitude spectrum: clouds."""
    rng = np.random.default_rng(seed)
    f = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.rfftfreq(256)[None])
    f[0, 0] = 1.0
    spectrum = (rng.normal(size=f.shape) + 1j * rng.normal(size=f.shape)) / f
    spectrum[0, 0] = 0.0
    return _unit(np.fft.irfft2(spectrum, s=(256, 256)))


def checkerboard(seed: int) -> Float32:
    """Squares of 20 to 40 pixels."""
    n = int(np.random.default_rng(seed).integers(20, 41))
    y, x = np.mgrid[:280, :280]
    return np.asarray((y // n + x // n) % 2, dtype=np.float32)


def stripes(seed: int) -> Float32:
    """Sinusoidal stripes, upright, lying or oblique."""
    rng = np.random.default_rng(seed)
    a, period = (0.0, np.pi / 2, np.pi / 4)[seed % 3], rng.uniform(14, 50)
    y, x = _grid(256, 256)
    return _unit(np.sin(2 * np.pi * 256 / period * (np.cos(a) * x + np.sin(a) * y)))


def bright_bar(seed: int) -> Float32:
    """One upright bright bar on a dark ground, a little noise: a spine without vertebrae."""
    rng = np.random.default_rng(seed)
    picture = np.full((256, 256), 0.12)
    half = rng.uniform(14, 40)
    x = np.abs(np.arange(256) - rng.uniform(110, 146))
    picture += 0.6 / (1 + np.exp((x - half) / 2))[None]
    return _finish(picture, rng)


def ladder(seed: int) -> Float32:
    """Two upright rails with rungs."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((320, 220))
    picture[:, 60:75] = picture[:, 145:160] = 0.9
    for row in range(10, 320, int(rng.integers(28, 44))):
        picture[row : row + 8, 60:160] = 0.9
    return _finish(picture, rng)


def text_screen(seed: int, dark: bool = True) -> Float32:
    """A window with a title bar and lines of text; light on dark or dark on light."""
    rng = np.random.default_rng(seed)
    image = Image.new("L", (640, 480), 0)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=int(rng.integers(11, 19)))
    draw.rectangle((6, 6, 633, 473), outline=200, width=2)
    draw.rectangle((6, 6, 633, 30), fill=120)
    draw.text((14, 10), "Patient report", fill=255, font=font)
    letters = list(string.ascii_letters + string.digits + "     .,:;-")
    for row in range(40, 455, int(font.size * 1.5)):
        line = "".join(rng.choice(letters, size=int(rng.integers(10, 70))))
        draw.text((16, row), line, fill=255, font=font)
    picture = np.asarray(image, dtype=np.float32) / 255.0
    return np.asarray(picture if dark else 1.0 - picture, dtype=np.float32)


# --- other parts of the body ----------------------------------------------------------------------


def hand(seed: int) -> Float32:
    """Five bright fingers with dark joints on a palm."""
    rng = np.random.default_rng(seed)
    p = np.full((320, 260), 0.05)
    for k, (angle, length) in enumerate(zip((-40, -14, -2, 10, 24), (110, 170, 190, 175, 140), strict=True)):
        a = np.deg2rad(angle + rng.normal(0, 2))
        base = (250.0, 60.0 + 32 * k)
        tip = (base[0] - length * np.cos(a), base[1] + length * np.sin(a))
        _bone(p, base, tip, 13.0 + rng.normal(0, 1), 0.28)
        for s, e in ((0.02, 0.42), (0.47, 0.72), (0.77, 0.98)):
            _bone(p, _along(base, tip, s), _along(base, tip, e), 7.0, 0.4)
    cv2.ellipse(p, (125, 275), (80, 45), 0, 0, 360, 0.4, -1)
    return _finish(p, rng, blur=1.5)


def chest(seed: int) -> Float32:
    """Two dark lungs with ribs, a bright midline, a heart, bright walls."""
    rng = np.random.default_rng(seed)
    p = np.full((300, 300), 0.62)
    lungs = np.zeros_like(p)
    for cx in (88 + rng.normal(0, 3), 212 + rng.normal(0, 3)):
        cv2.ellipse(lungs, (int(cx), 140), (50, 105), 0, 0, 360, 1.0, -1)
    p -= 0.48 * cv2.GaussianBlur(lungs, (0, 0), 4)
    y, x = np.mgrid[:300, :300]
    for k in range(9):
        row = 50 + 24 * k + 0.0022 * (x - 150) ** 2
        p += 0.10 * np.exp(-(((y - row) / 4) ** 2))
    p += 0.18 * np.exp(-(((x - 150) / 15) ** 2)) * (1 + 0.15 * np.sin(2 * np.pi * y / 22))
    heart = np.zeros_like(p)
    cv2.ellipse(heart, (172, 190), (52, 42), 35, 0, 360, 1.0, -1)
    p += 0.28 * cv2.GaussianBlur(heart, (0, 0), 3)
    return _finish(p, rng)


def femur(seed: int, left: bool = True) -> Float32:
    """A hip: head, neck, oblique shaft with bright cortices, a piece of pelvis; unscanned black below."""
    rng = np.random.default_rng(seed)
    p = np.full((300, 300), 0.02)
    _bone(p, (130, 175), (262 + rng.normal(0, 6), 190 + rng.normal(0, 8)), 27, 0.45, cortex=0.4)
    _bone(p, (85, 120), (130, 175), 22, 0.4)
    cv2.circle(p, (int(112 + rng.normal(0, 4)), 82), 34, 0.62, -1)
    cv2.ellipse(p, (185, 112), (20, 30), -20, 0, 360, 0.45, -1)
    _bone(p, (0, 95), (80, 78), 20, 0.5, cortex=0.3)
    p[262:] = 0.0
    p = cv2.GaussianBlur(p, (0, 0), 2)
    return _finish(p if left else p[:, ::-1].copy(), rng)


def forearm(seed: int) -> Float32:
    """Two long bones side by side, a wrist at the bottom."""
    rng = np.random.default_rng(seed)
    p = np.full((360, 220), 0.08)
    p[:, 40:180] += 0.12
    _bone(p, (0, 80 + rng.normal(0, 3)), (280, 84), 14, 0.35, cortex=0.35)
    _bone(p, (0, 135 + rng.normal(0, 3)), (275, 132), 11, 0.35, cortex=0.35)
    for row, col in ((300, 75), (302, 100), (303, 125), (330, 70), (332, 95), (333, 120), (331, 142)):
        cv2.circle(p, (col, row), 13, 0.5, -1)
    return _finish(p, rng, blur=1.5)


def knee(seed: int) -> Float32:
    """Two wide bone ends with a gap between them, a patella, the fibula beside."""
    rng = np.random.default_rng(seed)
    p = np.full((320, 240), 0.06)
    p[:, 40:200] += 0.15
    gap = int(160 + rng.normal(0, 6))
    _bone(p, (0, 120), (gap - 40, 120), 27, 0.35, cortex=0.3)
    cv2.ellipse(p, (120, gap - 28), (56, 28), 0, 0, 360, 0.6, -1)
    cv2.ellipse(p, (120, gap + 28), (54, 24), 0, 0, 360, 0.6, -1)
    _bone(p, (gap + 30, 118), (319, 116), 24, 0.35, cortex=0.3)
    _bone(p, (gap + 50, 172), (319, 166), 8, 0.35)
    cv2.ellipse(p, (120, gap - 45), (20, 20), 0, 0, 360, 0.75, -1)
    return _finish(p, rng, blur=2)


def skull(seed: int) -> Float32:
    """A bright ring with eye sockets, nose and teeth."""
    rng = np.random.default_rng(seed)
    p = np.full((300, 250), 0.04)
    cv2.ellipse(p, (125, 120), (95, 105), 0, 0, 360, 0.8, -1)
    cv2.ellipse(p, (125, 120), (84, 94), 0, 0, 360, 0.42, -1)
    for col in (88, 162):
        cv2.circle(p, (col, 140), int(24 + rng.normal(0, 1)), 0.18, -1)
    cv2.ellipse(p, (125, 180), (12, 22), 0, 0, 360, 0.15, -1)
    cv2.rectangle(p, (80, 200), (170, 275), 0.6, -1)
    for col in range(86, 168, 9):
        cv2.rectangle(p, (col, 222), (col + 6, 246), 0.95, -1)
    return _finish(p, rng, blur=2)


def whole_body(seed: int) -> Float32:
    """A small skeleton in soft tissue: skull, spine, ribs, pelvis, arms, legs."""
    rng = np.random.default_rng(seed)
    p = np.full((480, 220), 0.03)
    cv2.ellipse(p, (110, 190), (48, 110), 0, 0, 360, 0.18, -1)
    cv2.circle(p, (110, 40), 26, 0.75, -1)
    for row in range(68, 230, 9):
        cv2.rectangle(p, (103, row), (117, row + 6), 0.7, -1)
    for row in range(85, 160, 12):
        cv2.ellipse(p, (110, row), (40, 14), 0, 10, 170, 0.45, 3)
    cv2.ellipse(p, (110, 250), (42, 24), 0, 0, 360, 0.65, -1)
    for side in (-1, 1):
        _bone(p, (85, 110 + 46 * side), (165, 110 + 66 * side), 7, 0.55)
        _bone(p, (168, 110 + 67 * side), (250, 110 + 76 * side), 6, 0.55)
        _bone(p, (262, 110 + 26 * side), (360, 110 + 24 * side), 11, 0.6)
        _bone(p, (366, 110 + 24 * side), (465, 110 + 22 * side), 9, 0.6)
    return _finish(p + rng.normal(0, 0.005), rng, blur=1)


def lateral_spine(seed: int) -> Float32:
    """A lateral spine: tilted oblong bodies with clear discs, processes behind, dark before, bright behind."""
    rng = np.random.default_rng(seed)
    p = np.full((420, 240), 0.06)
    p[:, :60] += np.linspace(0.35, 0.0, 60)[None]
    count = 9
    for k in range(count):
        t = k / (count - 1)
        row, col = 25 + 46 * k, 95 + 55 * np.sin(1.3 * t - 0.2) + rng.normal(0, 1)
        size = (34 + 10 * t, 32 + 6 * t)
        box = cv2.boxPoints(((col, row), size, float(-12 + 20 * t)))
        cv2.fillPoly(p, [box.astype(np.int32)], 0.62)
        _bone(p, (row, col - 22), (row + 26, col - 52), 7, 0.5)
    return _finish(p, rng, blur=1.2)


# --- a plain AP spine -----------------------------------------------------------------------------


def spine(seed: int, rows: int = 256, cols: int = 240) -> Float32:
    """A plain upright AP lumbar spine: bodies that widen downward, pedicles, spinous processes, ribs, crests."""
    rng = np.random.default_rng(seed)
    p = np.full((rows, cols), 0.16)
    centre = cols / 2 + rng.normal(0, cols * 0.02)
    count, row = int(rng.integers(5, 8)), float(-rng.uniform(0, 12))
    heights = np.linspace(0.9, 1.12, count) * (rows + 14) / count
    for k, height in enumerate(heights):
        half = cols * (0.125 + 0.045 * k / (count - 1))
        gap = 0.14 * height
        y, x = np.mgrid[:rows, :cols]
        u, v = (x - centre) / half, (y - row - gap) / (height - gap)
        inside = (v > 0) & (v < 1)
        body = (np.abs(u) < 1 - 0.12 * np.sin(np.pi * np.clip(v, 0, 1))) & inside
        p[body] += 0.34 + 0.08 * (np.abs(v[body] - 0.5) > 0.4)
        p += 0.16 * (np.abs(u) < 0.92) * (v > -gap / height) * (v <= 0)
        for side in (-1, 1):
            p += 0.16 * np.exp(-(((u - side * 0.62) / 0.17) ** 2) - ((v - 0.34) / 0.17) ** 2)
            leg = np.exp(-(((u - side * 0.28 * (v - 0.3)) / 0.10) ** 2))
            p += 0.14 * leg * (v > 0.3) * (v < 1.05)
            transverse = np.exp(-(((v - 0.4) / 0.12) ** 2))
            p += 0.05 * transverse * (side * u > 0.9) * (side * u < 1.6)
        p -= 0.10 * np.exp(-((u / 0.28) ** 2) - ((v - 0.18) / 0.14) ** 2)
        row += height
    y, x = _grid(rows, cols)
    for side in (-1, 1):
        d = side * (x - centre / cols)
        p += 0.06 * np.exp(-(((y - 0.02 - 0.5 * d) / 0.025) ** 2)) * (d > 0.16)
        p += 0.16 / (1 + np.exp((1.03 - y - 0.45 * (d - 0.25)) / 0.01)) * (d > 0.2)
    return _finish(p, rng, blur=1.2, noise=0.03)


def upside_down(picture: Picture) -> Picture:
    """Turned by 180 degrees."""
    return np.ascontiguousarray(picture[::-1, ::-1])


def lying(picture: Picture, quarter_turns: int = 1) -> Picture:
    """Turned by 90 degrees."""
    return np.ascontiguousarray(np.rot90(picture, quarter_turns))


def negative(picture: Picture) -> Picture:
    """Black for white."""
    return np.asarray((255 - picture) if picture.dtype == np.uint8 else (1.0 - picture), dtype=picture.dtype)


NOT_SPINES: dict[str, Callable[[int], Float32]] = {
    "gradient": gradient,
    "pink noise": pink_noise,
    "checkerboard": checkerboard,
    "stripes": stripes,
    "bright bar": bright_bar,
    "ladder": ladder,
    "hand": hand,
    "chest": chest,
    "left femur": femur,
    "right femur": lambda seed: femur(seed, left=False),
    "forearm": forearm,
    "knee": knee,
    "skull": skull,
    "whole body": whole_body,
    "lateral spine": lateral_spine,
}


def _grid(rows: int, cols: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    y, x = np.mgrid[:rows, :cols]
    return y / rows, x / cols


def _unit(picture: npt.NDArray[np.float64]) -> Float32:
    low, high = float(picture.min()), float(picture.max())
    return ((picture - low) / max(high - low, 1e-9)).astype(np.float32)


def _finish(
    picture: npt.NDArray[np.float64], rng: np.random.Generator, blur: float = 0.8, noise: float = 0.02
) -> Float32:
    smooth = cv2.GaussianBlur(picture, (0, 0), blur)
    return np.clip(smooth + rng.normal(0, noise, picture.shape), 0, 1).astype(np.float32)


def _along(start: tuple[float, float], end: tuple[float, float], t: float) -> tuple[float, float]:
    return start[0] + t * (end[0] - start[0]), start[1] + t * (end[1] - start[1])


def _bone(
    picture: npt.NDArray[np.float64],
    start: tuple[float, float],
    end: tuple[float, float],
    half: float,
    add: float,
    cortex: float = 0.0,
) -> None:
    """Add a straight bone between two (row, col) points, `half` pixels to either side, rims brighter by `cortex`."""
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]]
    along = np.array([end[0] - start[0], end[1] - start[1]])
    length = float(np.hypot(*along))
    u = ((y - start[0]) * along[0] + (x - start[1]) * along[1]) / length
    d = np.abs((x - start[1]) * along[0] - (y - start[0]) * along[1]) / length
    inside = (u >= 0) & (u <= length) & (d <= half)
    picture[inside] = np.maximum(picture[inside], add + cortex * (d[inside] > 0.75 * half))
