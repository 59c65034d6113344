"""`spinecare default-train`: the recipe of the bundle that ships in the package."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from spinecare.cli.train import again, new_run_folder, tell, without_out

app = typer.Typer(add_completion=False)


@app.command()
def default_train(
    out: Annotated[Path | None, typer.Option(help="The run folder; an interrupted run there is continued.")] = None,
    n: Annotated[int, typer.Option(min=60, help="How many virtual patients.")] = 10_000,
    seed: Annotated[int, typer.Option(min=0)] = 1,
    vgg_weights: Annotated[Path | None, typer.Option(help="ImageNet start of vgg16 (safetensors).")] = None,
    epochs_scale: Annotated[float, typer.Option(help="Below 1: a rehearsal.")] = 1.0,
    install: Annotated[bool, typer.Option("--install", help="Put the bundle into the package as its default.")] = False,
) -> None:
    """Train the default bundle, level network and members, on virtual patients only."""
    from spinecare.cli.progress import shown, speaking_errors

    folder = out or new_run_folder("default")
    resume = again("default-train", *without_out(sys.argv[2:]), "--out", folder)
    with speaking_errors("default-train", resume), shown() as progress:
        from spinecare.bundle.read import DEFAULT_FOLDER, open_bundle
        from spinecare.learn.train import train
        from spinecare.learn.virtual import LEVELS_PEOPLE, default_levels, default_recipe, make_virtual_cohort

        settings = default_recipe(n, seed, vgg_weights, epochs_scale)
        # The level network has learnt what it can from the first few thousand people; then the cohort grows.
        few = min(n, LEVELS_PEOPLE)
        manifest = make_virtual_cohort(few, seed, folder / "cohort", settings.threads, progress)
        levels = default_levels(manifest, folder / "levels", few, seed, epochs_scale, progress)
        manifest = make_virtual_cohort(n, seed, folder / "cohort", settings.threads, progress)
        run = train(manifest, folder, replace(settings, levels=levels), progress)
        open_bundle(run.bundle)
        if install:
            shutil.rmtree(DEFAULT_FOLDER, ignore_errors=True)
            shutil.copytree(run.bundle, DEFAULT_FOLDER)
    tell(run)
    if install:
        typer.echo(f"installed: {DEFAULT_FOLDER}")
