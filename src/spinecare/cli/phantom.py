"""`spinecare phantom make|show`: virtual patients with known truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spinecare.cli.files import picture_to_write
from spinecare.cli.progress import SECONDS_BETWEEN_LINES

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False)


def _style(value: str) -> str:
    from spinecare.phantom.scanner import STYLES

    if value not in STYLES:
        raise typer.BadParameter(f"there is no style {value!r}: choose one of {', '.join(STYLES)}")
    return value


Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same people.")]
StyleOption = Annotated[str, typer.Option(callback=_style, help="hologic (screen crops) or idxa (DICOM).")]


@app.command()
def make(
    out: Annotated[Path, typer.Option(help="The folder to write; an unfinished one is completed.")],
    n: Annotated[int, typer.Option(min=1, help="How many people.")] = 1000,
    seed: Seed = 1,
    style: StyleOption = "hologic",
    balance: Annotated[bool, typer.Option("--balance", help="Classes equally often, with sampling weights.")] = False,
    truth_only: Annotated[
        bool, typer.Option("--truth-only", help="People without pictures; the scanner's error is estimated.")
    ] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; all processors if not given.")] = None,
) -> None:
    """Draw virtual patients: pictures or DICOM, label maps of the spine, manifest.csv and truth.csv."""
    import time

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from spinecare.errors import SpineCareError
    from spinecare.phantom.cohort import make_cohort

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
            task = bar.add_task("virtual patients", total=n)
            told = time.monotonic()

            def step(done: int, total: int) -> None:
                nonlocal told
                bar.update(task, completed=done)
                if not console.is_terminal and (done == total or time.monotonic() - told >= SECONDS_BETWEEN_LINES):
                    told = time.monotonic()
                    typer.echo(f"{done} of {total} virtual patients", err=True)

            path = make_cohort(n, seed, style, out, balance, truth_only, workers, step)  # type: ignore[arg-type]
    except SpineCareError as error:
        typer.echo(f"spinecare phantom make: {error}", err=True)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        typer.echo("Stopped. The same command goes on from here.", err=True)
        raise typer.Exit(130) from None
    typer.echo(path)


@app.command()
def show(
    out: Annotated[Path, typer.Option(callback=picture_to_write, help="The picture to write.")],
    n: Annotated[int, typer.Option(min=1, max=400, help="How many people.")] = 24,
    seed: Seed = 1,
    style: StyleOption = "hologic",
    balance: Annotated[bool, typer.Option("--balance", help="Classes equally often.")] = False,
    truth: Annotated[bool, typer.Option("--truth", help="Draw the true boxes and parts of the spine.")] = False,
    overlay: Annotated[bool, typer.Option(help="Burn in the operator's ROI (hologic).")] = True,
) -> None:
    """Draw a contact sheet of virtual patients."""
    from spinecare.phantom.cohort import contact_sheet

    contact_sheet(n, seed, style, balance=balance, truth=truth, overlay=overlay).save(out)  # type: ignore[arg-type]
    typer.echo(out)
