"""Answers that were written by hand, and a store to keep them in: what pages and interfaces are tested on.

`FakePool` answers by a marker in the bytes: `#yes`, `#abstain`, `#refuse`, `#unreadable`, `#slow`, `#boom`;
anything else is a no. `make_png(seed, "yes")` makes such a file.
"""

from __future__ import annotations

import hashlib
import io
import json
import time
from datetime import date, datetime
from typing import Any

import numpy as np
from PIL import Image

from spinecare.scan import ModelInfo
from spinecare.store.database import now
from spinecare.store.models import AssessmentRow, Identity, Outcome, PatientRow, Picture, ScanRow, State, Upload
from spinecare.store.site import Answered, Site

MODEL = ModelInfo("hand-made", "0.0.1", "ab" * 32, "nobody: answers written by hand for tests")
ROWS, COLS = 64, 48


def make_png(seed: int = 0, marker: str = "", rows: int = ROWS, cols: int = COLS) -> bytes:
    """A small grey PNG of noise; `marker` stands behind its end, where no reader looks."""
    pixels = np.random.default_rng(seed).integers(0, 255, (rows, cols), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue() + (f"#{marker}".encode() if marker else b"")


def _colour(alpha: int) -> bytes:
    pixels = np.zeros((ROWS, COLS, 4), np.uint8)
    pixels[10:50, 15:35] = (230, 90, 30, alpha)
    out = io.BytesIO()
    Image.fromarray(pixels, "RGBA").save(out, "PNG")
    return out.getvalue()


def hand_pictures(kind: str = "no") -> dict[str, bytes]:
    """The pictures of a record."""
    if kind == "unreadable":
        return {}
    if kind == "refuse":
        return {"scan": make_png(1)}
    maps = {f"map_{name}": _colour(90 + 20 * i) for i, name in enumerate(("cnn", "vgg16", "resnet"))}
    return {"scan": make_png(1), "prepared": make_png(2), "map": _colour(160), **maps}


def _shapes(shift: float = 0.0) -> list[dict[str, Any]]:
    edges = np.linspace(6, 58, 5) + shift
    return [
        {
            "name": name,
            "points": f"15.0,{top:.1f} 33.0,{top:.1f} 33.0,{bottom:.1f} 15.0,{bottom:.1f}",
            "right": 33.0,
            "y": round((top + bottom) / 2, 1),
        }
        for name, top, bottom in zip(("L1", "L2", "L3", "L4"), edges, edges[1:], strict=False)
    ]


def hand_record(kind: str = "no", sha256: str = "0" * 64, model: ModelInfo = MODEL) -> dict[str, Any]:
    """A record as report/record.py makes it. `kind`: no, yes, abstain, refuse, unreadable."""
    base: dict[str, Any] = {"schema": "spinecare.assessment/1", "file": "", "sha256": sha256}
    pictures = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "width": float(COLS), "height": float(ROWS)}
        for name, data in hand_pictures(kind).items()
    }
    seen = {
        "seconds": 0.123,
        "scan": {
            "rows": ROWS,
            "cols": COLS,
            "spacing_mm": None,
            "spacing_source": "unknown",
            "media_type": "image/png",
            "view": "unknown",
        },
        "patient": {"sex": None, "age_years": None, "height_cm": None, "weight_kg": None},
        "notes": ["Coloured lines of the operator were removed."],
        "pictures": pictures,
    }
    if kind == "unreadable":
        return {
            **base,
            "outcome": "unreadable",
            "code": "damaged",
            "reason": "The file is damaged: it breaks off.",
            "hint": "Copy or export the scan again and send the new file.",
            "display": {"seconds": 0.01, "scan": None, "notes": [], "pictures": {}},
        }
    if kind == "refuse":
        return {
            **base,
            "outcome": "refused",
            "code": "not_a_spine",
            "reason": "This is no AP lumbar spine.",
            "hint": "Send an AP scan of L1 to L4.",
            "display": seen,
        }
    p = {"yes": (0.02, 0.27, 0.71), "abstain": (0.30, 0.40, 0.30)}.get(kind, (0.36, 0.52, 0.12))
    names = ("normal", "low_bone_mass", "osteoporosis")
    probabilities = dict(zip(names, p, strict=True))
    yes = {"yes": "yes", "abstain": None}.get(kind, "no")
    return {
        **base,
        "outcome": "assessed",
        "osteoporosis": yes,
        "category": {"yes": "osteoporosis", "abstain": None}.get(kind, "low_bone_mass"),
        "prediction_set": {"yes": ["osteoporosis"], "abstain": list(names)}.get(kind, ["normal", "low_bone_mass"]),
        "probabilities": probabilities,
        "interval": None,
        "abstained": kind == "abstain",
        "levels": [
            {
                "name": s["name"],
                "polygon": [[6.0, 15.0], [6.0, 33.0], [19.0, 33.0]],
                "source": "operator_roi",
                "confidence": 0.93,
            }
            for s in _shapes()
        ],
        "members": {
            "cnn": {"normal": 0.30, "low_bone_mass": 0.55, "osteoporosis": 0.15},
            "vgg16": {"normal": 0.40, "low_bone_mass": 0.50, "osteoporosis": 0.10},
            "resnet": {"normal": 0.38, "low_bone_mass": 0.51, "osteoporosis": 0.11},
        },
        "quality": [
            {
                "name": "contrast",
                "passed": True,
                "value": 0.4,
                "limit": 0.1,
                "unit": "",
                "sentence": "Bone stands out.",
            },
            {
                "name": "coverage",
                "passed": False,
                "value": 0.7,
                "limit": 0.9,
                "unit": "",
                "sentence": "The scan ends inside L4.",
            },
        ],
        "measurements": {"mean_density": 0.512, "area_ratio": None},
        "model": {"name": model.name, "version": model.version, "sha256": model.sha256, "trained_on": model.trained_on},
        "warnings": ["For research, not a diagnosis.", "The age is unknown: WHO categories are for people from 50."],
        "acquired": None,
        "device": None,
        "uids": {"sop": None, "study": None},
        "display": {
            **seen,
            "threshold": 0.31,
            "prevalence": {"normal": 1 / 3, "low_bone_mass": 1 / 3, "osteoporosis": 1 / 3},
            "assumed_prevalence": {"normal": 0.5, "low_bone_mass": 0.35, "osteoporosis": 0.15},
            "weights": {
                "cnn": {"share": 0.5, "pull": -0.4},
                "vgg16": {"share": 0.3, "pull": -0.24},
                "resnet": {"share": 0.2, "pull": 0.16},
            },
            "levels": _shapes(),
            "levels_from_image": _shapes(1.5),
            "levels_on_prepared": _shapes(),
            "explanation": {
                "of": "osteoporosis",
                "method": "Class activation maps of the members.",
                "members": ["cnn", "vgg16", "resnet"],
            },
        },
    }


