"""The figures that the page shows: copied beside it from the runs that drew them. None of them holds a scan."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

# Section → the run it comes from, and its figures: file in the run, name beside the page, what it shows.
FIGURES: dict[str, tuple[str, tuple[tuple[str, str, str], ...]]] = {
    "The study": (
        "study",
        (
            ("figures/answers_1.svg", "roc.svg", "ROC, mean over repeats; a dot is where the answer turns to yes"),
            ("figures/answers_2.svg", "auc.svg", "AUC of every model with its interval"),
            ("figures/calibration_1.svg", "calibration.svg", "calibration of the headline"),
        ),
    ),
    "Claims": ("claims", (("claims.svg", "claims.svg", "accuracy claimed, with the leak, and honest"),)),
}


def copy_figures(paths: Mapping[str, Path], folder: Path) -> dict[str, str]:
    """Copy what is there into `folder`; section → Markdown that shows it, relative to the folder's parent."""
    shown = {}
    for title, (part, files) in FIGURES.items():
        run = paths.get(part)
        lines = []
        for file, name, about in files:
            if run is not None and (run / file).is_file():
                folder.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(run / file, folder / name)
                lines.append(f"![{about}]({folder.name}/{name})")
        if lines:
            shown[title] = "\n\n".join(lines)
    return shown
