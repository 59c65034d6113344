"""Names of files that a command is asked to write, checked before it works for minutes."""

from __future__ import annotations

from pathlib import Path

import typer

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")


def picture_to_write(path: Path | None) -> Path | None:
    """The path itself; wrong usage (`typer.BadParameter`) when no picture can be written there."""
    if path is not None and path.suffix.lower() not in PICTURES:
        raise typer.BadParameter(f"{path.name} is no picture's name: end it with {', '.join(PICTURES)}")
    if path is not None and not path.absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {path.parent}")
    return path
