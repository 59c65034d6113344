"""SpineCare: reads a spine DXA scan and says, with its certainty and its reasons, what it shows.

>>> import spinecare
>>> answer = spinecare.load().assess("scan.dcm")  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spinecare.assessor import Assessor, load

__version__ = "0.1.0"
__all__ = ["Assessor", "__version__", "load"]


def __getattr__(name: str) -> Any:
    # Lazy, so that `import spinecare` costs milliseconds and pulls in no library.
    if name in {"Assessor", "load"}:
        from spinecare import assessor

        return getattr(assessor, name)
    raise AttributeError(f"module 'spinecare' has no attribute {name!r}")
