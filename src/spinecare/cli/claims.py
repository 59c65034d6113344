"""`spinecare claims`: the published protocol beside an honest one, on the same pictures."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from spinecare.study.claims import ClaimsRun

app = typer.Typer(add_completion=False)


@app.command()
def claims(
    manifest: Annotated[Path, typer.Argument(help="CSV or Parquet, as `spinecare dataset make` writes it.")],
    out: Annotated[Path | None, typer.Option(help="The run folder; an interrupted run there is continued.")] = None,
    splits: Annotated[int, typer.Option(min=1, help="Random splits on each side.")] = 5,
    cnn_splits: Annotated[int, typer.Option(min=0, help="Of these, how many the CNN and the stack get; 0: none.")] = 3,
    copies: Annotated[int, typer.Option(min=1, help="Augmented copies of each picture.")] = 11,
    pictures: Annotated[str, typer.Option(help="What members see: prepared or whole-with-drawing.")] = "prepared",
    members: Annotated[str, typer.Option(help="Which, separated by commas; all if empty.")] = "",
    vgg_weights: Annotated[Path | None, typer.Option(help="ImageNet's VGG16 (safetensors).")] = None,
    bundle: Annotated[Path | None, typer.Option(help="Bundle whose ResNet is used; the one in the package.")] = None,
    seed: Annotated[int, typer.Option(min=0)] = 1,
    workers: Annotated[int, typer.Option(min=1, help="Processes, one thread each.")] = 2,
) -> None:
    """Augment before splitting, as published, and after it; the same members both ways: claims.md in the run folder."""
    from spinecare.cli.progress import shown, speaking_errors
    from spinecare.cli.train import again, new_run_folder, without_out
    from spinecare.errors import TrainingError
    from spinecare.learn.material import Sources
    from spinecare.study.claims import run_claims
    from spinecare.study.claims_settings import ClaimsSettings, published_members

    folder = out or new_run_folder("claims")
    with speaking_errors("claims", again("claims", *without_out(sys.argv[2:]), "--out", folder)):
        chosen = published_members(cnn_splits, imagenet=vgg_weights is not None)
        if members:
            names = [part.strip() for part in members.split(",") if part.strip()]
            strangers = [name for name in names if name not in chosen]
            if strangers:
                raise TrainingError(f"There is no member {strangers[0]!r} here. Choose from {', '.join(chosen)}.")
            chosen = {name: chosen[name] for name in names}
        settings = ClaimsSettings(
            seed=seed,
            splits=splits,
            copies=copies,
            members=chosen,
            shown=pictures,  # type: ignore[arg-type]
            sources=Sources(
                bundle=None if bundle is None else str(bundle),
                imagenet=None if vgg_weights is None else str(vgg_weights),
            ),
            workers=workers,
        )
        with shown() as progress:
            run = run_claims(manifest, folder, settings, progress)
    tell(run)


def tell(run: ClaimsRun) -> None:
    """The three-class accuracies and where the page is, on standard output."""
    table: dict[str, Any] = run.document["table"]
    for name, tasks in table.items():
        sides = tasks["three"]
        leak, honest = (sides[side]["accuracy"]["mean"] for side in ("leak", "honest"))
        typer.echo(f"{name}: three classes {leak:.1%} with the leak, {honest:.1%} honest")
    typer.echo(f"page: {run.page}")
