"""The report of one scan as a PDF, A4: made from the record, as the page is. Usually one page."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import KeepTogether, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from spinecare import __version__
from spinecare.report import words
from spinecare.report.drawing import Drawing
from spinecare.scan import LABELS

FONTS = Path(__file__).parent / "fonts"
MARGIN = 16 * mm
WIDTH = A4[0] - 2 * MARGIN
FRAME = 6  # points that reportlab's frame keeps free on each side
INK, MUTED, LINE, ACCENT = (colors.HexColor(c) for c in ("#14222c", "#4a5d6a", "#c6d2da", "#0b6073"))
TONES = {
    "Yes": ("#9a3412", "#fdf1ea"),
    "No": ("#0b6650", "#e9f6f1"),
    "No answer": ("#5b4a9c", "#f1effa"),
    "": ("#7a4f01", "#fdf5e3"),
}
VERDICTS = {"agree": "Agrees", "correct": "Corrects", "not_usable": "Not usable"}


def report_pdf(
    record: Mapping[str, Any],
    pictures: Mapping[str, bytes],
    header: Mapping[str, str],
    readings: Sequence[Mapping[str, Any]] = (),
) -> bytes:
    """The report of an answer that was assessed or refused.

    Parameters
    ----------
    record
        What report/record.py made.
    pictures
        Its pictures: name -> PNG.
    header
        What stands above it, as patient and day: name -> words.
    readings
        What readers said: `verdict`, `label`, `reason`, `by`, `at` (words) each, the oldest first.

    Raises
    ------
    ValueError
        For a file that could not be read: there is nothing to report on.
    """
    if record["outcome"] == "unreadable":
        raise ValueError("A file that could not be read has no report.")
    _fonts()
    out = io.BytesIO()
    document = SimpleDocTemplate(
        out,
        pagesize=A4,
        leftMargin=MARGIN - FRAME,
        rightMargin=MARGIN - FRAME,
        topMargin=11 * mm,
        bottomMargin=15 * mm,
        title=f"SpineCare report {header.get('Assessment', '')}".strip(),
        author="SpineCare",
        subject="Lumbar spine DXA scan: reading by a model, for research",
        lang="en",
    )
    assessed = record["outcome"] == "assessed"
    story: list[Any] = [*_head(header), _verdict(record), Spacer(0, 4 * mm)]
    story += _assessed(record, pictures) if assessed else _refused(record, pictures)
    story += _readings(readings)
    document.build(story, onFirstPage=_foot, onLaterPages=_foot)
    return out.getvalue()


@cache
def _fonts() -> None:
    # The standard fonts lack the minus, and every name that is not western European.
    pdfmetrics.registerFont(TTFont("Sans", FONTS / "DejaVuSans.ttf"))
    pdfmetrics.registerFont(TTFont("Sans-Bold", FONTS / "DejaVuSans-Bold.ttf"))
    pdfmetrics.registerFontFamily("Sans", normal="Sans", bold="Sans-Bold", italic="Sans", boldItalic="Sans-Bold")


def _text(text: str, size: float = 8.2, colour: Any = INK, bold: bool = False, right: bool = False) -> Paragraph:
    style = ParagraphStyle(
        "text",
        fontName="Sans-Bold" if bold else "Sans",
        fontSize=size,
        leading=1.38 * size,
        textColor=colour,
        alignment=2 if right else 0,
    )
    return Paragraph(escape(text), style)


def _title(text: str) -> Paragraph:
    return _text(text, 9.2, ACCENT, bold=True)


def _head(header: Mapping[str, str]) -> list[Any]:
    top = Table(
        [
            [
                _text("SpineCare", 15, ACCENT, bold=True),
                _text("Lumbar spine DXA scan, read by a model", 9, MUTED, right=True),
            ]
        ],
        colWidths=[WIDTH / 2, WIDTH / 2],
        style=[("LINEBELOW", (0, 0), (-1, -1), 1.2, ACCENT), ("VALIGN", (0, 0), (-1, -1), "BOTTOM"), *_flush(0, 3)],
    )
    items = list(header.items())
    half = -(-len(items) // 2)
    rows = []
    for left, right in zip(items[:half], [*items[half:], ("", "")], strict=False):
        rows.append([cell for name, value in (left, right) for cell in (_text(name, 7.6, MUTED), _text(value, 8.2))])
    facts = Table(rows, colWidths=[22 * mm, WIDTH / 2 - 22 * mm] * 2, style=_flush(0, 0.6)) if rows else Spacer(0, 0)
    return [top, Spacer(0, 2 * mm), facts, Spacer(0, 3 * mm)]


def _flush(side: float, end: float) -> list[Any]:
    return [
        ("LEFTPADDING", (0, 0), (-1, -1), side),
        ("RIGHTPADDING", (0, 0), (-1, -1), side),
        ("TOPPADDING", (0, 0), (-1, -1), end),
        ("BOTTOMPADDING", (0, 0), (-1, -1), end),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
    ]


def _verdict(record: Mapping[str, Any]) -> Table:
    if record["outcome"] == "assessed":
        tone, big = words.verdict(record), words.verdict(record)
        below = [
            _text(words.sentence(record), 9.4),
            _text(f"{words.DISCLAIMER} {words.trained_sentence(record['model'])}", 7.8),
        ]
        eyebrow = "Osteoporosis on this scan?"
    else:
        tone, big, eyebrow = "", "Refused", "This picture gets no answer"
        below = [_text(record["reason"], 9.4), _text(f"{record['hint']} {words.DISCLAIMER}", 7.8)]
    strong, soft = (colors.HexColor(c) for c in TONES[tone])
    return Table(
        [
            [
                [
                    _text(eyebrow, 7.8, MUTED),
                    Spacer(0, 1.2 * mm),
                    _text(big, 17 if len(big) < 8 else 13, strong, bold=True),
                ],
                below,
            ]
        ],
        colWidths=[46 * mm, WIDTH - 46 * mm],
        style=[
            ("BACKGROUND", (0, 0), (-1, -1), soft),
            ("LINEBEFORE", (0, 0), (0, -1), 3, strong),
            *_flush(4 * mm, 2.6 * mm),
            ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
        ],
    )


def _assessed(record: Mapping[str, Any], pictures: Mapping[str, bytes]) -> list[Any]:
    display, model = record["display"], record["model"]
    explained = "map" in pictures and display["explanation"] is not None
    drawn = [
        Drawing(display, pictures, None, 0.3 * WIDTH),
        *([Drawing(display, pictures, "map", 0.3 * WIDTH)] if explained else []),
    ]
    shown = " and ".join(words.member_name(name) for name in display["explanation"]["members"]) if explained else ""
    captions = [_text(caption, 7, MUTED) for caption in ("The scan with the levels in use", f"What moved {shown}")]
    apart = 2.5 * mm
    left_width = sum(one.width + apart for one in drawn)
    left = Table([drawn, captions[: len(drawn)]], style=_flush(0, 1), colWidths=[one.width + apart for one in drawn])
    right = [
        _title("WHO categories"),
        Spacer(0, 1 * mm),
        _scale(record, WIDTH - left_width - apart),
        Spacer(0, 1.5 * mm),
        _text(words.set_sentence(record), 7.8),
        _text(f"{words.who_sentence(record)} {words.who_source()}", 7, MUTED),
    ]
    legend = [_text(words.level_sentence(record), 7, MUTED)]
    if explained:
        method = display["explanation"]["method"]
        legend.append(_text(f"{method} It explains the network, not the bone: a bright place is no lesion.", 7, MUTED))
    notes = [w for w in record["warnings"] if w not in {words.DISCLAIMER, words.trained_sentence(model)}]
    return [
        _side_by_side([left], right, left_width + apart),
        *legend,
        Spacer(0, 2 * mm),
        _title("What each model says"),
        _members(record),
        Spacer(0, 2 * mm),
        _side_by_side(
            [_title("Please note"), *(_text(f"• {w}", 7.2) for w in notes)], _checks(record), 0.62 * WIDTH, 5 * mm
        ),
        Spacer(0, 1 * mm),
        _text(f"Model {model['name']} {model['version']}, SHA-256 {model['sha256'][:16]}…", 7, MUTED),
        _text(f"File SHA-256 {record['sha256']}", 7, MUTED),
    ]


def _side_by_side(left: list[Any], right: list[Any], left_width: float, gap: float = 0) -> Table:
    return Table(
        [[left, right]],
        colWidths=[left_width, WIDTH - left_width],
        style=[*_flush(0, 0), ("RIGHTPADDING", (0, 0), (0, 0), gap)],
    )


def _checks(record: Mapping[str, Any]) -> list[Any]:
    failed = [c["sentence"] for c in record["quality"] if not c["passed"]]
    passed = len(record["quality"]) - len(failed)
    return [
        _title("Checks of the picture"),
        *(_text(f"✗ {sentence}", 7.8) for sentence in failed),
        _text(f"✓ {passed} of {len(record['quality'])} passed.", 7.8),
    ]


def _refused(record: Mapping[str, Any], pictures: Mapping[str, bytes]) -> list[Any]:
    return [
        Drawing(record["display"], pictures, None, 0.3 * WIDTH),
        _text("The picture as it was sent", 7, MUTED),
        Spacer(0, 2 * mm),
        _text(f"Code {record['code']}; file SHA-256 {record['sha256'][:16]}…", 7, MUTED),
    ]


def _scale(record: Mapping[str, Any], width: float) -> Table:
    rows, style = (
        [],
        [*_flush(2 * mm, 1.1 * mm), ("LINEBELOW", (0, 0), (-1, -1), 0.5, LINE), ("VALIGN", (0, 0), (-1, -1), "MIDDLE")],
    )
    for number, step in enumerate(words.who_scale(record)):
        p = words.percent(record["probabilities"][step.key])
        place = "possible" if step.possible else "ruled out"
        rows.append(
            [
                [_text(step.name, 8.6, bold=step.answered), _text(step.t_scores, 6.8, MUTED)],
                _text("the answer" if step.answered else place, 7, MUTED),
                _text(p, 9.5, bold=True, right=True),
            ]
        )
        if step.answered:
            strong, soft = (colors.HexColor(c) for c in TONES[words.verdict(record)])
            style += [
                ("BACKGROUND", (0, number), (-1, number), soft),
                ("LINEBEFORE", (0, number), (0, number), 2.5, strong),
            ]
    return Table(rows, colWidths=[width * 0.46, width * 0.32, width * 0.22], style=TableStyle(style), hAlign="LEFT")


def _members(record: Mapping[str, Any]) -> Table:
    weights = record["display"]["weights"]
    head = ["Model", *(words.LABEL_WORDS[label] for label in reversed(LABELS)), "Weight", "Pulled"]
    rows = [[_text(head[0], 7.2, MUTED), *(_text(name, 7.2, MUTED, right=True) for name in head[1:])]]
    for name, said in record["members"].items():
        weight = weights.get(name)
        way = (
            ""
            if weight is None
            else "hardly"
            if abs(weight["pull"]) < 0.05
            else "towards"
            if weight["pull"] > 0
            else "away"
        )
        values = [
            *(words.percent(said[label]) for label in reversed(LABELS)),
            words.percent(weight["share"]) if weight else "",
            way,
        ]
        rows.append([_text(words.member_name(name), 8), *(_text(value, 8, right=True) for value in values)])
    together = [*(words.percent(record["probabilities"][label]) for label in reversed(LABELS)), "", ""]
    rows.append([_text("Together", 8, bold=True), *(_text(value, 8, bold=True, right=True) for value in together)])
    return Table(
        rows,
        colWidths=[WIDTH * 0.25, *[WIDTH * 0.15] * 5],
        style=[*_flush(1 * mm, 0.8 * mm), ("LINEBELOW", (0, 0), (-1, -1), 0.5, LINE)],
    )


def _readings(readings: Sequence[Mapping[str, Any]]) -> list[Any]:
    if not readings:
        return []
    said = []
    for one in readings:
        label = f": {words.LABEL_WORDS[one['label']].lower()}" if one.get("label") else ""
        reason = f" “{one['reason']}”" if one.get("reason") else ""
        said.append(_text(f"{VERDICTS[one['verdict']]}{label}.{reason} {one['by']}, {one['at']}", 8))
    # The title never stands alone at the foot of a page.
    return [Spacer(0, 3 * mm), KeepTogether([_title("Readings"), said[0]]), *said[1:]]


def _foot(canvas: Canvas, document: Any) -> None:
    canvas.saveState()
    canvas.setFont("Sans", 7)
    canvas.setFillColor(MUTED)
    canvas.drawString(
        MARGIN,
        9.5 * mm,
        f"{words.DISCLAIMER} No medical device; no substitute for a reading by a physician. SpineCare {__version__}",
    )
    canvas.drawRightString(A4[0] - MARGIN, 9.5 * mm, f"Page {document.page}")
    canvas.restoreState()