class FakePool:
    """A pool that decodes nothing."""

    model = MODEL

    def __init__(self) -> None:
        self.asked: list[str] = []

    def assess(self, data: bytes, name: str, given: dict[str, Any]) -> Answered:
        sha256 = hashlib.sha256(data).hexdigest()
        self.asked.append(sha256)
        kind = data.rsplit(b"#", 1)[-1].decode("ascii", "replace") if b"#" in data[-20:] else "no"
        if kind == "boom":
            raise RuntimeError("secret: /srv/hidden/path")
        if kind == "slow":
            time.sleep(0.5)
        if kind not in {"yes", "abstain", "refuse", "unreadable"}:
            kind = "no"
        return Answered(hand_record(kind, sha256), hand_pictures(kind))

    def close(self) -> None:
        pass


def put_patient(site: Site, clinic_id: str = "P-1", name: str = "Testperson^Eins", sex: str = "F") -> str:
    """A patient with an identity; the key."""
    with site.db.begin() as session:
        patient = PatientRow(sex=sex, birth_year=1950)
        session.add(patient)
        session.flush()
        session.add(Identity(patient_id=patient.id, clinic_id=clinic_id, name=name, birth_date=date(1950, 2, 3)))
        return patient.key


def put_assessment(
    site: Site,
    kind: str = "no",
    *,
    seed: int = 0,
    patient: str | None = None,
    file_name: str = "scan.png",
    by: str = "demo",
    at: datetime | None = None,
    acquired: date | None = None,
    state: State = State.DONE,
) -> str:
    """An assessment as it stands in the store once done (or `state`); its key. `patient` is a patient's key."""
    data = make_png(seed, kind)
    sha256 = site.files.put(data)
    pictures = hand_pictures(kind)
    for picture in pictures.values():
        site.files.put(picture)
    record = hand_record(kind, sha256)
    done = state == State.DONE
    with site.db.begin() as session:
        owner = session.query(PatientRow).filter_by(key=patient).one() if patient else None
        scan = ScanRow(
            sha256=sha256,
            size_bytes=len(data),
            media_type="image/png",
            acquired=acquired,
            patient_id=owner.id if owner else None,
        )
        session.add(scan)
        session.flush()
        row = AssessmentRow(
            scan_id=scan.id,
            given=json.dumps({}),
            model_sha256=MODEL.sha256,
            state=state,
            created_at=at or now(),
            attempt=1 if done else 0,
        )
        if done:
            row.finished_at = at or now()
            row.outcome = Outcome(record["outcome"])
            row.code = record.get("code")
            row.osteoporosis = {"yes": True, "no": False}.get(record.get("osteoporosis"))
            row.category = record.get("category")
            row.probability = record.get("probabilities", {}).get("osteoporosis")
            row.record = record
        session.add(row)
        session.flush()
        if done:
            for name, picture in record["display"]["pictures"].items():
                session.add(Picture(assessment_id=row.id, name=name, sha256=picture["sha256"]))
        session.add(Upload(assessment_id=row.id, file_name=file_name, by=by, at=at or now()))
        return row.key
