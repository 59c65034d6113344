"""`spinecare train`: a model of your own from a dataset manifest."""

from __future__ import annotations

import os
import shlex
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from spinecare.learn.train import Run

app = typer.Typer(add_completion=False)


def new_run_folder(name: str) -> Path:
    """`runs/<time>-<name>` below the folder one stands in."""
    return Path("runs") / f"{datetime.now():%Y%m%d-%H%M%S}-{name}"


def again(command: str, *arguments: str | Path) -> str:
    """The command line that continues, for people to copy."""
    return shlex.join(["spinecare", command, *map(str, arguments)])


def without_out(arguments: list[str]) -> list[str]:
    """What was typed, less `--out X`, which is told again resolved."""
    kept, skip = [], False
    for argument in arguments:
        if skip or argument == "--out":
            skip = not skip
        elif not argument.startswith("--out="):
            kept.append(argument)
    return kept


def tell(run: Run) -> None:
    """The end of a run, in a few lines on standard output."""
    models: dict[str, Any] = run.metrics["models"]
    for name, model in models.items():
        figure = model["figures"]["auc"]
        interval = figure["interval"]
        brackets = f" [{interval['low']:.3f}, {interval['high']:.3f}]" if interval else ""
        typer.echo(f"{name}: AUC {figure['value']:.3f}{brackets} on {figure['n']} test scans")
    typer.echo(f"report: {run.report}")
    typer.echo(f"bundle: {run.bundle}")


@app.command()
def train(
    manifest: Annotated[Path, typer.Argument(help="CSV or Parquet, as `spinecare dataset make` writes it.")],
    out: Annotated[Path | None, typer.Option(help="The run folder; an interrupted run there is continued.")] = None,
    folds: Annotated[int, typer.Option(min=0, help="Folds for the stack; 0: one hold-out cut.")] = 5,
    epochs: Annotated[int | None, typer.Option(min=1, help="The same for every member.")] = None,
    members: Annotated[str, typer.Option(help="Which, separated by commas.")] = "cnn,vgg16,resnet",
    seed: Annotated[int, typer.Option(min=0)] = 0,
    vgg_weights: Annotated[Path | None, typer.Option(help="ImageNet start of vgg16 (safetensors).")] = None,
    name: Annotated[str, typer.Option(help="Of the bundle.")] = "spinecare",
    trained_on: Annotated[str, typer.Option(help="A few words on the data, told with each answer.")] = "",
    float32: Annotated[bool, typer.Option("--float32", help="No int8: larger, slower, exact.")] = False,
    devices: Annotated[
        str,
        typer.Option(envvar="SPINECARE_DEVICES", help="cpu, cpu:2, gpu, gpu:4 or auto; under torchrun no number."),
    ] = "cpu",
) -> None:
    """Train members and stack on MANIFEST, evaluate them on its test part, export a bundle."""
    from spinecare.cli.progress import shown, speaking_errors
    from spinecare.errors import TrainingError
    from spinecare.learn.devices import VARIABLE, Devices, conduct
    from spinecare.learn.networks import NETWORKS
    from spinecare.learn.recipe import DEFAULT_FITS, MemberRecipe, TrainSettings
    from spinecare.learn.train import train as run_training

    folder = out or new_run_folder(name)
    resume = again("train", *without_out(sys.argv[2:]), "--out", folder)
    with speaking_errors("train", resume):
        where = Devices.parse(devices)
        os.environ[VARIABLE] = str(where)  # where the fits look, and processes that they start
        names = [part.strip() for part in members.split(",") if part.strip()]
        strangers = [part for part in names if part not in NETWORKS]
        if strangers:
            raise TrainingError(f"There is no member {strangers[0]!r}. Choose from {', '.join(NETWORKS)}.")
        changes = {} if epochs is None else {"epochs": epochs}
        recipes = []
        for member in names:
            options = {"weights": str(vgg_weights), "frozen": 2} if member == "vgg16" and vgg_weights else {}
            fit = type(DEFAULT_FITS[member])(**{**vars(DEFAULT_FITS[member]), **changes})
            recipes.append(MemberRecipe(member, options, fit))
        settings = TrainSettings(
            name=name,
            seed=seed,
            members=tuple(recipes),
            folds=folds,
            trained_on=trained_on or f"the dataset {manifest.name}",
            int8=not float32,
        )
        with shown() as progress:
            run = conduct(where, lambda: run_training(manifest, folder, settings, progress))
    if run is not None:
        tell(run)
