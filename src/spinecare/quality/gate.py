"""What is this picture? Only an upright AP lumbar spine passes; anything else is refused before any label.

The picture decides, the tags are a second witness: when a tag names a view and the picture shows another,
the scan is refused. An operator's burned-in drawing proves nothing and is taken off first.

Every sign that falls short of what AP spines show costs points, in proportion to how far; a picture with more
than `MOST_POINTS` is no AP spine. The limits were set by looking at one half of the real scans (even groups of
`spine_dxa`), at crops of one real lateral spine and one femur, and at the pictures of `tests/pictures.py`, with a
margin on both sides; no weights were fitted. `CREDIT` came after the first look at the other half (60 of 64
passed, then 63).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from spinecare.quality.band import find_band, signs, small_copy, straighten
from spinecare.quality.plain import is_text, plain_refusal
from spinecare.quality.upright import upright_score, upright_signs
from spinecare.scan import Float32, RefusalCode, Refused, Scan, View

if TYPE_CHECKING:
    from spinecare.prepare.pipeline import Found

MOST_POINTS = 1.3
"""Points above which a picture is no AP spine. Real scans (the half looked at): at most 0.9; others: over 2.3."""

CREDIT, CREDIT_UPRIGHT = 0.6, 0.8
"""Points given back when the details clearly agree on which end is up: few other things have a direction."""

UPRIGHT_LEAST = -0.25
"""Upright score below which a spine is upside down. Usual upright scans have 1.0 (SD 0.25)."""


@dataclass(frozen=True)
class Sign:
    """One sign of an AP spine, which should be above `limit` (or below it, if not `high`).

    What it falls short costs a point per `scale`; `lack` says what is missing then.
    """

    name: str
    high: bool
    limit: float
    scale: float
    lack: str

    def short(self, signs: dict[str, float]) -> float:
        """Points that this sign costs, 0 to 3."""
        short = self.limit - signs[self.name] if self.high else signs[self.name] - self.limit
        return float(np.clip(short / self.scale, 0.0, 3.0))


_NO_BAND = "no bright band stands out from darker tissue on both its sides"
_MIDDLE = "the two halves of the bright band are not mirror images of each other"
_REPEAT = "nothing repeats along the bright band from vertebra to vertebra"
SIGNS: tuple[Sign, ...] = (
    Sign("contrast", True, 0.40, 0.14, _NO_BAND),
    Sign(
        "contrast_low",
        True,
        0.20,
        0.15,
        "the bright band does not run from the top of the picture to the bottom",
    ),
    Sign("jump", True, 0.46, 0.14, _NO_BAND),
    Sign("filled", True, 0.76, 0.12, "the bright band has gaps where a spine has bone"),
    Sign("outside", False, 0.10, 0.12, "there is much as bright as bone beside the band"),
    Sign("profile", True, 0.92, 0.10, _MIDDLE),
    Sign("symmetry", True, 0.45, 0.25, _MIDDLE),
    Sign("mirror", True, 0.0, 0.10, _MIDDLE),
    Sign("skew", False, 0.18, 0.08, _MIDDLE),
    Sign("sides", False, 0.15, 0.15, "one side of the band is much brighter than the other"),
    Sign("lean", False, 0.09, 0.12, "the bright band leans"),
    Sign("repeat", True, 0.20, 0.14, _REPEAT),
    Sign("dip", True, 0.50, 0.25, _REPEAT),
    Sign("again", True, 0.06, 0.06, _REPEAT),
    Sign("even", True, 0.35, 0.20, "the bright band has vertebrae in one part only"),
    Sign("hollow", True, 0.68, 0.15, "there is a gap along the middle of the band, as between two bones"),
    Sign("wobble", False, 0.14, 0.08, "the width of the bright band jumps up and down"),
    Sign("relief", True, 0.16, 0.10, "the bright band has no vertebrae: its tone hardly changes from top to bottom"),
    Sign("relief", False, 0.42, 0.20, "the tone along the bright band changes more than in a spine"),
)
_SIDEWAYS = ("profile", "symmetry", "mirror", "skew", "sides", "lean")

VIEW_WORDS = {
    View.AP_SPINE: "an AP spine",
    View.LATERAL_SPINE: "a lateral spine",
    View.FEMUR: "a hip (femur)",
    View.FOREARM: "a forearm",
    View.WHOLE_BODY: "a whole body",
    View.OTHER: "a region other than the AP spine",
}
_HINT_AP = "Send the AP (front to back) scan of the lumbar spine."


@dataclass(frozen=True)
class Seen:
    """What the picture shows: the signs, the points they cost, and the upright score."""

    signs: dict[str, float]
    points: dict[str, float]
    upright: float

    @property
    def total(self) -> float:
        """All points together."""
        return sum(self.points.values())

    @property
    def is_spine(self) -> bool:
        """Few enough points for an AP spine, either way up."""
        return self.total - (CREDIT if abs(self.upright) >= CREDIT_UPRIGHT else 0.0) <= MOST_POINTS

    def details(self) -> dict[str, Any]:
        """For `Refused.details`: plain numbers, rounded."""
        return {
            "points": round(self.total, 2),
            "most_points": MOST_POINTS,
            "points_by_sign": {name: round(value, 2) for name, value in self.points.items() if value > 0},
            "signs": {name: round(value, 3) for name, value in self.signs.items()},
            "upright": round(self.upright, 2),
        }


def gate(scan: Scan, found: Found) -> Refused | None:
    """Refuse whatever is no upright AP lumbar spine; None for one.

    Parameters
    ----------
    scan
        The scan as read; its tags and colours are used.
    found
        From `prepare.pipeline.find_levels`: the picture without overlays, and what was scanned. The levels found
        there are not used: whether this is a spine must not hang on a search that takes for granted that it is.
    """
    small = small_copy(found.clean, found.valid)
    refused = plain_refusal(scan, found.clean, small) or _judge(scan, found.clean, small)
    return None if refused is None else replace(refused, source=scan.source)


def look(small: Float32) -> Seen:
    """The signs of a small copy (`band.small_copy`) and what they cost."""
    band = find_band(small)
    strip, across = straighten(small, band)
    seen = signs(small, band, strip, across)
    points: dict[str, float] = {}
    for sign in SIGNS:
        points[sign.name] = points.get(sign.name, 0.0) + sign.short(seen)
    upright = upright_score(upright_signs(strip, across, seen["growth"]))
    return Seen(seen, points, upright)


def _judge(scan: Scan, clean: Float32, small: Float32) -> Refused | None:
    seen = look(small)
    details = seen.details() | {"view": scan.view.value, "view_tags": list(scan.view_tags)}
    tagged_other = scan.view not in (View.AP_SPINE, View.UNKNOWN)
    if not seen.is_spine:
        return _not_a_spine(scan, clean, small, seen, details)
    if tagged_other:
        return Refused(
            RefusalCode.TAGS_DISAGREE,
            f"The file says it is {VIEW_WORDS[scan.view]}, but the picture looks like an AP spine.",
            "Check which examination this file belongs to and send it with the right tags.",
            details=details,
        )
    if seen.upright < UPRIGHT_LEAST:
        return Refused(
            RefusalCode.UPSIDE_DOWN,
            "The spine is upside down: it grows narrower downward, and its ribs and vertebrae point up.",
            "Turn the picture so that the head is at the top, and send it again.",
            details=details,
        )
    return None


def _not_a_spine(scan: Scan, clean: Float32, small: Float32, seen: Seen, details: dict[str, Any]) -> Refused:
    """Say as well as can be told what the picture is instead."""
    if scan.view not in (View.AP_SPINE, View.UNKNOWN):
        return Refused(
            RefusalCode.OTHER_VIEW,
            f"The file says it is {VIEW_WORDS[scan.view]}, and the picture shows no AP spine either.",
            _HINT_AP,
            details=details,
        )
    if is_text(clean):
        return Refused(
            RefusalCode.TEXT_SCREEN,
            "The picture is a screen or a page of text, not a scan.",
            "Send the scan itself, not the report or a screenshot of the program.",
            details=details,
        )
    if look(np.ascontiguousarray(np.rot90(small))).is_spine:
        return Refused(
            RefusalCode.NOT_A_SPINE,
            "The spine lies on its side in this picture.",
            "Turn the picture by 90 degrees so that the head is at the top, and send it again.",
            details=details | {"turned": "90 degrees"},
        )
    if look(1.0 - small).is_spine:
        return Refused(
            RefusalCode.NOT_A_SPINE,
            "The picture is a negative: bone is dark where it should be bright.",
            "Send the scan with bright bone on a dark ground.",
            details=details | {"negative": True},
        )
    why = _why(seen)
    if scan.view is View.AP_SPINE:
        return Refused(
            RefusalCode.TAGS_DISAGREE,
            f"The file says it is an AP spine, but the picture does not look like one: {why}.",
            "Check which examination this file belongs to. " + _HINT_AP,
            details=details,
        )
    if _sideways(seen):
        return Refused(
            RefusalCode.OTHER_VIEW,
            f"The picture looks like a spine, but not from the front: {why}.",
            "Send the AP (front to back) scan of the lumbar spine, not the lateral one.",
            details=details,
        )
    return Refused(RefusalCode.NOT_A_SPINE, f"The picture shows no AP lumbar spine: {why}.", _HINT_AP, details=details)


def _why(seen: Seen) -> str:
    """What is missing: the first sign that costs a whole point, else the one that costs most."""
    lacking = [sign for sign in SIGNS if sign.short(seen.signs) > 0.0]
    most = max(lacking, key=lambda sign: sign.short(seen.signs))
    return next((sign for sign in lacking if sign.short(seen.signs) >= 1.0), most).lack


def _sideways(seen: Seen) -> bool:
    """A band of vertebrae, refused mostly for what tells a lateral view: one side unlike the other."""
    sideways = sum(seen.points[name] for name in _SIDEWAYS)
    return sideways >= 0.5 * seen.total and seen.points["repeat"] + seen.points["dip"] + seen.points["contrast"] < 0.6
