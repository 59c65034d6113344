"""What the tags of a DICOM file say about the view.

They are witnesses, not judges: `quality.gate` looks at the picture and refuses when the two disagree.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from spinecare.scan import View

if TYPE_CHECKING:
    from pydicom import Dataset

STRONG = ("ProtocolName", "BodyPartExamined", "ViewPosition")
"""Attributes about this picture; read together."""

WEAK = ("PerformedProcedureStepDescription", "SeriesDescription", "StudyDescription")
"""Attributes about more than this picture; read one by one when the strong ones say nothing."""

# Regions by the words that name them. Vendors: GE says "AP Spine", "LVA", "DualFemur", "Total Body";
# Hologic "AP Lumbar Spine", "Left Hip", "Whole Body", "IVA" (instant vertebral assessment).
_REGIONS: tuple[tuple[View, str], ...] = (
    (View.LATERAL_SPINE, r"\b(lva|dva|iva|vfa|(lateral|instant) vertebral\w*|vertebral fracture\w*)\b"),
    (View.FEMUR, r"femur|femora|\bhips?\b|dualhip|orthohip"),
    (View.FOREARM, r"forearm|\bradius\b|\bulna\b|\bwrist\b"),
    (View.WHOLE_BODY, r"(whole|total) ?body|\bwb\b"),
    (View.OTHER, r"chest|thora|cervical|\b[ct] ?spine|hand\b|knee|skull|head|abdomen|pelvis|foot|heel"
                 r"|calcaneus|shoulder|elbow|ankle|breast|tibia|\bleg\b"),
)  # fmt: skip
_SPINE = r"spine|lumbar|\bl1 ?l4\b|\blws\b"
_LATERAL = r"\b(lat|lateral|ll|rl|lld|rld)\b"


def read_view_tags(dataset: Dataset) -> tuple[str, ...]:
    """The raw texts as "Keyword: text", strong witnesses first; empty ones are left out."""
    texts = ((keyword, _text(dataset, keyword)) for keyword in STRONG + WEAK)
    return tuple(f"{keyword}: {text}" for keyword, text in texts if text)


def read_view(dataset: Dataset) -> View:
    """The view that the tags name.

    ProtocolName, BodyPartExamined and ViewPosition are read together; when they name two different
    regions, or a body part this program does not know, the view is `OTHER`. When they name none, the
    step, series and study descriptions are asked in turn. `UNKNOWN` when nobody says anything.
    """
    named = _views_in(" ".join(_text(dataset, keyword) for keyword in STRONG))
    if len(named) == 1:
        return named.pop()
    if len(named) > 1 or _text(dataset, "BodyPartExamined"):
        return View.OTHER
    for keyword in WEAK:
        named = _views_in(_text(dataset, keyword))
        # "Hip and spine" is the name of an examination: it does not tell which picture this is.
        if len(named) == 1:
            return named.pop()
    return View.UNKNOWN


def _views_in(text: str) -> set[View]:
    """All views that a text names. A spine is AP unless the text says lateral: so densitometry speaks."""
    text = re.sub(r"[^a-z0-9]+", " ", text.lower()).strip()
    text = re.sub(r"\b([a-z])spine\b", r"\1 spine", text)
    views = {view for view, pattern in _REGIONS if re.search(pattern, text)}
    lumbar = re.search(_SPINE, re.sub(r"\b[ct] spine\b", "", text))
    if re.search(_LATERAL, text) and (lumbar or View.LATERAL_SPINE in views):
        return (views - {View.AP_SPINE}) | {View.LATERAL_SPINE}
    if lumbar and View.LATERAL_SPINE not in views:
        views.add(View.AP_SPINE)
    return views


def _text(dataset: Dataset, keyword: str) -> str:
    value = dataset.get(keyword)
    return "" if value is None else str(value).strip()
