"""The worklist: assessments by what became of them, newest first, a page at a time.

Pages follow a cursor (the place of the last row), not a number: later pages cost as much as the first, and a row
that comes in meanwhile moves nothing. Only columns are read, never the records.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, and_, exists, false, func, or_, select, tuple_
from sqlalchemy.orm import Session

from spinecare.store.models import AssessmentRow, Batch, Identity, Outcome, PatientRow, Reading, ScanRow, State, Upload

MAX_LIMIT = 500
COUNT_TO = 1000  # counting on costs time and tells nobody anything
MAX_WORDS = 6
UNREAD: Literal["unread"] = "unread"
_KEY = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class Filters:
    """What to show; what is empty asks for nothing.

    text
        Words that must all be found in the patient's name or clinic id, the file's name, or the key's beginning.
        Names are asked only when `find` is called with `named`.
    states, outcome, category
        Of the assessment. `abstained` True: assessed, and no answer.
    verdict
        The newest reading's (`Verdict`), or `unread` for assessments without one.
    since, until
        Days (UTC) of sending, both included.
    batch, patient
        Keys.
    """

    text: str = ""
    states: tuple[str, ...] = ()
    outcome: str = ""
    category: str = ""
    osteoporosis: bool | None = None
    abstained: bool = False
    verdict: str = ""
    since: date | None = None
    until: date | None = None
    batch: str = ""
    patient: str = ""


@dataclass(frozen=True)
class Row:
    """One assessment of the list. Name, clinic id and file name are None unless asked for with `named`."""

    id: int
    key: str
    at: datetime
    state: str
    outcome: str | None
    code: str | None
    osteoporosis: bool | None
    category: str | None
    probability: float | None
    acquired: date | None
    scan_key: str
    patient_key: str | None
    clinic_id: str | None = None
    name: str | None = None
    file_name: str | None = None
    verdict: str | None = None
    label: str | None = None
    read_by: str | None = None


@dataclass(frozen=True)
class Page:
    """Rows, and the cursor of the page behind them (None: this was the last)."""

    rows: tuple[Row, ...]
    next: str | None


@dataclass(frozen=True)
class BatchSummary:
    """How far a batch is: all of it, what is finished (done or failed), and how many of each (state, outcome, yes)."""

    total: int
    finished: int
    counts: dict[tuple[str, str | None, bool | None], int]


def find(session: Session, filters: Filters, cursor: str | None = None, limit: int = 50, *, named: bool = True) -> Page:
    """One page of the worklist.

    Parameters
    ----------
    cursor
        `Page.next` of the page before; None for the first.
    limit
        Rows, 1 to 500.
    named
        Whether names, clinic ids and file names are searched and told: only for who may see them.

    Raises
    ------
    ValueError
        When `cursor` is none of ours, or `limit` is out of range.
    """
    if not 1 <= limit <= MAX_LIMIT:
        raise ValueError(f"A page has 1 to {MAX_LIMIT} rows.")
    query = _columns(named).where(*_conditions(filters, named))
    if cursor is not None:
        query = query.where(tuple_(AssessmentRow.created_at, AssessmentRow.id) < tuple_(*_place(cursor)))
    query = query.order_by(AssessmentRow.created_at.desc(), AssessmentRow.id.desc()).limit(limit + 1)
    found = session.execute(query).all()
    more, found = len(found) > limit, found[:limit]
    ids = [one.id for one in found]
    files = _file_names(session, ids) if named else {}
    readings = _readings(session, ids)
    rows = tuple(Row(**one._asdict(), file_name=files.get(one.id), **readings.get(one.id, {})) for one in found)
    return Page(rows, _cursor(rows[-1]) if more else None)


def every(session: Session, filters: Filters, *, named: bool = True) -> Iterator[Row]:
    """All rows, read a page at a time."""
    cursor = None
    while True:
        page = find(session, filters, cursor, MAX_LIMIT, named=named)
        yield from page.rows
        if page.next is None:
            return
        cursor = page.next


def count(session: Session, filters: Filters, *, named: bool = True) -> int:
    """How many there are; `COUNT_TO + 1` stands for "more than that"."""
    inner = _joined(select(AssessmentRow.id), named).where(*_conditions(filters, named)).limit(COUNT_TO + 1)
    return session.scalar(select(func.count()).select_from(inner.subquery())) or 0


def batch_summary(session: Session, key: str) -> BatchSummary | None:
    """How far the files that were sent together are; None when there is no such batch."""
    if not _KEY.fullmatch(key) or session.scalar(select(Batch.id).where(Batch.key == key)) is None:
        return None
    grouped = session.execute(
        select(AssessmentRow.state, AssessmentRow.outcome, AssessmentRow.osteoporosis, func.count())
        .where(_in_batch(key))
        .group_by(AssessmentRow.state, AssessmentRow.outcome, AssessmentRow.osteoporosis)
    ).all()
    counts: Counter[tuple[str, str | None, bool | None]] = Counter()
    for state, outcome, osteoporosis, many in grouped:
        counts[state, outcome, osteoporosis] += many
    finished = sum(many for (state, _, _), many in counts.items() if state in {State.DONE, State.FAILED})
    return BatchSummary(sum(counts.values()), finished, dict(counts))


def _joined(query: Select[*tuple[Any, ...]], named: bool) -> Select[*tuple[Any, ...]]:
    query = query.select_from(AssessmentRow).join(ScanRow, ScanRow.id == AssessmentRow.scan_id)
    query = query.outerjoin(PatientRow, PatientRow.id == ScanRow.patient_id)
    return query.outerjoin(Identity, Identity.patient_id == ScanRow.patient_id) if named else query


def _columns(named: bool) -> Select[*tuple[Any, ...]]:
    a = AssessmentRow
    columns: list[Any] = [
        a.id, a.key, a.created_at.label("at"), a.state, a.outcome, a.code, a.osteoporosis, a.category, a.probability,
        ScanRow.acquired, ScanRow.key.label("scan_key"), PatientRow.key.label("patient_key"),
    ]  # fmt: skip
    return _joined(select(*columns, *([Identity.clinic_id, Identity.name] if named else [])), named)


def _conditions(filters: Filters, named: bool) -> list[ColumnElement[bool]]:
    a = AssessmentRow
    words = filters.text.replace("\0", " ").split()[:MAX_WORDS]
    conditions: list[ColumnElement[bool]] = [_holds(word, named) for word in words]
    if filters.states:
        conditions.append(a.state.in_(filters.states))
    if filters.outcome:
        conditions.append(a.outcome == filters.outcome)
    if filters.category:
        conditions.append(a.category == filters.category)
    if filters.osteoporosis is not None:
        conditions.append(a.osteoporosis.is_(filters.osteoporosis))
    if filters.abstained:
        conditions.append(and_(a.outcome == Outcome.ASSESSED, a.osteoporosis.is_(None)))
    if filters.verdict:
        conditions.append(_read_as(filters.verdict))
    if filters.since:
        conditions.append(a.created_at >= _midnight(filters.since))
    if filters.until and filters.until < date.max:
        conditions.append(a.created_at < _midnight(filters.until + timedelta(days=1)))
    if filters.batch:
        conditions.append(_in_batch(filters.batch))
    if filters.patient:
        conditions.append(PatientRow.key == filters.patient if _KEY.fullmatch(filters.patient) else false())
    return conditions


def _holds(word: str, named: bool) -> ColumnElement[bool]:
    options: list[ColumnElement[bool]] = [AssessmentRow.key.startswith(word.lower(), autoescape=True)]
    if named:
        # SQLite folds the case of a to z alone, so other letters are asked for in each case.
        for form in {word} if word.isascii() else {word, word.lower(), word.upper(), word.capitalize()}:
            options += [
                Identity.name.icontains(form, autoescape=True),
                Identity.clinic_id.icontains(form, autoescape=True),
                exists().where(
                    Upload.assessment_id == AssessmentRow.id, Upload.file_name.icontains(form, autoescape=True)
                ),
            ]
    return or_(*options)


def _read_as(verdict: str) -> ColumnElement[bool]:
    if verdict == UNREAD:
        return ~exists().where(Reading.assessment_id == AssessmentRow.id)
    newest = select(Reading.verdict).where(Reading.assessment_id == AssessmentRow.id).order_by(Reading.id.desc())
    return newest.limit(1).correlate(AssessmentRow).scalar_subquery() == verdict


def _in_batch(key: str) -> ColumnElement[bool]:
    if not _KEY.fullmatch(key):
        return false()
    uploads = select(Upload.assessment_id).join(Batch, Batch.id == Upload.batch_id).where(Batch.key == key)
    return AssessmentRow.id.in_(uploads)


def _file_names(session: Session, ids: Sequence[int]) -> dict[int, str]:
    # Sent twice under two names: the newest is told.
    query = select(Upload.assessment_id, Upload.file_name).where(Upload.assessment_id.in_(ids)).order_by(Upload.id)
    return {row.assessment_id: row.file_name for row in session.execute(query)}


def _readings(session: Session, ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    r = Reading
    query = select(r.assessment_id, r.verdict, r.label, r.by_name).where(r.assessment_id.in_(ids)).order_by(r.id)
    return {one: {"verdict": v, "label": label, "read_by": by} for one, v, label, by in session.execute(query)}


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _cursor(row: Row) -> str:
    return base64.urlsafe_b64encode(f"{row.at.isoformat()} {row.id}".encode()).decode().rstrip("=")


def _place(cursor: str) -> tuple[datetime, int]:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        at, number = text.split(" ")
        place = datetime.fromisoformat(at).astimezone(UTC), int(number)
        if datetime.fromisoformat(at).tzinfo is None or not 0 <= place[1] < 2**31:
            raise ValueError
    except (ValueError, OverflowError, binascii.Error) as error:
        raise ValueError("This cursor is none of ours: start again from the first page.") from error
    return place
