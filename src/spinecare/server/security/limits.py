"""How often somebody may try: tokens in buckets, in this process's memory."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import cache
from math import ceil

from fastapi import Request
from starlette.datastructures import Headers
from starlette.types import Scope

from spinecare.errors import SettingsError
from spinecare.server.problems import Problem
from spinecare.settings import SiteSettings


class Limiter:
    """`burst` tries at once, then one more every `every_s` seconds; for each key on its own.

    Holds at most `max_keys`: of strangers with many addresses the oldest are forgotten, not the memory filled.
    Safe to share between threads.
    """

    def __init__(
        self, burst: int, every_s: float, max_keys: int = 20_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.burst = burst
        self.every_s = every_s
        self.max_keys = max_keys
        self._clock = clock
        self._full_at: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: str) -> float:
        """Count a try: 0 when it may be, else the seconds to wait (and it isn't counted)."""
        with self._lock:
            at = self._clock()
            # One number says all of a bucket: when it will be full again.
            full_at = max(self._full_at.pop(key, at), at) + self.every_s
            wait = full_at - at - self.burst * self.every_s
            self._full_at[key] = full_at if wait <= 0 else full_at - self.every_s
            if len(self._full_at) > self.max_keys:
                self._full_at.popitem(last=False)
            return max(wait, 0.0)

    def give_back(self, key: str) -> None:
        """Take one try back: it was none."""
        with self._lock:
            if key in self._full_at:
                self._full_at[key] -= self.every_s


def limiter(request: Request, name: str, burst: int, every_s: float) -> Limiter:
    """The limiter of this name, one for each application."""
    state = request.app.state
    if not hasattr(state, "limiters"):
        state.limiters = {}
    kept: dict[str, Limiter] = state.limiters
    return kept.setdefault(name, Limiter(burst, every_s))


def too_many(wait_s: float) -> Problem:
    """429, with when to try again."""
    seconds = max(1, ceil(wait_s))
    words = f"{seconds} seconds" if seconds < 120 else f"{ceil(seconds / 60)} minutes"
    return Problem(
        429,
        "Too many tries",
        "There were too many tries from your place in a short time.",
        f"Wait {words} and try again.",
        "too_many_requests",
        {"Retry-After": str(seconds)},
    )


def address_of(scope: Scope, settings: SiteSettings) -> str:
    """Where a request comes from. X-Forwarded-For is believed only as far as our own proxies wrote it.

    An IPv6 address stands for its /64, which is what one customer gets.
    """
    trusted = trusted_networks(settings.trusted_proxies)
    address = str((scope.get("client") or ("unknown",))[0])
    written = ",".join(Headers(scope=scope).getlist("x-forwarded-for")).split(",")
    # From the right: each proxy adds who spoke to it, and everything left of a stranger is the stranger's invention.
    while written and _is_in(address, trusted):
        address = written.pop().strip() or address
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(ip, ipaddress.IPv6Address):
        return str(ip.ipv4_mapped or ipaddress.ip_network((ip, 64), strict=False))
    return str(ip)


@cache
def trusted_networks(written: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    """The addresses and networks (10.0.0.0/8) of `SPINECARE_TRUSTED_PROXIES`. Raises `SettingsError`."""
    try:
        return tuple(ipaddress.ip_network(part.strip(), strict=False) for part in written.split(",") if part.strip())
    except ValueError as error:
        raise SettingsError(f"SPINECARE_TRUSTED_PROXIES holds what is no address or network: {error}.") from None


def _is_in(address: str, networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]) -> bool:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(ip in network for network in networks)
