"""Who finds L1-L4 for a study or a search: the network of the package, one of a folder, or image processing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from spinecare.errors import TrainingError


def level_folder(levels: str, cache: Path) -> str | None:
    """The folder of a level network, as `load_pictures` takes it.

    Parameters
    ----------
    levels
        "package" (the network of the bundle in the package, written out below `cache` as it lies there), "none" (image
        processing; the answer is None), or the folder of a finished level network.

    Raises
    ------
    TrainingError
        When the bundle of the package has none.
    """
    from spinecare.bundle.read import DEFAULT_FOLDER
    from spinecare.bundle.schema import SPEC_FILE as BUNDLE_FILE
    from spinecare.learn.levels_data import MODEL_FILE, SPEC_FILE

    if levels != "package":
        return None if levels == "none" else levels
    file = DEFAULT_FOLDER / BUNDLE_FILE
    told = json.loads(file.read_text(encoding="utf-8")).get("levels") if file.is_file() else None
    if told is None:
        raise TrainingError('The bundle of the package has no level network. Set levels = "none", or name a folder.')
    folder = cache / "levels"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(DEFAULT_FOLDER / told["model"], folder / MODEL_FILE)
    (folder / SPEC_FILE).write_text(json.dumps(told), encoding="utf-8")
    return str(folder)
