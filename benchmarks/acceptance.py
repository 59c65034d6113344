"""How many real scans get an answer, and why the others don't. No diagnosis is read and no answer is shown.

    python benchmarks/acceptance.py
    python benchmarks/acceptance.py --bundle runs/.../bundle --each --json

The 128 unique `spine_dxa` pictures, each bare too (its yellow lines painted out, so that levels must come
from the image), and bare and wrong: upside down, turned by 90 degrees, as a negative. The two halves of the scans stand
apart, since the gate's limits were set by looking at the even groups. And the iDXA files, each also with every tag
stripped but what the pixels need.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.uid import generate_uid

import spinecare
from levels import wilson
from spinecare.errors import AssessmentError, ScanError
from spinecare.io.read import read_scan
from spinecare.prepare.pipeline import find_levels
from spinecare.scan import Refused

Grey = npt.NDArray[np.uint8]
SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
# The image pixel module and what names the file's kind: without these there are no pixels.
NEEDED = (
    *("SOPClassUID", "SOPInstanceUID", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit"),
    *("PixelRepresentation", "SamplesPerPixel", "PhotometricInterpretation", "PixelData"),
)


def outcome(assessor: Any, given: Path | bytes, name: str) -> str:
    """`assessed`, a refusal's or an unreadable file's code: never what the answer was."""
    try:
        answer = assessor.assess(given, name=name)
    except ScanError as error:
        return f"unreadable: {error.code}"
    except AssessmentError:
        return "failed inside"
    return f"refused: {answer.code}" if isinstance(answer, Refused) else "assessed"


def stripped(path: Path) -> bytes:
    """A DICOM file with every tag gone that the pixels do not need."""
    data = pydicom.dcmread(path)
    for element in list(data):
        if element.keyword not in NEEDED:
            del data[element.tag]
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    buffer = io.BytesIO()
    data.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


# What is done to a picture's grey, uint8 (rows, cols), to make another of it.
VERSIONS: dict[str, Callable[[Grey], Grey]] = {
    "bare": lambda grey: grey,
    "upside down": lambda grey: grey[::-1],
    "turned left": lambda grey: np.rot90(grey),
    "negative": lambda grey: 255 - grey,
}


def versions(path: Path) -> dict[str, bytes]:
    """A picture's `VERSIONS` as grey PNGs, its overlays painted out by the product's own code."""
    from PIL import Image

    grey = np.uint8(np.round(np.clip(find_levels(read_scan(path)).clean, 0, 1) * 255))
    made = {}
    for version, change in VERSIONS.items():
        buffer = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(change(grey))).save(buffer, format="PNG")
        made[version] = buffer.getvalue()
    return made


def pictures(folder: Path) -> Iterator[tuple[Path, str]]:
    """The first picture of every scan group, and its half: `even` (looked at) or `odd`."""
    with (folder / "manifest.csv").open(newline="") as file:
        for entry in csv.DictReader(file):
            if entry["first_of_group"] == "1":
                yield folder / entry["path"], ("even", "odd")[int(entry["group"].lstrip("sg")) % 2]


def tally(outcomes: dict[str, str]) -> dict[str, Any]:
    """Share assessed with its Wilson interval, and the rest by code."""
    hits, n = sum(o == "assessed" for o in outcomes.values()), len(outcomes)
    return {
        "assessed": hits,
        "n": n,
        "share": hits / n if n else None,
        "interval": wilson(hits, n),
        "by_outcome": dict(Counter(outcomes.values()).most_common()),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the study."""
    shape = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=shape)
    parser.add_argument("--data", type=Path, default=SHARED_DATA, help="folder with spine_dxa and idxa_dicom")
    parser.add_argument("--bundle", type=Path, help="a bundle's folder; the one in the package when absent")
    parser.add_argument("--each", action="store_true", help="name every picture that was not assessed")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)

    assessor = spinecare.load(options.bundle)
    start = time.perf_counter()
    as_is = {p.name: outcome(assessor, p, p.name) for p, _ in pictures(options.data / "spine_dxa")}
    milliseconds = (time.perf_counter() - start) * 1000 / max(1, len(as_is))
    without: dict[str, str] = {}
    wrong: dict[str, Counter[str]] = {}
    for path, half in pictures(options.data / "spine_dxa"):
        for version, data in versions(path).items():
            what = outcome(assessor, data, path.name)
            if version == "bare":
                without[path.name] = what
            else:
                wrong.setdefault(f"{version}, {half} groups", Counter())[what] += 1
    idxa = {}
    for path in sorted((options.data / "idxa_dicom").glob("*.dcm")):
        idxa[path.name] = outcome(assessor, path, path.name)
        idxa[f"{path.name}, tags stripped"] = outcome(assessor, stripped(path), path.name)

    result = {
        "spine_dxa": tally(as_is),
        "spine_dxa_bare": tally(without),
        "spine_dxa_wrong": {name: dict(count.most_common()) for name, count in sorted(wrong.items())},
        "idxa": idxa,
        "ms_per_picture": milliseconds,
    }
    if options.json:
        print(json.dumps(result))
    else:
        for name in ("spine_dxa", "spine_dxa_bare"):
            t = result[name]
            low, high = t["interval"]
            print(f"{name}: assessed {t['assessed']}/{t['n']} = {t['share']:.1%} [{low:.1%}, {high:.1%}]")
            for code, count in t["by_outcome"].items():
                print(f"  {count:4d}  {code}")
        for name, counts in result["spine_dxa_wrong"].items():
            print(f"{name}: {counts}")
        for name, what in idxa.items():
            print(f"{name}: {what}")
        print(f"{milliseconds:.0f} ms a picture")
    if options.each:
        for kind, outcomes in (("as it is", as_is), ("bare", without)):
            for name, what in outcomes.items():
                if what != "assessed":
                    print(f"{name} {kind}: {what}")


if __name__ == "__main__":
    main()
