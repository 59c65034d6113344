"""`spinecare tune`: options searched inside a training part, or on virtual patients."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from spinecare.cli.train import again, new_run_folder, without_out

app = typer.Typer(add_completion=False)


@app.command()
def tune(
    manifest: Annotated[
        Path, typer.Argument(help="CSV or Parquet; of one with a split, only its train rows are read.")
    ],
    config: Annotated[
        Path | None, typer.Option(help="What is searched (TOML); default: the search in the package.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The run folder; an interrupted search there is continued.")] = None,
    trials: Annotated[int, typer.Option(min=1, help="Finished trials, those of earlier calls counted.")] = 50,
    storage: Annotated[
        str | None,
        typer.Option(help="URL of a database that several machines share; default: SQLite in the run folder."),
    ] = None,
    virtual: Annotated[
        bool, typer.Option("--virtual", help="These are virtual patients: search on all of them.")
    ] = False,
) -> None:
    """Search the options of members, combiners and augmentation; the best are written as a config for `study`.

    Start it again to go on, or on other machines with the same --storage to share the search.
    """
    from spinecare.cli.progress import shown, speaking_errors

    folder = out or new_run_folder("tune")
    resume = again("tune", *without_out(sys.argv[2:]), "--out", folder)
    with speaking_errors("tune", resume), shown() as progress:
        from spinecare.learn.tune import SearchSettings
        from spinecare.learn.tune import tune as run_search
        from spinecare.learn.tune.search import DEFAULT_FILE

        search = SearchSettings.from_toml(config or DEFAULT_FILE)
        tuned = run_search(manifest, folder, search, trials, storage, virtual, progress)
    typer.echo(
        f"{search.objective} of {search.headline}: {tuned.value:.4f}, best of {tuned.finished + tuned.pruned} trials "
        f"({tuned.pruned} pruned). This flatters: score the options on scans that the search has not seen."
    )
    typer.echo(f"options: {tuned.toml}")
