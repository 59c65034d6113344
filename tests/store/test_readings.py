"""What readers say: kept with who and when, whole or not at all."""

from __future__ import annotations

import pytest

from spinecare.store import audit, readings
from spinecare.store.actor import DEMO, ROLE_MAY, Actor, Role
from spinecare.store.models import AuditEntry, Reading, State
from spinecare.store.site import Site
from stored import put_assessment

OTHER = Actor("a1", "Dr Other", Role.CLINICIAN, ROLE_MAY[Role.CLINICIAN], "session")


def kept(site: Site) -> list[tuple[str, str | None, str | None, str]]:
    with site.db.read() as session:
        return [(r.verdict, r.label, r.reason, r.by_name) for r in session.query(Reading).order_by(Reading.id)]


def test_each_verdict_is_kept_with_its_label(site: Site) -> None:
    key = put_assessment(site, "yes")
    readings.add(site, key, "agree", None, None, DEMO)
    readings.add(site, key, "correct", "normal", "Scoliosis.", OTHER)
    readings.add(site, key, "not_usable", None, "Moved.", DEMO)
    assert kept(site) == [
        ("agree", "osteoporosis", None, "Demo"),
        ("correct", "normal", "Scoliosis.", "Dr Other"),
        ("not_usable", None, "Moved.", "Demo"),
    ]
    assert audit.check(site.db) is None
    with site.db.read() as session:
        entries = session.query(AuditEntry).filter_by(action="reading").all()
        assert [entry.object_key for entry in entries] == [key] * 3
        assert "Scoliosis" not in str([entry.details for entry in entries])


def test_the_same_twice_in_a_row_is_once(site: Site) -> None:
    key = put_assessment(site, "yes")
    first = readings.add(site, key, "agree", None, None, DEMO)
    assert readings.add(site, key, "agree", None, None, DEMO).id == first.id
    readings.add(site, key, "agree", None, None, OTHER)
    readings.add(site, key, "agree", None, None, DEMO)
    assert len(kept(site)) == 3


@pytest.mark.parametrize(
    ("kind", "given", "says"),
    [
        ("yes", (None, None, None), "Choose “Agree”"),
        ("yes", ("maybe", None, None), "Choose “Agree”"),
        ("yes", ("correct", None, "x"), "right class"),
        ("yes", ("correct", "osteopenia", "x"), "right class"),
        ("yes", ("correct", "osteoporosis", "x"), "model’s own class"),
        ("yes", ("correct", "normal", " \x00 "), "few words"),
        ("yes", ("not_usable", None, None), "few words"),
        ("yes", ("not_usable", None, "x" * 1001), "shorten"),
        ("abstain", ("agree", None, None), "no class to agree"),
        ("refuse", ("agree", None, None), "no class to agree"),
        ("unreadable", ("not_usable", None, "x"), "no scan to read"),
    ],
)
def test_what_is_not_complete_is_not_kept(
    site: Site, kind: str, given: tuple[str | None, str | None, str | None], says: str
) -> None:
    key = put_assessment(site, kind)
    with pytest.raises(ValueError, match=says):
        readings.add(site, key, *given, DEMO)
    assert kept(site) == []


def test_an_abstention_and_a_refusal_can_be_given_a_class(site: Site) -> None:
    for kind in ("abstain", "refuse"):
        readings.add(site, put_assessment(site, kind, seed=1), "correct", "normal", "T −0.4 in the report.", DEMO)
    assert [row[1] for row in kept(site)] == ["normal", "normal"]


def test_control_characters_go_and_line_breaks_stay(site: Site) -> None:
    readings.add(site, put_assessment(site), "not_usable", None, " a\r\nb\x00\x1b[0m\ud800 ", DEMO)
    assert kept(site)[0][2] == "a\nb[0m"


def test_nothing_is_read_before_it_is_done_or_that_is_not_there(site: Site) -> None:
    key = put_assessment(site, state=State.QUEUED)
    with pytest.raises(ValueError, match="wait"):
        readings.add(site, key, "agree", None, None, DEMO)
    with pytest.raises(LookupError):
        readings.add(site, "0" * 16, "agree", None, None, DEMO)
