"""A pool that really reads files, in this process, and answers by hand those that can be read."""

from __future__ import annotations

import hashlib
from typing import Any

from spinecare.errors import ScanError
from spinecare.io.read import read_scan_bytes
from spinecare.store.site import Answered
from stored import FakePool, hand_pictures, hand_record


class ReadingPool(FakePool):
    """Reads for real, and answers by hand."""

    def assess(self, data: bytes, name: str, given: dict[str, Any]) -> Answered:
        sha256 = hashlib.sha256(data).hexdigest()
        try:
            read_scan_bytes(data, "scan")
        except ScanError as error:
            said = {"code": error.code.value, "reason": error.reason, "hint": error.hint}
            return Answered({**hand_record("unreadable", sha256), **said}, {})
        return Answered(hand_record("no", sha256), hand_pictures("no"))
