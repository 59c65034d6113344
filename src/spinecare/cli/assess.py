"""`spinecare assess`: files in, answers out; one JSON object a line for other programs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from spinecare.assessor import Assessor
    from spinecare.report.json import Answer

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
def assess(
    files: Annotated[list[str], typer.Argument(help="DICOM files or pictures (PNG, JPEG, TIFF, BMP).")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, in the order given.")] = False,
    bundle: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Folder of a model bundle; the package's if left out."),
    ] = None,
) -> None:
    """Say whether spine DXA scans show osteoporosis, with certainty and reasons. For research.

    Exit codes: 0 when each file was assessed or refused; 1 when one was unreadable (its line is printed
    all the same), or when the model bundle cannot be opened (then there are no lines, only a sentence on
    standard error); 2 for wrong usage.
    """
    # Imported here: `--help` and wrong usage need neither numpy nor ONNX Runtime.
    from spinecare.assessor import load
    from spinecare.errors import BundleError
    from spinecare.scan import Assessment, Refused

    try:
        assessor = load(bundle)
    except BundleError as error:
        print(f"spinecare assess: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    show = _show_json if as_json else _show_page
    all_read = True
    for file in files:
        answer = _answer(assessor, file)
        all_read &= isinstance(answer, Assessment | Refused)
        show(answer, file)
    if not all_read:
        raise typer.Exit(1)


def _answer(assessor: Assessor, file: str) -> Answer:
    from spinecare.errors import AssessmentError, ScanError

    try:
        return assessor.assess(file)
    except AssessmentError as error:
        # The line says what failed; where it failed is for whoever mends it.
        cause = error.__cause__
        frame = cause.__traceback__ if cause is not None else None
        while frame is not None and frame.tb_next is not None:
            frame = frame.tb_next
        where = f" ({Path(frame.tb_frame.f_code.co_filename).name}:{frame.tb_lineno})" if frame else ""
        print(f"spinecare assess: {error.reason}{where}", file=sys.stderr)
        return error
    except ScanError as error:
        return error


def _show_json(answer: Answer, file: str) -> None:
    from spinecare.report.json import to_json

    line = json.dumps(to_json(answer, file, _sha256(answer, file)), allow_nan=False)
    # Flushed, so that a reader at the other end of a pipe has each answer when it is there.
    print(line, flush=True)


def _show_page(answer: Answer, file: str) -> None:
    from spinecare.cli.page import print_answer

    print_answer(answer, file)


def _sha256(answer: Answer, file: str) -> str | None:
    from spinecare.bundle.schema import sha256_of
    from spinecare.scan import Assessment, Refused

    if isinstance(answer, Assessment | Refused) and answer.source is not None:
        return answer.source.sha256
    try:
        # Devices and pipes are no files: reading one may never end.
        return sha256_of(Path(file)) if Path(file).is_file() else None
    except (OSError, ValueError):
        return None
