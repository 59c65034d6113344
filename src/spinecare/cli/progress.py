"""How the training commands show what they do: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from spinecare.learn.recipe import Step

SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def shown() -> Iterator[Callable[[Step], None]]:
    """A progress callback for `learn`; everything goes to standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _plain()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[remark]}"),
    )
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=console) as bar:

        def step(s: Step) -> None:
            if s.stage not in tasks:
                tasks[s.stage] = bar.add_task(s.stage, total=s.total, remark="")
            bar.update(tasks[s.stage], completed=s.done, total=s.total, remark=s.remark)

        yield step


def _plain() -> Callable[[Step], None]:
    last: dict[str, float] = {}

    def step(s: Step) -> None:
        now = time.monotonic()
        # A cohort reports each person; a line for each stage's start, end, remarks and every ten seconds is enough.
        if s.remark or s.done == s.total or now - last.get(s.stage, -1e9) >= SECONDS_BETWEEN_LINES:
            last[s.stage] = now
            typer.echo(f"{s.stage}: {s.done} of {s.total}{', ' + s.remark if s.remark else ''}", err=True)

    return step


@contextmanager
def speaking_errors(command: str, resume: str) -> Iterator[None]:
    """SpineCare's errors as a sentence and exit 2; Ctrl-C as exit 130 with how to go on."""
    from spinecare.errors import SpineCareError

    try:
        yield
    except SpineCareError as error:
        typer.echo(f"spinecare {command}: {error}", err=True)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        typer.echo(f"\nStopped. To go on from the last finished epoch: {resume}", err=True)
        raise typer.Exit(130) from None
