"""What lists say of an assessment: a word or two, and a tone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from spinecare.store.models import Outcome, State


@dataclass(frozen=True)
class Said:
    """`words` for people; `tone` chooses the colour (app.css), which never says more than the words."""

    words: str
    tone: Literal["yes", "no", "none", "problem", "wait"]


def said(state: str, outcome: str | None = None, osteoporosis: bool | None = None) -> Said:
    """The answer of an assessment, or where it stands."""
    if state != State.DONE:
        waiting = {State.QUEUED: Said("Waiting", "wait"), State.RUNNING: Said("In work", "wait")}
        return waiting.get(State(state), Said("Failed", "problem"))
    if outcome != Outcome.ASSESSED:
        return Said("Refused" if outcome == Outcome.REFUSED else "Not readable", "problem")
    if osteoporosis is None:
        return Said("No answer", "none")
    return Said("Osteoporosis", "yes") if osteoporosis else Said("No osteoporosis", "no")
