"""`spinecare demo-train`: the whole of training on a few hundred virtual patients."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from spinecare.cli.train import again, new_run_folder, tell, without_out

app = typer.Typer(add_completion=False)


@app.command()
def demo_train(
    out: Annotated[Path | None, typer.Option(help="The run folder; an interrupted run there is continued.")] = None,
    n: Annotated[int, typer.Option(min=60, help="How many virtual patients.")] = 420,
    seed: Annotated[int, typer.Option(min=0)] = 7,
    vgg_weights: Annotated[Path | None, typer.Option(help="ImageNet start of vgg16 (safetensors).")] = None,
) -> None:
    """Make virtual patients and train all members on them with one hold-out split: minutes, for a look."""
    from spinecare.cli.progress import shown, speaking_errors

    folder = out or new_run_folder("demo")
    resume = again("demo-train", *without_out(sys.argv[2:]), "--out", folder)
    with speaking_errors("demo-train", resume), shown() as progress:
        from spinecare.learn.train import train
        from spinecare.learn.virtual import demo_recipe, make_virtual_cohort

        settings = demo_recipe(n, seed, vgg_weights)
        manifest = make_virtual_cohort(n, seed, folder / "cohort", settings.threads, progress)
        run = train(manifest, folder, settings, progress)
    tell(run)
