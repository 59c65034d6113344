"""How often somebody may try, and where somebody is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from accounts import make_client, put_account, with_csrf
from spinecare.errors import SettingsError
from spinecare.server.security.limits import Limiter, address_of
from spinecare.settings import SiteSettings
from spinecare.store import accounts
from spinecare.store.models import Account
from spinecare.store.site import Site


def test_a_bucket_lets_a_burst_through_and_then_one_by_one() -> None:
    at = [0.0]
    limiter = Limiter(3, 10.0, clock=lambda: at[0])

    assert [limiter.take("a") for _ in range(5)] == [0, 0, 0, 10, 10]
    assert limiter.take("b") == 0
    at[0] = 9.0
    assert limiter.take("a") == 1
    at[0] = 10.0
    assert [limiter.take("a") for _ in range(2)] == [0, 10]
    at[0] = 1000.0
    assert [limiter.take("a") for _ in range(4)] == [0, 0, 0, 10]
    limiter.give_back("a")
    assert limiter.take("a") == 0
    limiter.give_back("never seen")


def test_a_bucket_that_many_take_from_at_once_lets_no_more_through() -> None:
    limiter = Limiter(10, 1000.0)

    with ThreadPoolExecutor(8) as pool:
        assert sum(wait == 0 for wait in pool.map(lambda _: limiter.take("a"), range(200))) == 10


def test_strangers_with_many_addresses_do_not_fill_the_memory() -> None:
    limiter = Limiter(3, 10.0, max_keys=100)
    for n in range(10_000):
        limiter.take(str(n))

    assert len(limiter._full_at) == 100


def scope(client: str, *forwarded: str) -> dict[str, object]:
    headers = [(b"x-forwarded-for", one.encode()) for one in forwarded]
    return {"type": "http", "client": (client, 1234), "headers": headers}


@pytest.mark.parametrize(
    ("client", "forwarded", "expected"),
    [
        ("203.0.113.9", (), "203.0.113.9"),
        ("203.0.113.9", ("10.0.0.1",), "203.0.113.9"),  # not our proxy: what it says is its own invention
        ("10.0.0.1", ("198.51.100.7",), "198.51.100.7"),
        ("10.0.0.1", ("1.1.1.1, 198.51.100.7",), "198.51.100.7"),
        ("10.0.0.1", ("1.1.1.1", "198.51.100.7, 10.0.0.2"), "198.51.100.7"),
        ("10.0.0.1", ("10.0.0.2",), "10.0.0.2"),
        ("172.18.0.5", ("198.51.100.7",), "198.51.100.7"),
        ("172.19.0.5", ("198.51.100.7",), "172.19.0.5"),
        ("10.0.0.1", (), "10.0.0.1"),
        ("10.0.0.1", ("<script>" * 50,), ("<script>" * 50)[:64]),
        ("2001:db8:1:2:aaaa::1", (), "2001:db8:1:2::/64"),
        ("2001:db8:1:2:bbbb::1", (), "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.9", (), "203.0.113.9"),
        ("testclient", (), "testclient"),
    ],
)
def test_an_address_is_believed_as_far_as_our_own_proxies_wrote_it(
    client: str, forwarded: tuple[str, ...], expected: str
) -> None:
    settings = SiteSettings(trusted_proxies="10.0.0.1, 10.0.0.2, 172.18.0.0/16")

    assert address_of(scope(client, *forwarded), settings) == expected


def test_an_address_that_guesses_is_slowed_down_whatever_it_says_it_is(clinic: Site) -> None:
    client = with_csrf(make_client(clinic))

    def guess(n: int) -> int:
        data = {"login": f"person{n}", "password": "wrong"}
        return client.post("/sign-in", data=data, headers={"X-Forwarded-For": f"203.0.113.{n}"}).status_code

    assert {guess(n) for n in range(20)} == {401}
    answer = client.post("/sign-in", data={"login": "ada", "password": "x"})
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) <= 11


def test_people_who_sign_in_rightly_are_not_counted(clinic: Site) -> None:
    put_account(clinic, login="ada")
    with clinic.db.begin() as session:
        session.query(Account).one().password_hash = accounts.hash_password("blue door seven herons")

    client = make_client(clinic)
    for _ in range(30):
        client.cookies.clear()
        with_csrf(client)
        data = {"login": "ada", "password": "blue door seven herons"}
        assert client.post("/sign-in", data=data).status_code == 303


def test_a_proxy_that_is_no_address_is_said_at_once() -> None:
    with pytest.raises(SettingsError, match="TRUSTED_PROXIES"):
        address_of(scope("10.0.0.1"), SiteSettings(trusted_proxies="proxy.local"))
