"""Options of members and combiners, as a study's settings name them, checked when something is built."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from spinecare.errors import TrainingError


def built(whose: str, builder: Callable[..., Any], options: Mapping[str, Any]) -> Any:
    """What `builder` makes of options, or TrainingError that names the ones it has not."""
    known = inspect.signature(builder).parameters
    unknown = [name for name in options if name not in known]
    if unknown and not any(p.kind is p.VAR_KEYWORD for p in known.values()):
        raise TrainingError(f"{whose} has no option {', '.join(unknown)}. It has {', '.join(known) or 'none'}.")
    try:
        return builder(**options)
    except TypeError as error:
        raise TrainingError(f"{whose} cannot be built from {dict(options)}: {error}.") from error


def positive(**numbers: float | None) -> None:
    """TrainingError for an option that must be a number above 0 and is not; None passes."""
    for name, number in numbers.items():
        if number is not None and not (isinstance(number, int | float) and number > 0):
            raise TrainingError(f"The option {name} is {number!r}; it must be a number above 0.")
