"""Forms that only our own pages can send."""

from __future__ import annotations

import pytest

from accounts import Client, make_client, signed_in, with_csrf
from spinecare.server.security.csrf import MAX_FORM_BYTES, csrf_of
from spinecare.store.actor import Role
from spinecare.store.site import Site


def bare(client: Client) -> Client:
    del client.headers["X-CSRF-Token"]
    return client


def test_the_token_may_come_in_the_form_or_in_a_header(clinic: Site) -> None:
    client = signed_in(clinic)
    assert client.post("/test/do").status_code == 200
    bare(client)
    assert client.post("/test/do", data={"csrf": client.csrf}).status_code == 200
    assert client.post("/test/do", files={"csrf": (None, client.csrf)}).status_code == 200


@pytest.mark.parametrize("wrong", ["", "x", "é" * 30, "0" * 64])
def test_without_it_nothing_happens(clinic: Site, wrong: str) -> None:
    client = bare(signed_in(clinic))

    assert client.post("/test/do").status_code == 403
    assert client.post("/test/do", data={"csrf": wrong}).status_code == 403
    assert client.post("/test/do", files={"csrf": (None, wrong)}).status_code == 403
    assert client.post("/test/do", headers={"X-CSRF-Token": wrong.encode()}).status_code == 403
    # A file in place of the field, a body that is no form, and JSON that a page elsewhere could send as text.
    assert client.post("/test/do", files={"csrf": ("a.txt", client.csrf)}).status_code == 403
    assert client.post("/test/do", content='{"csrf": "x"}', headers={"Content-Type": "text/plain"}).status_code == 403
    broken = {"Content-Type": "multipart/form-data"}
    assert client.post("/test/do", content=b"--x", headers=broken).status_code in {400, 403}


def test_anothers_token_is_none(clinic: Site) -> None:
    mine, theirs = bare(signed_in(clinic)), signed_in(clinic, Role.ADMINISTRATOR)

    assert mine.post("/test/do", data={"csrf": theirs.csrf}).status_code == 403


def test_a_wrong_field_is_not_saved_by_a_good_header(clinic: Site) -> None:
    assert signed_in(clinic).post("/test/do", data={"csrf": "wrong"}).status_code == 403


def test_the_demos_browsers_have_a_token_each(site: Site) -> None:
    assert make_client(site).post("/test/do").status_code == 403
    client = make_client(site)
    page = client.get("/account")
    cookie = client.cookies["spinecare_form"]

    assert "HttpOnly" in page.headers["set-cookie"]
    assert "SameSite=Lax" in page.headers["set-cookie"]
    assert client.post("/test/do", data={"csrf": csrf_of(cookie)}).status_code == 200
    assert client.post("/test/do", data={"csrf": cookie}).status_code == 403
    assert make_client(site).post("/test/do", data={"csrf": csrf_of(cookie)}).status_code == 403
    assert "set-cookie" not in client.get("/account").headers


def test_a_form_is_read_no_further_than_it_may_be_long(clinic: Site) -> None:
    client = signed_in(clinic)

    assert client.post("/test/do", data={"a": "x" * (MAX_FORM_BYTES + 1)}).status_code == 413
    assert client.post("/test/do", files={"a": ("x", b"x" * (MAX_FORM_BYTES + 1))}).status_code == 413
    assert client.post("/test/do", data={"a": "x" * 1000}).json() == {"a": "x" * 1000}
    many = "&".join(f"f{n}=1" for n in range(5000))
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert client.post("/test/do", content=many, headers=form).status_code in {200, 400}


def test_what_no_keyboard_types_reaches_no_database(clinic: Site) -> None:
    client = signed_in(clinic)

    for data in ({"a": "x\0y"}, {"a\0": "x"}):
        assert client.post("/test/do", data=data).status_code == 400
    for address in ("/test/see%00", "/test/see?q=%00"):
        assert client.get(address).status_code == 400


def test_the_sign_in_form_has_a_token_too(clinic: Site) -> None:
    """Or another site could sign somebody in as the attacker, and read what is uploaded there."""
    data = {"login": "ada", "password": "x"}

    assert make_client(clinic).post("/sign-in", data=data).status_code == 403
    assert with_csrf(make_client(clinic)).post("/sign-in", data=data).status_code == 401
