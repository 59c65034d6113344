"""The audit's fits: cheap members and shortcuts, cross-validated on pictures, other pictures, or shuffled labels."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from spinecare.errors import TrainingError
from spinecare.learn.material import Material
from spinecare.learn.members.base import Member
from spinecare.scan import LABELS
from spinecare.study.baselines import Few, baselines
from spinecare.study.claims_pictures import shuffled_labels
from spinecare.study.folds import seed_of, study_folds
from spinecare.study.settings import QUICK_KINDS, StudySettings
from spinecare.study.shared import blind, open_shared, with_views

SHORTCUTS = ("brightness", "noise", "geometry", "thumbnail", "file")
CHEAP_MEMBERS = 2


@dataclass(frozen=True, eq=False)
class AuditJob:
    """Out-of-fold answers of one member.

    shared, views
        The material on disk, as `study.shared` writes it.
    shuffle
        Number of the shuffling of labels among groups, or None for their own.
    repeats
        Of the cross-validation.
    target
        File of the answers, float64 (repeats, n, 3).
    """

    name: str
    member: Member
    shared: Path
    views: Mapping[str, str]
    shuffle: int | None
    repeats: int
    folds: int
    seed: int
    target: Path


def do_audit_job(job: AuditJob) -> None:
    """Fit on every training part, answer its test part, and write the answers, whole or not at all."""
    told = with_views(open_shared(job.shared), job.views)
    labels = shuffled(told, job)
    material = replace(told, pictures=replace(told.pictures, labels=labels))
    p = np.zeros((job.repeats, len(labels), len(LABELS)))
    for fold in study_folds(labels, material.groups, job.repeats, job.folds, 2, job.seed):
        fitted = job.member.fit(blind(material, fold.train), fold.train, seed_of(job.seed, job.name, fold.name))
        p[fold.repeat, fold.test] = fitted(fold.test)
    part = job.target.with_suffix(".part")
    with part.open("wb") as stream:
        np.save(stream, p, allow_pickle=False)
    part.replace(job.target)


def shuffled(material: Material, job: AuditJob) -> np.ndarray:
    """The labels of a job, int (n,)."""
    if job.shuffle is None:
        return material.labels
    return shuffled_labels(material.labels, material.groups, seed_of(job.seed, "permutation", job.shuffle))


def cheap_members(settings: StudySettings) -> dict[str, Member]:
    """Members of the study that are fitted in a moment, and the thumbnail."""
    from spinecare.learn.members import build_member

    light = [one for one in settings.quick().members if one.kind in QUICK_KINDS][:CHEAP_MEMBERS]
    found = {one.name: build_member(one.kind, one.options) for one in light}
    return found | {"thumbnail": baselines()["thumbnail"]}


def shortcuts() -> dict[str, Member]:
    """What may tell the classes without any bone: `SHORTCUTS`."""
    known = baselines() | {"file": Few("logistic regression on the file's size, format and sides", file_facts, (), 0.1)}
    return {name: known[name] for name in SHORTCUTS if name in known}


def file_facts(material: Material, rows: np.ndarray) -> np.ndarray:
    """What a file is like without looking at the scan, float64 (m, 7): bytes, sides, bytes a pixel, colour, format."""
    from PIL import Image, UnidentifiedImageError

    if "file" not in material.pictures.rows:
        raise TrainingError("The audit looks at the scans' files, and these rows name none.")
    found = []
    for name in material.pictures.rows["file"].to_numpy()[rows]:
        size, width, height, colour, kind = Path(name).stat().st_size, 0, 0, False, "dicom"
        # A DICOM file is none of Pillow's: its size must do.
        with contextlib.suppress(UnidentifiedImageError), Image.open(name) as picture:
            (width, height), colour, kind = picture.size, picture.mode not in ("L", "I;16", "I"), picture.format
        pixels = max(width * height, 1)
        facts = [np.log(size), np.log(width + 1), np.log(height + 1), np.log(size / pixels), colour]
        found.append([*facts, kind == "JPEG", kind == "dicom"])
    return np.array(found, dtype=np.float64)
