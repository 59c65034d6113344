"""`spinecare prepare`: what a scan looks like on its way to the members."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spinecare.cli.files import picture_to_write
from spinecare.settings import Denoise

if TYPE_CHECKING:
    from spinecare.scan import Prepared

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
def prepare(
    file: Annotated[str, typer.Argument(help="A DICOM file or a picture (PNG, JPEG, TIFF, BMP).")],
    show: Annotated[
        Path | None, typer.Option(callback=picture_to_write, help="Draw every stage side by side into this picture.")
    ] = None,
    bundle: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Folder of a model bundle; the package's if left out."),
    ] = None,
    denoise: Annotated[Denoise, typer.Option(help="Denoising on the crop.")] = "gaussian",
) -> None:
    """Find L1 to L4 in a scan, crop, denoise and normalise it; print the levels or draw every stage.

    Exit codes: 0 when the scan was prepared or refused; 1 when it was unreadable; 2 for wrong usage.
    """
    from spinecare.bundle.read import DEFAULT_FOLDER, open_levels
    from spinecare.errors import ScanError
    from spinecare.io.read import read_scan
    from spinecare.prepare.network import locator
    from spinecare.prepare.pipeline import find_levels
    from spinecare.prepare.pipeline import prepare as prepare_scan
    from spinecare.scan import Refused
    from spinecare.settings import PrepareSettings

    settings = PrepareSettings(denoise=denoise)
    try:
        scan = read_scan(file)
    except ScanError as error:
        print(f"spinecare prepare: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    # Without a bundle there is no network: levels are then found by image processing.
    there = bundle is not None or DEFAULT_FOLDER.is_dir()
    found = find_levels(scan, locator(open_levels(bundle) if there else None))
    prepared = prepare_scan(scan, settings, found)
    if isinstance(prepared, Refused):
        print(f"refused ({prepared.code}): {prepared.reason} {prepared.hint}")
    else:
        _print_levels(prepared)
    if show is not None:
        from spinecare.prepare.show import draw_stages

        try:
            draw_stages(scan, found, prepared, settings).save(show)
        except OSError as error:
            print(f"spinecare prepare: {show} could not be written: {error.strerror}.", file=sys.stderr)
            raise typer.Exit(1) from None
        print(f"stages drawn in {show}")


def _print_levels(prepared: Prepared) -> None:
    """A short table of the levels in use, and the notes."""
    print("level  rows           cols           from              confidence")
    for level in prepared.levels:
        low, high = level.polygon.min(axis=0), level.polygon.max(axis=0)
        rows, cols = (f"{low[axis]:.1f} to {high[axis]:.1f}" for axis in (0, 1))
        print(f"{level.name:<7}{rows:<15}{cols:<15}{level.source.replace('_', ' '):<18}{level.confidence:.2f}")
    for note in prepared.notes:
        print(note)
