"""Reads single fields out of parsed JSON; each failure is a `BundleError` that names the field."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from spinecare.errors import BundleError

_PLAIN_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Fields:
    """One JSON object of bundle.json, with its place in the document for error sentences.

    Parameters
    ----------
    value
        The parsed JSON value; anything but an object is refused.
    where
        Its place, such as `stack` or `members[0]`; empty for the whole document.
    allowed
        The keys that this version knows. An unknown key is refused: it may change the arithmetic in
        a way that this version would silently leave out.
    """

    def __init__(self, value: Any, where: str, allowed: Sequence[str]) -> None:
        if not isinstance(value, dict):
            raise BundleError(f"bundle.json: {where or 'the document'} is not a JSON object. {REBUILD}")
        self._value: dict[str, Any] = value
        self._where = where
        unknown = sorted(set(value) - set(allowed))
        if unknown:
            raise self.error(unknown[0], "is not known to this version of SpineCare", UPGRADE)

    def error(self, key: str, problem: str, hint: str = "") -> BundleError:
        """The error for one field, ready to be raised."""
        place = f"{self._where}.{key}" if self._where else key
        return BundleError(f"bundle.json: {place} {problem}. {hint or REBUILD}")

    def has(self, key: str) -> bool:
        """Whether the field is there and not null."""
        return self._value.get(key) is not None

    def raw(self, key: str) -> Any:
        """The field as parsed, which must be there."""
        if key not in self._value:
            raise self.error(key, "is missing")
        return self._value[key]

    def text(self, key: str, choices: Sequence[str] = (), hint: str = "") -> str:
        """A text that is not empty, one of `choices` when there are any."""
        value = self.raw(key)
        if not isinstance(value, str) or not value.strip():
            raise self.error(key, "must be a text that is not empty")
        if choices and value not in choices:
            raise self.error(key, f"is {value!r}; this version knows {', '.join(choices)}", hint)
        return value

    def number(self, key: str, low: float, high: float) -> float:
        """A finite number strictly between `low` and `high`."""
        return self._number(key, self.raw(key), low, high)

    def whole(self, key: str, low: int, high: int, hint: str = "") -> int:
        """A whole number from `low` to `high`, both included."""
        value = self.raw(key)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.error(key, f"must be a whole number from {low} to {high}, not {value!r}", hint)
        return value

    def items(self, key: str) -> list[Any]:
        """A JSON list that is not empty."""
        value = self.raw(key)
        if not isinstance(value, list) or not value:
            raise self.error(key, "must be a list that is not empty")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of different texts that is not empty."""
        values = self.items(key)
        if any(not isinstance(v, str) or not v for v in values) or len(set(values)) != len(values):
            raise self.error(key, "must be a list of different texts")
        return tuple(values)

    def numbers(self, key: str, length: int) -> tuple[float, ...]:
        """`length` finite numbers."""
        return self._numbers(key, self.raw(key), length)

    def matrix(self, key: str, rows: int, columns: int) -> tuple[tuple[float, ...], ...]:
        """`rows` lists of `columns` finite numbers."""
        values = self.raw(key)
        if not isinstance(values, list) or len(values) != rows:
            raise self.error(key, f"must hold {rows} rows of {columns} numbers")
        return tuple(self._numbers(f"{key}[{i}]", row, columns) for i, row in enumerate(values))

    def probabilities(self, key: str, names: Sequence[str]) -> dict[str, float]:
        """One number strictly between 0 and 1 for each of `names`; they add up to 1 (to 1e-3, as rounded)."""
        value = self.raw(key)
        if not isinstance(value, dict) or set(value) != set(names):
            raise self.error(key, f"must give a number for each of {', '.join(names)} and nothing else")
        shares = {name: self._number(f"{key}.{name}", value[name], 0.0, 1.0) for name in names}
        total = math.fsum(shares.values())
        if abs(total - 1.0) > 1e-3:
            raise self.error(key, f"adds up to {total:.4f}, not to 1")
        return shares

    def file_name(self, key: str) -> str:
        """The name of a file that lies in the bundle's folder itself."""
        name = self.text(key)
        if not is_plain_file_name(name):
            raise self.error(key, f"is {name!r}; only plain file names inside the bundle's folder are opened")
        return name

    def hashes(self, key: str) -> dict[str, str]:
        """File name -> SHA-256 in lower-case hex."""
        value = self.raw(key)
        if not isinstance(value, dict) or not value:
            raise self.error(key, "must list each file with its SHA-256")
        for name, digest in value.items():
            if not is_plain_file_name(name):
                raise self.error(key, f"lists {name!r}; only plain file names inside the bundle's folder are opened")
            if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
                raise self.error(f"{key}[{name}]", "is not a SHA-256 in 64 lower-case hex digits")
        return dict(value)

    def _numbers(self, key: str, values: Any, length: int) -> tuple[float, ...]:
        if not isinstance(values, list) or len(values) != length:
            raise self.error(key, f"must hold {length} numbers")
        return tuple(self._number(f"{key}[{i}]", v, -math.inf, math.inf) for i, v in enumerate(values))

    def _number(self, key: str, value: Any, low: float, high: float) -> float:
        # bool is an int to Python; NaN and Infinity pass Python's JSON parser.
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self.error(key, f"must be a finite number, not {value!r}")
        if not low < value < high:
            raise self.error(key, f"is {value!r}, but must lie between {low:g} and {high:g}")
        return float(value)


def is_plain_file_name(name: str) -> bool:
    """Whether a name stays in its folder: no separators, no dots in front, no drive letters."""
    return isinstance(name, str) and _PLAIN_FILE_NAME.fullmatch(name) is not None


REBUILD = "The bundle is damaged or was made by hand; export it again or use another."
UPGRADE = "Use the version of SpineCare that made the bundle, or a newer one."
