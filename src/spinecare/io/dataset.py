"""Datasets: the manifest read and written, made from folders or tables, checked, and split."""

from __future__ import annotations

from spinecare.errors import DatasetError
from spinecare.io.check import Report, SamePair, check_manifest
from spinecare.io.make import make_manifest
from spinecare.io.manifest import keys_of, label_of, read_manifest, write_manifest
from spinecare.io.split import split_manifest, units_of

__all__ = [
    "DatasetError",
    "Report",
    "SamePair",
    "check_manifest",
    "keys_of",
    "label_of",
    "make_manifest",
    "read_manifest",
    "split_manifest",
    "units_of",
    "write_manifest",
]
