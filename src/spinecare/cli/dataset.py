"""`spinecare dataset make|check|split`: manifests of real scans."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from spinecare.io.dataset import Report, SamePair

app = typer.Typer(
    help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
)

SHOWN = 20
Manifest = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A manifest, CSV or Parquet.")]
Out = Annotated[Path, typer.Option(help="The manifest to write, .csv or .parquet.")]


@app.command()
def make(
    source: Annotated[Path, typer.Argument(exists=True, help="A folder with a folder per class, or a table.")],
    out: Out,
    path_column: Annotated[str, typer.Option(help="The table's column with the paths of pictures.")] = "path",
    label_column: Annotated[str, typer.Option(help="The table's column with the classes.")] = "label",
    group_column: Annotated[str | None, typer.Option(help="The table's column with scan groups.")] = None,
    patient_column: Annotated[str | None, typer.Option(help="The table's column with patients.")] = None,
    find_groups: Annotated[
        bool, typer.Option(help="Give pictures that show one scan one group (looks at all of them).")
    ] = True,
) -> None:
    """Make a manifest from a folder per class, or from another table. Exits 0, 1 on an error, 2 for wrong usage."""
    from spinecare.io.dataset import make_manifest, write_manifest

    with _sentences("make"):
        with _progress() as progress:
            frame = make_manifest(
                source,
                path_column=path_column,
                label_column=label_column,
                group_column=group_column,
                patient_column=patient_column,
                find_groups=find_groups,
                progress=progress,
            )
        write_manifest(frame, out)
    _notes(frame.attrs["notes"])
    counts = ", ".join(f"{n} {label}" for label, n in frame["label"].value_counts().sort_index().items())
    typer.echo(f"{out}: {len(frame)} pictures ({counts}). Next: spinecare dataset check {out}")


@app.command()
def check(
    manifest: Manifest,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for other programs.")] = False,
) -> None:
    """Look for what must not be in a dataset: one scan twice, other labels for it, leaks over a split, broken files.

    Exits 0 when nothing stands against training, 1 when something does, 2 for wrong usage.
    """
    from spinecare.io.dataset import check_manifest

    with _sentences("check"), _progress() as progress:
        report = check_manifest(manifest, progress)
    if as_json:
        typer.echo(json.dumps(report.to_json(), allow_nan=False))
    else:
        _show(report, manifest)
    if not report.ok:
        raise typer.Exit(1)


@app.command()
def split(
    manifest: Manifest,
    out: Out,
    seed: Annotated[int, typer.Option(help="The same seed gives the same split.")] = 0,
    fractions: Annotated[tuple[float, float, float], typer.Option(help="Shares of train, validation and test.")] = (
        0.7,
        0.1,
        0.2,
    ),
) -> None:
    """Divide a manifest by patient (else scan group) into train, val and test. Exits as `make`."""
    from spinecare.io.dataset import read_manifest, split_manifest, write_manifest

    if min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6:
        raise typer.BadParameter("they must be three shares that add up to 1", param_hint="--fractions")
    with _sentences("split"):
        frame = split_manifest(read_manifest(manifest), fractions, seed)
        write_manifest(frame, out)
    _notes(frame.attrs["notes"])
    from rich.console import Console
    from rich.table import Table

    table = Table("part", *(str(label) for label in sorted(frame["label"].unique())), "all")
    counts = frame.groupby(["split", "label"]).size().unstack(fill_value=0)
    for part in ("train", "val", "test"):
        if part in counts.index:
            row = counts.loc[part]
            table.add_row(part, *(str(n) for n in row), str(row.sum()))
    Console().print(table)
    typer.echo(out)


def _show(report: Report, manifest: Path) -> None:
    """The report for a person: numbers first, then each finding, then the verdict."""
    from rich.console import Console
    from rich.table import Table

    console = Console(soft_wrap=True)
    table = Table("found in", manifest.name, show_header=True)
    for what, number in (
        ("pictures", report.n),
        ("patients" if report.key == "patient" else f"units (by {report.key})", report.units),
        *((f"  {label}", n) for label, n in report.labels.items()),
        ("identical pairs", len(report.duplicates)),
        ("near-identical pairs", len(report.near_duplicates)),
        ("scans with more than one picture", len(report.groups)),
        ("unreadable files", len(report.unreadable)),
        ("conflicting labels", len(report.conflicts)),
        ("leaks", len(report.leaks)),
    ):
        table.add_row(what, str(number))
    console.print(table)
    _list(console, "Identical", [_said(p) for p in report.duplicates])
    _list(console, "Near-identical", [_said(p) for p in report.near_duplicates])
    _list(console, "Unreadable", [f"{path}: {reason}" for path, _, reason in report.unreadable], "red")
    _list(console, "Conflicting labels", list(report.conflicts), "red")
    _list(console, "Leaks", list(report.leaks), "red")
    _list(console, "Notes", list(report.notes))
    if report.leaks:
        console.print(
            "Pictures of one scan need one patient or one group: `spinecare dataset make` on this table gives them "
            "one, then split again."
        )
    verdict = "[green]Nothing stands against training.[/]" if report.ok else "[red]Not fit for training.[/]"
    console.print(verdict)


def _list(console: Console, title: str, lines: list[str], style: str = "bold") -> None:
    from rich.text import Text

    if not lines:
        return
    console.print(Text(f"{title} ({len(lines)})", style=style))
    for line in lines[:SHOWN]:
        console.print(Text(f"  {line}"))
    if len(lines) > SHOWN:
        console.print(Text(f"  and {len(lines) - SHOWN} more: see --json"))


def _said(pair: SamePair) -> str:
    how = {"file": "same file", "pixels": "same pixels"}.get(pair.kind, f"{pair.similarity:.3f}")
    return f"{pair.first}  {pair.second}  {how}{'  APART' if pair.apart else ''}"


def _notes(notes: list[str]) -> None:
    for note in notes[:SHOWN]:
        typer.echo(f"note: {note}", err=True)
    if len(notes) > SHOWN:
        typer.echo(f"note: and {len(notes) - SHOWN} more like these", err=True)


@contextmanager
def _sentences(command: str) -> Iterator[None]:
    """An error of the dataset is a sentence and exit status 1; Ctrl-C is 130."""
    from spinecare.errors import DatasetError

    try:
        yield
    except DatasetError as error:
        typer.echo(f"spinecare dataset {command}: {error}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        typer.echo("Stopped.", err=True)
        raise typer.Exit(130) from None


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal, a plain line per thousand pictures elsewhere, all on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("pictures"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("pictures", total=None)

        def step(done: int, of: int) -> None:
            bar.update(task, completed=done, total=of)
            if not console.is_terminal and done % 1000 == 0:
                typer.echo(f"{done} of {of} pictures", err=True)

        yield step
