"""Is a scan that passed the gate usable? Named checks with their numbers; the worst of them refuse.

A check that fails is shown beside the answer. Only where a measure is beyond its hard limit as well does the scan
get no answer (`refuse`). All grey is that of the picture without overlays, sampled where the members look.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spinecare.scan import Bool, Check, Float32, Prepared, RefusalCode, Refused

LEVELS = 4
SAMPLES = (96, 48)
"""Rows and columns of points on the prepared picture. The spine takes the middle half of its columns."""

WHITE = 0.99
"""Grey (of 1) from which a pixel is saturated."""


@dataclass(frozen=True)
class HardLimit:
    """Beyond `limit`, above it or below, the scan is refused with `code`; `hint` says what can be done."""

    limit: float
    above: bool
    code: RefusalCode
    hint: str


_HINT_COVERED = "Scan again with the spine in the middle, from above L1 to below L4, and soft tissue on both sides."
_HINT_EXPORT = "Export the scan with the manufacturer's own grey window, or repeat it."
HARD: dict[str, HardLimit] = {
    "levels": HardLimit(3.5, False, RefusalCode.LEVELS_NOT_FOUND, "Send a scan that shows L1 to L4 whole."),
    "covered": HardLimit(0.6, False, RefusalCode.NOT_COVERED, _HINT_COVERED),
    "soft_tissue": HardLimit(0.2, False, RefusalCode.NOT_COVERED, _HINT_COVERED),
    "contrast": HardLimit(0.12, False, RefusalCode.LOW_CONTRAST, _HINT_EXPORT),
    "brightness": HardLimit(0.05, False, RefusalCode.LOW_CONTRAST, _HINT_EXPORT),
    "clipping": HardLimit(0.6, True, RefusalCode.CLIPPED, _HINT_EXPORT),
    "unbroken": HardLimit(0.01, True, RefusalCode.NOT_COVERED, "Copy or export the scan again and send the new file."),
}

FLAT = 0.02
"""A row across the spine whose greys differ by less than this share of the crop's own range shows nothing."""


def check(prepared: Prepared) -> tuple[Check, ...]:
    """All checks of a prepared scan.

    Returns
    -------
    `levels`, `covered`, `soft_tissue`, `contrast`, `brightness`, `clipping`, `unbroken`, `confidence`, and
    `agreement` when there are both an operator's levels and levels from the image.
    """
    grey, scanned = _sample(prepared)
    spine, left, right = _columns()
    checks = [_levels(prepared), *_coverage(scanned, spine, left, right)]
    bone = grey[:, spine][scanned[:, spine]]
    sides = [grey[:, cols][scanned[:, cols]] for cols in (left, right)]
    checks += _tone(bone, [side for side in sides if side.size])
    checks += [_unbroken(prepared), _confidence(prepared)]
    if len(prepared.levels_from_image) == len(prepared.levels) == LEVELS:
        checks.append(_agreement(prepared))
    return tuple(checks)


def refuse(checks: tuple[Check, ...]) -> Refused | None:
    """Refuse a scan for the first check that is beyond its hard limit; None when none is."""
    for one in checks:
        hard = HARD.get(one.name)
        if hard is None or one.passed:
            continue
        if (one.value > hard.limit) if hard.above else (one.value < hard.limit):
            return Refused(
                hard.code,
                one.sentence,
                hard.hint,
                details={"check": one.name, "value": round(one.value, 4), "limit": hard.limit, "unit": one.unit},
            )
    return None


def _columns() -> tuple[Bool, Bool, Bool]:
    """Which columns of the samples are the spine, its left and its right soft tissue."""
    at = (np.arange(SAMPLES[1]) + 0.5) / SAMPLES[1]
    return (at > 0.3) & (at < 0.7), at < 0.2, at > 0.8


def _sample(prepared: Prepared) -> tuple[Float32, Bool]:
    """Grey of the clean scan, float32 of shape SAMPLES, and whether the point was scanned."""
    height, width = prepared.image.shape
    rows, cols = ((np.arange(n) + 0.5) * size / n - 0.5 for n, size in zip(SAMPLES, (height, width), strict=True))
    points = np.stack(np.meshgrid(rows, cols, indexing="ij"), axis=-1).reshape(-1, 2)
    at = np.rint(prepared.mapping.to_scan(points)).astype(np.intp)
    shape = np.array(prepared.clean.shape)
    inside = ((at >= 0) & (at < shape)).all(axis=1)
    row, col = np.clip(at, 0, shape - 1).T
    grey = np.clip(np.nan_to_num(prepared.clean[row, col]), 0.0, 1.0).astype(np.float32)
    return grey.reshape(SAMPLES), (inside & prepared.valid[row, col]).reshape(SAMPLES)


