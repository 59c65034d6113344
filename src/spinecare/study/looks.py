"""How often real labels were looked at before: the page of a checkout that counts it (DESIGN 5.2)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spinecare.study.sections import virtual

if TYPE_CHECKING:
    from spinecare.study.store import StudyAnswers

# The page counts looks at this data set and no other.
LOOKED_AT = "spine_dxa"
PAGE = Path(__file__).resolve().parents[3] / "docs" / "looks.md"


@dataclass(frozen=True)
class Looks:
    """The page's table."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def read_looks(page: Path) -> Looks | None:
    """The table of looks in a Markdown page; None when it has none, or there is no page."""
    if not page.is_file():
        return None
    lines = [line for line in page.read_text("utf-8").splitlines() if line.startswith("|")]
    cells = [tuple(cell.strip() for cell in line.strip().strip("|").split("|")) for line in lines]
    rows = tuple(row for row in cells[2:] if row[0].isdigit())
    return Looks(cells[0], rows) if rows else None


def looks_table(answers: StudyAnswers, page: Path | None = None) -> Looks | None:
    """The looks at a study's scans: of the page that is given, else of the checkout's where it is about these scans."""
    if page is None and not _about_these(answers):
        return None
    return read_looks(page or PAGE)


def looks_line(answers: StudyAnswers, looks: Looks | None) -> str:
    """How many looks came before, in a sentence."""
    if looks is not None:
        return (
            f"{len(looks.rows)} looks at the labels of these scans stood in docs/looks.md when this page was made; "
            "the study is one itself."
        )
    if virtual(answers):
        return "All scans are of virtual patients: no real diagnosis was looked at."
    return "How often the labels of these scans were looked at before has not been recorded."


def _about_these(answers: StudyAnswers) -> bool:
    return "path" in answers.rows and bool(answers.rows["path"].astype(str).str.contains(LOOKED_AT, regex=False).any())
