"""What readers say of an assessment: kept as labels, with who and when, added to and never changed."""

from __future__ import annotations

import unicodedata

from sqlalchemy import select
from sqlalchemy.orm import Session

from spinecare.scan import LABELS
from spinecare.store import audit
from spinecare.store.actor import Actor
from spinecare.store.models import AssessmentRow, Outcome, Reading, State, Verdict
from spinecare.store.site import Site

LONGEST_REASON = 1000


def add(site: Site, key: str, verdict: str | None, label: str | None, reason: str | None, actor: Actor) -> Reading:
    """Keep what a reader says of an assessment.

    Parameters
    ----------
    key
        The assessment's.
    verdict
        `agree` (the class is the model's), `correct` (with `label` and `reason`) or `not_usable` (with `reason`).
    label
        The right class: normal, low_bone_mass, osteoporosis. Taken with `correct` alone.

    Returns
    -------
    The reading. Sent twice in a row by the same reader, it is kept once.

    Raises
    ------
    LookupError
        When there is no such assessment.
    ValueError
        With a sentence for the reader, when the reading is not complete or cannot be given here.
    """
    reason = _clean(reason)
    with site.db.begin() as session:
        # Locked against deletion: it stays until the reading stands, or is gone already.
        row = session.scalar(select(AssessmentRow).where(AssessmentRow.key == key).with_for_update(key_share=True))
        if row is None:
            raise LookupError(key)
        label = _checked(row, verdict, label or None, reason)
        assert verdict is not None
        last = _last(session, row)
        if last and (last.by, last.verdict, last.label, last.reason) == (actor.key, verdict, label, reason):
            return last
        reading = Reading(
            assessment_id=row.id, verdict=verdict, label=label, reason=reason, by=actor.key, by_name=actor.name[:128]
        )
        session.add(reading)
        session.flush()
        audit.note(site.db, session, actor, audit.Action.READING, "assessment", key, verdict=verdict)
        return reading


def can_agree(row: AssessmentRow) -> bool:
    """Whether there is a class to agree with: an abstention and a refusal name none."""
    return row.outcome == Outcome.ASSESSED and row.category is not None


def can_be_read(row: AssessmentRow) -> bool:
    """Whether there is a picture that a reader can judge."""
    return row.state == State.DONE and row.outcome in {Outcome.ASSESSED, Outcome.REFUSED}


def _checked(row: AssessmentRow, verdict: str | None, label: str | None, reason: str | None) -> str | None:
    # The label that is kept; ValueError where the reading is not complete.
    if not can_be_read(row):
        raise ValueError("There is no scan to read here yet: wait until it was assessed.")
    if verdict == Verdict.AGREE:
        if not can_agree(row):
            raise ValueError("The model gave no class to agree with: give the right class, or say why not usable.")
        return row.category
    if verdict == Verdict.CORRECT:
        if label not in {str(known) for known in LABELS}:
            raise ValueError("Choose the right class.")
        if label == row.category:
            raise ValueError("That is the model’s own class: choose “Agree”, or another class.")
        if not reason:
            raise ValueError("Say in a few words why the class is another.")
        return label
    if verdict == Verdict.NOT_USABLE:
        if not reason:
            raise ValueError("Say in a few words why the scan is not usable.")
        return None
    raise ValueError("Choose “Agree”, “Correct” or “Not usable”.")


def _last(session: Session, row: AssessmentRow) -> Reading | None:
    return session.scalar(select(Reading).where(Reading.assessment_id == row.id).order_by(Reading.id.desc()).limit(1))


def _clean(reason: str | None) -> str | None:
    # Line breaks stay; other control characters (PostgreSQL takes no NUL) and spaces around go.
    text = (reason or "").replace("\r\n", "\n")
    text = "".join(c for c in text if c == "\n" or unicodedata.category(c) not in {"Cc", "Cs"}).strip()
    if len(text) > LONGEST_REASON:
        raise ValueError(f"The reason is longer than {LONGEST_REASON:,} characters: shorten it.")
    return text or None
