"""Administration: accounts, the audit log, the queue, retention."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from datetime import timedelta

import pytest

from accounts import Client, make_client, put_account, signed_in, with_csrf, with_token
from spinecare.store import audit, journal, sessions, tokens
from spinecare.store.actor import SYSTEM, May, Role
from spinecare.store.audit import Action
from spinecare.store.database import now
from spinecare.store.models import Account, AssessmentRow, AuditEntry, Invitation, State
from spinecare.store.site import Site
from stored import put_assessment

PAGES = ("/admin", "/admin/accounts", "/admin/audit", "/admin/audit.csv", "/admin/jobs", "/admin/retention")


@pytest.fixture
def clinic(make_site: Callable[..., Site]) -> Site:
    return make_site(demo=False)


@pytest.fixture
def admin(clinic: Site) -> Client:
    return signed_in(clinic, Role.ADMINISTRATOR)


def account(site: Site, key: str) -> Account:
    with site.db.read() as session:
        return session.query(Account).filter_by(key=key).one()


@pytest.mark.parametrize("path", PAGES)
def test_administration_is_for_administrators(clinic: Site, admin: Client, path: str) -> None:
    assert admin.get(path).status_code == 200
    assert signed_in(clinic, Role.CLINICIAN).get(path).status_code == 403
    assert signed_in(clinic, Role.VIEWER).get(path).status_code == 403
    assert make_client(clinic).get(path).status_code == 303
    assert with_token(clinic, Role.ADMINISTRATOR).get(path).status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/admin/accounts",
        "/admin/accounts/KEY/role",
        "/admin/accounts/KEY/disable",
        "/admin/accounts/KEY/link",
        "/admin/audit/check",
        "/admin/jobs",
        "/admin/retention",
    ],
)
def test_what_changes_needs_the_role_and_the_forms_token(clinic: Site, admin: Client, path: str) -> None:
    path = path.replace("KEY", put_account(clinic, Role.VIEWER))
    data = {"role": "administrator", "login": "eve", "name": "Eve", "sure": "yes"}

    assert signed_in(clinic, Role.CLINICIAN).post(path, data=data).status_code == 403
    del admin.headers["X-CSRF-Token"]
    assert admin.post(path, data=data).status_code == 403
    with clinic.db.read() as session:
        assert session.query(Account).filter_by(role="administrator").count() == 1


def test_the_demo_has_a_queue_and_nobody_to_administer(client: Client) -> None:
    with_csrf(client)

    assert client.get("/admin").status_code == 200
    assert client.get("/admin/jobs").status_code == 200
    for path in ("/admin/accounts", "/admin/audit", "/admin/audit.csv"):
        assert client.get(path).status_code == 403
    assert "/admin/accounts" not in client.get("/admin").text


def test_an_invitation_is_a_link_that_is_shown_once(clinic: Site, admin: Client) -> None:
    page = admin.post("/admin/accounts", data={"login": "Mia", "name": "Mia <Lang>", "role": "viewer"})

    assert page.status_code == 201
    link = re.search(r"http://127.0.0.1(/welcome/[\w-]+)", page.text)
    assert link is not None
    assert "Mia &lt;Lang&gt;" in page.text
    assert make_client(clinic).get(link[1]).status_code == 200
    assert "/welcome/" not in admin.get("/admin/accounts").text
    assert "invited" in admin.get("/admin/accounts").text
    for wrong in (
        {"login": "mia", "name": "M", "role": "viewer"},
        {"login": "x y", "name": "M", "role": "viewer"},
        {"login": "new", "name": "", "role": "viewer"},
        {"login": "new", "name": "N", "role": "god"},
    ):
        assert admin.post("/admin/accounts", data=wrong).status_code == 422


def test_links_go_to_the_public_address_whatever_the_host_says(make_site: Callable[..., Site]) -> None:
    site = make_site(demo=False, public_url="https://spine.clinic.example/")
    admin = signed_in(site, Role.ADMINISTRATOR, host="spine.clinic.example")

    page = admin.post(
        "/admin/accounts",
        data={"login": "mia", "name": "Mia", "role": "viewer"},
        headers={"X-Forwarded-Host": "evil.example"},
    )
    assert "https://spine.clinic.example/welcome/" in page.text
    assert "evil" not in page.text


def test_role_disabling_and_letting_in_again(clinic: Site, admin: Client) -> None:
    other = signed_in(clinic, Role.CLINICIAN)
    there = f"/admin/accounts/{other.account}"

    assert admin.post(f"{there}/role", data={"role": "viewer"}).headers["location"] == f"{there}?done=role"
    assert account(clinic, other.account).role == "viewer"
    assert admin.post(f"{there}/role", data={"role": "god"}).status_code == 409
    assert admin.post(f"{there}/disable").status_code == 303
    assert other.get("/account").status_code == 303
    assert admin.post(f"{there}/link").status_code == 404
    assert "disabled" in admin.get(there).text
    assert admin.post(f"{there}/enable").status_code == 303
    assert not account(clinic, other.account).disabled
    for path in (f"{there}/nonsense", "/admin/accounts/nobody/role", "/admin/accounts/nobody"):
        assert (admin.post(path) if path.count("/") > 3 else admin.get(path)).status_code == 404


def test_nobody_takes_the_last_administrator_away(clinic: Site, admin: Client) -> None:
    there = f"/admin/accounts/{admin.account}"
    with clinic.db.begin() as session:
        session.query(Account).one().password_hash = "x"

    for path, data in (("/disable", {}), ("/role", {"role": "viewer"})):
        answer = admin.post(there + path, data=data)
        assert answer.status_code == 409
        assert "only administrator" in answer.text
    assert admin.get("/admin").status_code == 200


def test_sessions_and_tokens_of_others_are_ended(clinic: Site, admin: Client) -> None:
    other = signed_in(clinic, Role.CLINICIAN)
    there = f"/admin/accounts/{other.account}"
    with clinic.db.begin() as session:
        owner = session.query(Account).filter_by(key=other.account).one()
        secret, token = tokens.make(session, owner, "archive", frozenset({May.SEE}), 30)

    assert "archive" in admin.get(there).text
    assert admin.post(f"{there}/token", data={"token": token.key}).status_code == 303
    assert admin.post(f"{there}/token", data={"token": "zzz"}).status_code == 404
    assert tokens.find(clinic.db, secret) is None
    assert admin.post(f"{there}/sessions").status_code == 303
    assert other.get("/account").status_code == 303


def test_a_reset_link_replaces_the_one_before(clinic: Site, admin: Client) -> None:
    there = f"/admin/accounts/{put_account(clinic, Role.VIEWER)}/link"
    links = [re.search(r"/welcome/[\w-]+", admin.post(there).text) for _ in range(2)]

    assert [make_client(clinic).get(link[0]).status_code for link in links if link] == [404, 200]
    with clinic.db.read() as session:
        assert session.query(Invitation).count() == 1


# The audit log


def fill(site: Site, key: str) -> None:
    with site.db.begin() as session:
        owner = session.query(Account).filter_by(key=key).one()
        actor = sessions.actor_of(owner)
        for n in range(120):
            action = Action.SEE if n % 2 else Action.UPLOAD
            audit.note(site.db, session, actor if n % 3 else SYSTEM, action, "assessment", f"{n % 5:016x}", files=n)


def rows(page: str) -> list[int]:
    return [int(number) for number in re.findall(r'data-label="Entry">(\d+)<', page)]


def test_the_log_is_read_a_page_at_a_time_newest_first(clinic: Site, admin: Client) -> None:
    fill(clinic, admin.account)
    seen: list[int] = []
    address: str | None = "/admin/audit"
    while address:
        page = admin.get(address).text
        seen += rows(page)
        found = re.search(r'href="(/admin/audit\?[^"]*before=\d+)">Older', page)
        address = found[1].replace("&amp;", "&") if found else None

    assert seen == sorted(seen, reverse=True)
    assert len(seen) == len(set(seen))
    assert set(range(1, 121)) <= set(seen)


def test_the_log_is_searched_by_who_what_and_when(clinic: Site, admin: Client) -> None:
    fill(clinic, admin.account)
    key = f"{3:016x}"

    def find(**asked: str) -> list[AuditEntry]:
        table = csv.DictReader(io.StringIO(admin.get("/admin/audit.csv", params=asked).text))
        return list(table)  # type: ignore[arg-type]

    assert {one["action"] for one in find(action="upload")} == {"upload"}
    assert {one["actor"] for one in find(who="system")} == {"system"}
    assert len(find(key=key)) == 24
    assert len(find(key=key, who="system", action="see")) == 4
    today = now().date()
    assert len(find(since=str(today), key=key)) == 24
    assert find(until=str(today - timedelta(days=1))) == []
    assert find(since=str(today + timedelta(days=1))) == []
    for nonsense in ({"since": "x"}, {"who": "'; DROP TABLE audit"}, {"key": "x" * 500}, {"until": "0000-00-00"}):
        assert admin.get("/admin/audit", params=nonsense).status_code == 200
    assert admin.get("/admin/audit", params={"until": "9999-12-31"}).status_code == 200
    for before in ("x", "-1", "9" * 40):
        assert admin.get("/admin/audit", params={"before": before}).status_code == 422


def test_filters_are_shown_escaped_and_kept_on_the_next_page(clinic: Site, admin: Client) -> None:
    fill(clinic, admin.account)

    page = admin.get("/admin/audit", params={"key": '"><script>alert(1)</script>'}).text
    assert "<script>alert" not in page
    page = admin.get("/admin/audit", params={"action": "see"}).text
    assert re.search(r"/admin/audit\?action=see&(amp;)?before=", page)


def test_who_reads_the_log_stands_in_it(clinic: Site, admin: Client) -> None:
    admin.get("/admin/audit")
    admin.get("/admin/audit.csv")

    with clinic.db.read() as session:
        found = journal.find(session, journal.Filters(kind="audit")).entries
    assert [(one.actor, one.action) for one in found] == [(admin.account, "export"), (admin.account, "see")]


def test_a_changed_entry_is_found(clinic: Site, admin: Client) -> None:
    fill(clinic, admin.account)
    assert "The chain holds" in admin.post("/admin/audit/check").text

    with clinic.db.begin() as session:
        session.get_one(AuditEntry, 60).details = {"files": 0}
    assert "broken at entry 60" in admin.post("/admin/audit/check").text


# The queue


def test_failed_and_stuck_assessments_are_seen_and_tried_again(clinic: Site, admin: Client) -> None:
    before = now() - timedelta(minutes=20)
    failed = [put_assessment(clinic, seed=n, state=State.FAILED) for n in range(2)]
    stuck = put_assessment(clinic, seed=2, state=State.QUEUED, at=before)
    dead = put_assessment(clinic, seed=3, state=State.RUNNING, at=before)
    waiting = put_assessment(clinic, seed=4, state=State.QUEUED)
    with clinic.db.begin() as session:
        row = session.query(AssessmentRow).filter_by(key=dead).one()
        row.lease_until = now() - timedelta(seconds=1)
    woken: list[int] = []
    clinic.queue.wake = woken.extend  # type: ignore[method-assign]

    page = admin.get("/admin/jobs").text
    assert "2 waiting, 1 being assessed, 2 stuck, 2 failed" in page
    assert page.count("Try again<") == 4
    assert waiting in page
    assert admin.post("/admin/jobs", data={"key": failed[0]}).headers["location"] == "/admin/jobs?asked=1"
    assert len(woken) == 1
    assert admin.post("/admin/jobs", data={"key": waiting}).headers["location"] == "/admin/jobs?asked=0"
    assert admin.post("/admin/jobs").headers["location"] == "/admin/jobs?asked=3"

    with clinic.db.read() as session:
        states = {row.key: row.state for row in session.query(AssessmentRow)}
    assert states[failed[0]] == states[failed[1]] == states[stuck] == "queued"
    assert states[dead] == "running"  # whoever claims it next sees that its lease is over
    assert len(woken) == 4


def test_an_empty_queue_says_so(admin: Client) -> None:
    assert "Nothing waits, nothing failed" in admin.get("/admin/jobs").text


# Retention


def test_nothing_is_deleted_without_a_setting_or_a_tick(make_site: Callable[..., Site]) -> None:
    keeps, forgets = make_site(demo=False), make_site(demo=False, retention_days=30)
    for site in (keeps, forgets):
        put_assessment(site, seed=1, at=now() - timedelta(days=40))
        put_assessment(site, seed=2, at=now() - timedelta(days=20))

    def left(site: Site) -> int:
        with site.db.read() as session:
            return session.query(AssessmentRow).count()

    admin = signed_in(keeps, Role.ADMINISTRATOR)
    assert "SPINECARE_RETENTION_DAYS" in admin.get("/admin/retention").text
    admin.post("/admin/retention", data={"sure": "yes"})
    assert left(keeps) == 2
    admin = signed_in(forgets, Role.ADMINISTRATOR)
    admin.post("/admin/retention")
    assert left(forgets) == 2
    assert admin.post("/admin/retention", data={"sure": "yes"}).headers["location"] == "/admin/retention?deleted=1"
    assert left(forgets) == 1
