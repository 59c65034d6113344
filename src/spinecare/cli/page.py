"""One answer for a person at a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from spinecare.report.json import Answer
from spinecare.scan import LABELS, Assessment, Label, Refused

# Texts from files go through `_plain`, and no markup is read in them.
_CONSOLE = Console(markup=False, highlight=False, emoji=False, soft_wrap=True)


def print_answer(answer: Answer, file: str) -> None:
    """Print the answer to one file, in sentences and one table, to standard output."""
    headline, style = _headline(answer)
    _CONSOLE.print(Text.assemble((_plain(file), "bold"), ": ", (headline, style)))
    if not isinstance(answer, Assessment):
        _CONSOLE.print(f"  {_plain(answer.reason)} {_plain(answer.hint)}\n")
        return
    _CONSOLE.print(_table(answer))
    kept = " or ".join(_words(label) for label in answer.prediction_set)
    _CONSOLE.print(f"  Not ruled out: {kept}. Osteoporosis is yes from {answer.threshold:.0%} on.")
    failed = [check.sentence for check in answer.quality if not check.passed]
    for sentence in (*failed, *answer.warnings):
        _CONSOLE.print(Text(f"  ! {_plain(sentence)}", style="yellow"))
    model = answer.model
    _CONSOLE.print(Text(f"  Model {model.name} {model.version}, {model.sha256[:12]}\n", style="dim"))


def _headline(answer: Answer) -> tuple[str, str]:
    if isinstance(answer, Refused):
        return f"refused ({answer.code.value})", "bold yellow"
    if not isinstance(answer, Assessment):
        return f"unreadable ({answer.code.value})", "bold red"
    p = f"{answer.probabilities[Label.OSTEOPOROSIS]:.0%}"
    if answer.osteoporosis is None or answer.category is None:
        return (
            f"no answer: neither normal nor osteoporosis can be ruled out (osteoporosis {p})",
            "bold yellow",
        )
    if answer.osteoporosis:
        return f"osteoporosis: yes ({p})", "bold red"
    return f"osteoporosis: no ({p}); {_words(answer.category)}", "bold green"


def _table(answer: Assessment) -> Table:
    table = Table(box=None, padding=(0, 2))
    table.add_column("")
    for label in LABELS:
        table.add_column(_words(label), justify="right")
    table.add_row("together", *_percents(answer.probabilities), style="bold")
    for name, said in answer.members.items():
        table.add_row(_plain(name), *_percents(said))
    return table


def _percents(said: dict[str, float]) -> list[str]:
    return [f"{said[label]:.1%}" for label in LABELS]


def _words(label: Label) -> str:
    return label.value.replace("_", " ")


def _plain(text: str) -> str:
    # A file may carry terminal escapes in its name or its tags.
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
