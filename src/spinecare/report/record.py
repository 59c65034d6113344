"""The record of one file: its answer as JSON values with what a page needs to show it, and its pictures.

What is kept, shown, printed and sent is made from this alone: a page that is opened in ten years shows what
was answered then, by the model of then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from spinecare.bundle.read import Bundle
from spinecare.errors import AssessmentError
from spinecare.explain.maps import METHOD, class_maps, enlarged, joint_map, overlay
from spinecare.explain.weights import Weight, member_weights
from spinecare.report.json import Answer, to_json
from spinecare.report.picture import (
    Picture,
    Shape,
    map_picture,
    picture_size,
    prepared_picture,
    scan_picture,
    shapes_on_prepared,
    shapes_on_scan,
)
from spinecare.report.words import OUR_FAULT, OUR_FAULT_HINT, member_name
from spinecare.scan import Assessment, Float32, Label, Refused, Scan

# A map is coarse: more pixels would show nothing more.
MAP_LONGEST = 320


@dataclass(frozen=True, eq=False)
class Record:
    """What is kept of one answer.

    record
        JSON values: the object of DESIGN 7, `file` empty (a name can be a person's), and `display`.
    pictures
        Name -> bytes of a PNG: `scan`, `prepared`, `map`, `map_<member>`. `display.pictures` names them by SHA-256.
    """

    record: dict[str, Any]
    pictures: dict[str, bytes]


def make_record(outcome: Answer, scan: Scan | None, sha256: str, seconds: float, bundle: Bundle | None) -> Record:
    """The record of one file.

    Parameters
    ----------
    outcome
        What came of the file.
    scan
        The scan as it was read and assessed, or None when it could not be read.
    sha256
        Of the whole file, in lower-case hex.
    seconds
        Wall time from the file's bytes to the outcome.
    bundle
        The model that answered; without it nothing is explained.

    Raises
    ------
    ValueError
        When an assessment comes without its scan, or holds a number that is none.
    """
    if isinstance(outcome, AssessmentError):
        # What broke inside is for the log; it may name things that are not the sender's business.
        outcome = AssessmentError(OUR_FAULT, OUR_FAULT_HINT)
    display: dict[str, Any] = {"seconds": round(seconds, 3), "scan": None, "notes": [], "pictures": {}}
    pictures: dict[str, Picture] = {}
    if isinstance(outcome, Assessment | Refused):
        if scan is None:
            raise ValueError("An answer to a scan needs the scan.")
        display |= _seen(scan)
        pictures["scan"] = scan_picture(scan)
    if isinstance(outcome, Assessment) and scan is not None:
        display |= _answered(outcome, scan)
        pictures["prepared"] = prepared_picture(outcome.prepared)
        if bundle is not None:
            weights = member_weights(outcome.members, bundle.spec)
            display["weights"] = {name: asdict(weight) for name, weight in weights.items()}
            maps, left_out = class_maps(bundle, outcome.features)
            pictures |= _overlays(outcome, scan, maps, weights)
            display["explanation"] = _explanation(list(maps), left_out)
    display["pictures"] = {name: _named(picture) for name, picture in pictures.items()}
    record = {**to_json(outcome, "", sha256), "display": display}
    return Record(record, {name: picture.png for name, picture in pictures.items()})


def _seen(scan: Scan) -> dict[str, Any]:
    rows, cols = scan.pixels.shape
    patient = scan.patient
    return {
        "scan": {
            "rows": rows,
            "cols": cols,
            "spacing_mm": None if scan.spacing_mm is None else [float(mm) for mm in scan.spacing_mm],
            "spacing_source": scan.spacing_source,
            "media_type": scan.source.media_type,
            "view": scan.view.value,
        },
        "patient": {
            "sex": patient.sex,
            "age_years": patient.age_years,
            "height_cm": patient.height_cm,
            "weight_kg": patient.weight_kg,
        },
    }


def _answered(answer: Assessment, scan: Scan) -> dict[str, Any]:
    prepared = answer.prepared
    return {
        "notes": list(prepared.notes),
        "threshold": answer.threshold,
        "prevalence": dict(answer.prevalence),
        "assumed_prevalence": dict(answer.assumed_prevalence),
        "weights": {},
        "levels": _shapes(shapes_on_scan(answer.levels, scan)),
        "levels_from_image": _shapes(shapes_on_scan(prepared.levels_from_image, scan)),
        "levels_on_prepared": _shapes(shapes_on_prepared(prepared)),
        "explanation": None,
    }


def _overlays(
    answer: Assessment, scan: Scan, maps: Mapping[str, Float32], weights: Mapping[str, Weight]
) -> dict[str, Picture]:
    """`map` (the members together, by their shares) and `map_<member>`; nothing where no member has a map."""
    if not maps:
        return {}
    rows, cols = answer.prepared.image.shape
    large = {f"map_{name}": enlarged(one, rows, cols) for name, one in maps.items()}
    joint = joint_map(maps, {name: weight.share for name, weight in weights.items()}, rows, cols)
    shape = picture_size(scan, longest=MAP_LONGEST)
    mapping = answer.prepared.mapping
    return {
        name: map_picture(overlay(one, mapping, scan.pixels.shape, shape), scan)
        for name, one in {"map": joint, **large}.items()
    }


def _explanation(members: list[str], left_out: Sequence[str]) -> dict[str, Any] | None:
    if not members:
        return None
    names = " and ".join(member_name(name) for name in left_out)
    more = f" Not shown, as its shape hardly depends on what the network’s last layer says: {names}." if names else ""
    return {"of": Label.OSTEOPOROSIS.value, "method": METHOD + more, "members": members}


def _shapes(shapes: Sequence[Shape]) -> list[dict[str, Any]]:
    return [asdict(shape) for shape in shapes]


def _named(picture: Picture) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(picture.png).hexdigest(), "width": picture.width, "height": picture.height}
