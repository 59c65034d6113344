"""From a record (report/record.py) to the columns of the tables."""

from __future__ import annotations

from datetime import date
from typing import Any

from spinecare.store.database import now
from spinecare.store.models import Outcome, ScanRow, State


def columns(record: dict[str, Any]) -> dict[str, Any]:
    """What the row of a finished assessment says of its record: what a worklist filters by."""
    return {
        "state": State.DONE,
        "lease_until": None,
        "finished_at": now(),
        "outcome": Outcome(record["outcome"]).value,
        "code": _short(record.get("code"), 32),
        "osteoporosis": {"yes": True, True: True, "no": False, False: False}.get(record.get("osteoporosis", "")),
        "category": _short(record.get("category"), 16),
        "probability": record.get("probabilities", {}).get("osteoporosis"),
    }


def describe(scan: ScanRow, record: dict[str, Any]) -> None:
    """Write down of the scan what is known now that it was read."""
    seen = record["display"].get("scan") or {}
    uids = record.get("uids") or {}
    scan.media_type = _short(seen.get("media_type"), 64) or scan.media_type
    if record.get("acquired"):
        scan.acquired = date.fromisoformat(record["acquired"])
    scan.device = _short(record.get("device"), 128) or scan.device
    scan.sop_uid = _short(uids.get("sop"), 64) or scan.sop_uid
    scan.study_uid = _short(uids.get("study"), 64) or scan.study_uid


def sex(record: dict[str, Any]) -> str | None:
    """The patient's, as it was used."""
    said = (record["display"].get("patient") or {}).get("sex")
    return said if said in {"F", "M"} else None


def _short(text: str | None, length: int) -> str | None:
    return text[:length] if text else None
