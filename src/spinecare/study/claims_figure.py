"""One picture of the claims: per task and member what was claimed, what the leak gives, what is honest."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

INK, MUTED, GRID = "#1f2933", "#7b8794", "#e4e7eb"
LEAK, HONEST = "#c8553d", "#0b6e8f"
LEFT, RIGHT, ROW, HEAD = 170.0, 700.0, 24.0, 44.0


def claims_svg(document: Mapping[str, Any]) -> str:
    """Accuracy from 0 to 100 %: a diamond where it was claimed, a dot and the range over splits for either side.

    The dashed line is the accuracy of always saying the most frequent class. Same document, same bytes.
    """
    y = 44.0
    parts: list[str] = []
    for task, about in document["tasks"].items():
        # "stack" is claimed where no stack was run: only members of the table have a row.
        elsewhere = {c["member"]: c for c in document["published"]["claims"] if task in c["tasks"]}
        members = list(document["table"])
        strangers = [name for name in elsewhere if name not in members and name != "stack"]
        bottom = y + HEAD + ROW * len(members + strangers)
        parts.append(_text(LEFT, y + 14, about, INK, 13, weight="bold"))
        parts += _grid(y + HEAD - 8, bottom - 6)
        most = document["majority"][task]["honest"]["mean"]
        if most is not None:
            parts.append(_line(most, y + HEAD - 8, most, bottom - 6, MUTED, 1, dash="4 3"))
        for number, name in enumerate(members + strangers):
            at = y + HEAD + ROW * number + 6
            parts.append(_text(LEFT - 10, at + 4, name.replace("_", " "), INK, 12, anchor="end"))
            if name in elsewhere:
                parts.append(_diamond(elsewhere[name]["accuracy"] / 100, at))
            for side, colour, shift in (("leak", LEAK, -4.0), ("honest", HONEST, 4.0)):
                figure = document["table"].get(name, {}).get(task, {}).get(side, {}).get("accuracy")
                if figure and figure["mean"] is not None:
                    parts.append(_line(figure["low"], at + shift, figure["high"], at + shift, colour, 2))
                    parts.append(f'<circle cx="{_x(figure["mean"]):.1f}" cy="{at + shift:.1f}" r="4" fill="{colour}"/>')
        y = bottom + 22
    legend = [
        _diamond_at(LEFT + 6, 20),
        _text(LEFT + 16, 24, "claimed elsewhere, on other pictures", INK, 12),
        f'<circle cx="{LEFT + 250:.0f}" cy="20" r="4" fill="{LEAK}"/>',
        _text(LEFT + 260, 24, "with the leak here", INK, 12),
        f'<circle cx="{LEFT + 390:.0f}" cy="20" r="4" fill="{HONEST}"/>',
        _text(LEFT + 400, 24, "honest here", INK, 12),
    ]
    note = _text(LEFT, y, "accuracy; bars: range over splits; dashed: always the most frequent class", MUTED, 11)
    body = "\n".join([*legend, *parts, note])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 740 {y + 14:.0f}" font-family="sans-serif">\n'
        f"<title>Accuracy claimed, with the leak, and honest</title>\n{body}\n</svg>\n"
    )


def _x(share: float) -> float:
    return LEFT + share * (RIGHT - LEFT)


def _grid(top: float, bottom: float) -> list[str]:
    found = []
    for tenth in range(0, 11, 2):
        found.append(_line(tenth / 10, top, tenth / 10, bottom, GRID, 1))
        found.append(_text(_x(tenth / 10), top - 4, f"{10 * tenth}", MUTED, 10, anchor="middle"))
    return found


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float, dash: str = "") -> str:
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    ends = f'x1="{_x(x1):.1f}" y1="{y1:.1f}" x2="{_x(x2):.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{colour}" stroke-width="{width:g}"{dashed}/>'


def _diamond(share: float, y: float) -> str:
    return _diamond_at(_x(share), y)


def _diamond_at(x: float, y: float) -> str:
    corners = ((x, y - 6), (x + 6, y), (x, y + 6), (x - 6, y))
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in corners)
    return f'<polygon points="{points}" fill="none" stroke="{INK}" stroke-width="1.5"/>'


def _text(x: float, y: float, words: str, colour: str, size: int, anchor: str = "start", weight: str = "normal") -> str:
    style = f'fill="{colour}" font-size="{size}" text-anchor="{anchor}" font-weight="{weight}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(words)}</text>'
