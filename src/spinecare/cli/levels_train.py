"""`spinecare levels-train`: the network that finds L1-L4, from virtual patients with label maps."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from spinecare.cli.train import again, new_run_folder, without_out

app = typer.Typer(add_completion=False)


@app.command()
def levels_train(
    cohort: Annotated[Path, typer.Option(exists=True, help="A cohort of `phantom make`: its folder or manifest.")],
    out: Annotated[Path | None, typer.Option(help="The run folder; an interrupted run there is continued.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the split and the fit.")] = 1,
    epochs: Annotated[int | None, typer.Option(min=1, help="Rounds over the training part.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Of the fit, and processes that read scans.")] = 2,
    trained_on: Annotated[str, typer.Option(help="A few words on the data.")] = "",
) -> None:
    """Train the level network on a virtual cohort, measure it on its test part, export it as ONNX."""
    from spinecare.cli.progress import shown, speaking_errors

    folder = out or new_run_folder("levels")
    resume = again("levels-train", *without_out(sys.argv[2:]), "--out", folder)
    with speaking_errors("levels-train", resume), shown() as progress:
        from spinecare.io.dataset import read_manifest
        from spinecare.learn.data import with_split
        from spinecare.learn.levels import LevelsSettings, train_levels

        manifest = cohort / "manifest.csv" if cohort.is_dir() else cohort
        frame = with_split(read_manifest(manifest), seed)
        about = trained_on or f"virtual patients only (n={len(frame)}, the cohort {manifest.parent.name})"
        settings = LevelsSettings(seed=seed, threads=threads, trained_on=about)
        settings = settings if epochs is None else replace(settings, epochs=epochs)
        spec = train_levels(frame, folder, settings, progress)
    told = ", ".join(f"{name} {value:.3f}" for name, value in (spec.metrics or {}).items() if isinstance(value, float))
    typer.echo(f"virtual test part, {(spec.metrics or {}).get('scans')} scans: {told}")
    typer.echo(f"level network ({spec.precision}): {folder / spec.model}")
