"""`spinecare study`: members and combiners compared on a dataset by nested cross-validation."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from spinecare.learn.recipe import Progress
    from spinecare.study.settings import StudySettings

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

SHOWN = ("auc", "accuracy_three_classes")


@app.command()
def study(
    manifest: Annotated[Path, typer.Argument(help="CSV or Parquet, as `spinecare dataset make` writes it.")],
    config: Annotated[Path | None, typer.Option(help="The study's TOML; none: the one in the package.")] = None,
    out: Annotated[Path | None, typer.Option(help="The run folder; an interrupted study there is continued.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="1 x 3 folds, few members: seconds; to see it work.")] = False,
    audit: Annotated[bool, typer.Option("--audit", help="Look for leaks and shortcuts afterwards.")] = False,
    ablate: Annotated[str, typer.Option(help="Ablations to run afterwards, separated by commas.")] = "",
    without: Annotated[str, typer.Option(help="Members of the ablations to leave out: costly ones, say.")] = "",
    workers: Annotated[int | None, typer.Option(min=1, help="Processes of one thread each.")] = None,
) -> None:
    """Study MANIFEST: repeated nested cross-validation by patient or group, with intervals and a report."""
    from spinecare.cli.progress import shown, speaking_errors
    from spinecare.cli.train import again, new_run_folder, without_out
    from spinecare.study.settings import StudySettings

    with speaking_errors("study", ""):
        settings = StudySettings.from_toml(config)
        settings = settings.quick() if quick else settings
        if workers is not None:
            settings = replace(settings, workers=workers)
        folder = out or new_run_folder(settings.name)
        names = _known(_split(ablate))
        try:
            with shown() as progress:
                metrics = _study(manifest, settings, folder, audit, names, _split(without), progress)
        except KeyboardInterrupt:
            resume = again("study", *without_out(sys.argv[2:]), "--out", folder)
            typer.echo(f"\nStopped. To go on from the last finished fold: {resume}", err=True)
            raise typer.Exit(130) from None
    _tell(metrics, folder)


def _split(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


def _known(names: list[str]) -> list[str]:
    """Names of ablations; TrainingError for a strange one now, rather than after the hour that the study takes."""
    if names:
        from spinecare.errors import TrainingError
        from spinecare.study.ablations import ABLATIONS

        strange = [name for name in names if name not in ABLATIONS]
        if strange:
            raise TrainingError(f"There is no ablation {strange[0]!r}. Choose from {', '.join(ABLATIONS)}.")
    return names


def _study(
    manifest: Path,
    settings: StudySettings,
    folder: Path,
    audit: bool,
    ablate: list[str],
    without: list[str],
    progress: Progress,
) -> dict[str, Any]:
    from spinecare.study.engine import run_study
    from spinecare.study.score import score

    run = run_study(manifest, settings, folder, progress)
    metrics = score(run.folder, settings, progress)
    # Before the report, which shows what they found.
    if audit:
        from spinecare.study.audit import audit_study

        audit_study(manifest, settings, folder, progress)
    if ablate:
        from spinecare.study.ablate import ablate as run_ablations

        run_ablations(manifest, settings, ablate, folder, progress, without)
    from spinecare.study.report import write_study_report

    write_study_report(folder)
    return metrics


def _tell(metrics: dict[str, Any], folder: Path) -> None:
    """The end of a study, in a few lines on standard output."""
    for name, model in metrics["models"].items():
        told = []
        for key in SHOWN:
            figure = model["figures"][key]
            interval = figure["interval"]
            brackets = f" [{interval['low']:.3f}, {interval['high']:.3f}]" if interval else ""
            told.append(f"{metrics['what'][key]} {figure['value']:.3f}{brackets}")
        typer.echo(f"{name}: {'; '.join(told)}")
    typer.echo(f"{metrics['n']} scans of {metrics['patients']} patients or groups; {metrics['protocol']}")
    typer.echo(f"in {folder}")
