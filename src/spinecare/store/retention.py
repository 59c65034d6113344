"""Deletion: of an assessment, of a patient with everything of theirs, of what is older than the clinic keeps.

Rows go first, in one transaction; then the files that no row names any more. Killed in between, the files stay behind
without a name until `sweep` finds them. The lock "files" keeps a file from being removed while somebody stores a row
that names it: who keeps a file takes that lock in the transaction of its row, and looks there whether the file is still
there. Deletion takes it too, and first, as they do: so none of them waits in a circle.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy import Select, delete, exists, func, select
from sqlalchemy.orm import Session

from spinecare.settings import SiteSettings
from spinecare.store import audit
from spinecare.store.actor import SYSTEM, Actor
from spinecare.store.audit import Action
from spinecare.store.database import Database, now
from spinecare.store.files import FileStore
from spinecare.store.models import (
    AssessmentRow,
    Batch,
    IdempotencyKey,
    PatientRow,
    Picture,
    ScanRow,
    SessionRow,
    State,
    Upload,
)
from spinecare.store.named import named, slices, unnamed

log = logging.getLogger(__name__)


class Store(Protocol):
    """What deletion needs of an installation (`store.site.Site` is one)."""

    @property
    def settings(self) -> SiteSettings: ...

    @property
    def db(self) -> Database: ...

    @property
    def files(self) -> FileStore: ...


SLICE = 200  # assessments in one transaction, so that nobody waits long
IDEMPOTENCY_HOURS = 24
# A file without a name is left alone this long: its row may be on the way.
ORPHAN_SECONDS = 3600.0
HALF_WRITTEN_SECONDS = 86400.0


def delete_assessment(store: Store, key: str, actor: Actor) -> bool:
    """Delete an assessment with its uploads, readings and pictures, and its scan when nothing else is known of that.

    False when there is no such assessment.
    """
    with store.db.begin() as session:
        store.db.lock(session, "files")
        row_id = session.scalar(select(AssessmentRow.id).where(AssessmentRow.key == key))
        if row_id is None:
            return False
        files = _delete_assessments(session, [row_id])
        audit.note(store.db, session, actor, Action.DELETE, "assessment", key)
    _forget(store, files)
    return True


def delete_patient(store: Store, key: str, actor: Actor) -> bool:
    """Delete a patient: identity, scans, assessments, readings, pictures. False when there is no such patient."""
    with store.db.begin() as session:
        store.db.lock(session, "files")
        store.db.lock(session, "patients")
        patient_id = session.scalar(select(PatientRow.id).where(PatientRow.key == key).with_for_update())
        if patient_id is None:
            return False
        scans = list(session.scalars(_locked(select(ScanRow.id).where(ScanRow.patient_id == patient_id))))
        asked = list(session.scalars(select(AssessmentRow.id).where(AssessmentRow.scan_id.in_(scans))))
        files = _delete_assessments(session, asked) | _delete_bare_scans(session, scans)
        session.execute(delete(PatientRow).where(PatientRow.id == patient_id))
        audit.note(store.db, session, actor, Action.DELETE, "patient", key, scans=len(scans), assessments=len(asked))
    _forget(store, files)
    return True


def expire(store: Store, at: datetime | None = None) -> int:
    """Delete what was last sent more than `retention_days` before `at` (now, when None), and patients whom that leaves
    without a scan. What still waits for its answer stays. How many assessments went; 0 when the clinic keeps all.
    """
    days = store.settings.retention_days
    if days is None:
        return 0
    before = (at or now()) - timedelta(days=days)
    total = 0
    files: set[str] = set()
    while True:
        with store.db.begin() as session:
            store.db.lock(session, "files")
            old = list(session.scalars(_older_than(before).limit(SLICE)))
            if not old:
                break
            files |= _delete_assessments(session, old)
            audit.note(store.db, session, SYSTEM, Action.DELETE, "retention", "", assessments=len(old), days=days)
        total += len(old)
    _forget(store, files)
    with store.db.begin() as session:
        store.db.lock(session, "patients")
        bare = ~exists().where(ScanRow.patient_id == PatientRow.id)
        gone = list(
            session.scalars(select(PatientRow.id).where(PatientRow.created_at < before, bare).with_for_update())
        )
        if gone:
            session.execute(delete(PatientRow).where(PatientRow.id.in_(gone)))
            audit.note(store.db, session, SYSTEM, Action.DELETE, "retention", "", patients=len(gone), days=days)
    if total or gone:
        log.info("retention: %d assessments and %d patients deleted", total, len(gone))
    return total


def tidy(store: Store, at: datetime | None = None) -> None:
    """Remove what has no use any more: sessions that are over, old idempotency keys, batches without a file."""
    at = at or now()
    with store.db.begin() as session:
        session.execute(delete(SessionRow).where(SessionRow.expires_at < at))
        session.execute(delete(IdempotencyKey).where(IdempotencyKey.at < at - timedelta(hours=IDEMPOTENCY_HOURS)))
        used = exists().where(Upload.batch_id == Batch.id)
        session.execute(delete(Batch).where(Batch.at < at - timedelta(days=1), ~used))


def sweep(store: Store, older_than_s: float = ORPHAN_SECONDS) -> int:
    """Remove files that no row names, and what was left half written; how many. For what a killed process left."""
    with store.db.read() as session:
        known = named(session)
    limit = time.time() - older_than_s
    orphans = [sha256 for sha256 in store.files.all() if sha256 not in known and _older(store, sha256, limit)]
    removed = _forget(store, orphans) if orphans else 0
    half = time.time() - max(older_than_s, HALF_WRITTEN_SECONDS)
    for path in (store.files.folder / "incoming").iterdir():
        with contextlib.suppress(FileNotFoundError):  # it has come in whole meanwhile
            if path.stat().st_mtime < half:
                path.unlink()
                removed += 1
    if removed:
        log.info("sweep: %d files without a name removed", removed)
    return removed


def _older_than(before: datetime) -> Select[int]:
    last_sent = select(func.max(Upload.at)).where(Upload.assessment_id == AssessmentRow.id).scalar_subquery()
    return (
        select(AssessmentRow.id)
        .where(AssessmentRow.created_at < before, AssessmentRow.state.in_([State.DONE, State.FAILED]))
        .where(func.coalesce(last_sent, AssessmentRow.created_at) < before)
        .order_by(AssessmentRow.id)
    )


def _delete_assessments(session: Session, ids: list[int]) -> set[str]:
    """Delete these rows and the scans that lose their last assessment. The files they named."""
    scans = sorted(set(session.scalars(select(AssessmentRow.scan_id).where(AssessmentRow.id.in_(ids)))))
    # Locked before it is counted: an upload of the same file that comes now either is counted, or waits for us.
    session.execute(_locked(select(ScanRow.id).where(ScanRow.id.in_(scans))))
    pictures = set(session.scalars(select(Picture.sha256).where(Picture.assessment_id.in_(ids))))
    session.execute(delete(AssessmentRow).where(AssessmentRow.id.in_(ids)))
    return pictures | _delete_bare_scans(session, scans)


def _delete_bare_scans(session: Session, ids: list[int]) -> set[str]:
    bare = ~exists().where(AssessmentRow.scan_id == ScanRow.id)
    found = session.execute(select(ScanRow.id, ScanRow.sha256).where(ScanRow.id.in_(ids), bare)).all()
    session.execute(delete(ScanRow).where(ScanRow.id.in_([scan_id for scan_id, _ in found])))
    return {sha256 for _, sha256 in found}


def _locked(query: Select[int]) -> Select[int]:
    return query.order_by(ScanRow.id).with_for_update()


def _forget(store: Store, hashes: Iterable[str]) -> int:
    """Remove those files that nothing names (any more); how many."""
    removed = 0
    for some in slices(hashes):
        with store.db.begin() as session:
            store.db.lock(session, "files")
            for sha256 in unnamed(session, some):
                store.files.remove(sha256)
                removed += 1
    return removed


def _older(store: Store, sha256: str, limit: float) -> bool:
    try:
        return store.files.path(sha256).stat().st_mtime < limit
    except FileNotFoundError:
        return False