def _levels(prepared: Prepared) -> Check:
    count = len(prepared.levels)
    sentence = "L1 to L4 were found." if count == LEVELS else f"Only {count} of the four levels were found."
    return Check("levels", count == LEVELS, float(count), float(LEVELS), "levels", sentence)


def _unbroken(prepared: Prepared) -> Check:
    """Rows within the crop that show nothing across the spine, as a torn file leaves them: native DICOM and BMP
    have no checksum that would tell. At the crop's upper and lower end such rows are unscanned margins; dense bone
    can be white from side to side."""
    raw = prepared.raw
    cols = raw.shape[1]
    spine = raw[:, cols // 4 : cols - cols // 4]
    least = FLAT * max(float(np.ptp(raw)), float(np.finfo(np.float32).tiny))
    shown = np.flatnonzero((np.ptp(spine, axis=1) >= least) | (spine.min(axis=1) >= 0.9 * raw.max()))
    flat = shown[-1] - shown[0] + 1 - shown.size if shown.size else 0
    share = float(flat / raw.shape[0])
    passed = share <= 0.0
    return Check(
        "unbroken",
        passed,
        share,
        0.0,
        "share",
        "The picture of the spine is unbroken."
        if passed
        else f"The picture is broken: {share:.0%} of the rows from L1 to L4 are blank.",
    )


def _coverage(scanned: Bool, spine: Bool, left: Bool, right: Bool) -> list[Check]:
    edge = SAMPLES[0] // 10
    bone = scanned[:, spine]
    ends = {"L1": float(bone[:edge].mean()), "L4": float(bone[-edge:].mean())}
    worst = min(ends, key=lambda name: ends[name])
    covered = Check(
        "covered",
        ends[worst] >= 0.8,
        ends[worst],
        0.8,
        "share",
        "L1 to L4 lie inside the scanned area."
        if ends[worst] >= 0.8
        else f"{worst} is cut off: only {ends[worst]:.0%} of its outer end was scanned.",
    )
    beside = min(float(scanned[:, cols].mean()) for cols in (left, right))
    tissue = Check(
        "soft_tissue",
        beside >= 0.6,
        beside,
        0.6,
        "share",
        "Soft tissue is seen on both sides of the spine."
        if beside >= 0.6
        else f"Only {beside:.0%} of the soft tissue on one side of the spine was scanned.",
    )
    return [covered, tissue]


def _tone(bone: Float32, sides: list[Float32]) -> list[Check]:
    """Contrast, brightness and clipping of the bone; nothing scanned counts as dark."""
    level = float(np.median(bone)) if bone.size else 0.0
    ground = max((float(np.median(side)) for side in sides), default=level)
    contrast = level - ground
    white = float((bone >= WHITE).mean()) if bone.size else 0.0
    return [
        Check(
            "contrast",
            contrast >= 0.2,
            contrast,
            0.2,
            "grey",
            "Bone stands out well from the soft tissue."
            if contrast >= 0.2
            else f"Bone hardly stands out from the soft tissue: by {contrast:.2f} of the range from black to white.",
        ),
        Check(
            "brightness",
            level >= 0.15,
            level,
            0.15,
            "grey",
            "The bone is bright enough." if level >= 0.15 else f"The bone is very dark: {level:.2f} of white.",
        ),
        Check(
            "clipping",
            white <= 0.15,
            white,
            0.15,
            "share",
            "Hardly any bone is saturated."
            if white <= 0.15
            else f"{white:.0%} of the bone is saturated: its density can't be told there.",
        ),
    ]


def _confidence(prepared: Prepared) -> Check:
    value = min((level.confidence for level in prepared.levels), default=0.0)
    if any(level.source == "operator_roi" for level in prepared.levels):
        said = "The levels were placed by the operator."
    else:
        said = f"The levels were found in the picture, with a confidence of {value:.0%}."
    return Check("confidence", value >= 0.5, value, 0.5, "share", said)


def _agreement(prepared: Prepared) -> Check:
    """Largest distance of a boundary found in the image from the operator's, in level heights."""
    ours, theirs = (
        np.array([level.top_row for level in levels] + [levels[-1].bottom_row])
        for levels in (prepared.levels_from_image, prepared.levels)
    )
    height = max(float(theirs[-1] - theirs[0]) / LEVELS, 1e-6)
    worst = float(np.abs(ours - theirs).max()) / height
    near = worst <= 0.5
    return Check(
        "agreement",
        near,
        worst,
        0.5,
        "level heights",
        "The image alone gives the same levels as the operator."
        if near
        else f"The image alone gives other levels than the operator, by up to {worst:.1f} of a level's height.",
    )
