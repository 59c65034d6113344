"""A scan on paper: its picture, a map over it, and the levels."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from reportlab.lib import colors
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable

PICTURE_HEIGHT = 68 * mm


class Drawing(Flowable):  # type: ignore[misc]
    """The scan, with a map over it where one is named, and the levels."""

    def __init__(
        self, display: Mapping[str, Any], pictures: Mapping[str, bytes], over: str | None, widest: float
    ) -> None:
        super().__init__()
        size = display["pictures"]["scan"]
        self.scale = min(PICTURE_HEIGHT / size["height"], widest / size["width"])
        self.width, self.height = size["width"] * self.scale, size["height"] * self.scale
        self.images = [pictures["scan"], *([pictures[over]] if over else [])]
        self.levels = display.get("levels", [])

    def wrap(self, width: float, height: float) -> tuple[float, float]:
        return self.width, self.height

    def draw(self) -> None:
        canvas: Canvas = self.canv
        for image in self.images:
            canvas.drawImage(ImageReader(io.BytesIO(image)), 0, 0, self.width, self.height, mask="auto")
        for level in self.levels:
            points = [tuple(map(float, point.split(","))) for point in level["points"].split()]
            path = canvas.beginPath()
            for number, (x, y) in enumerate(points):
                (path.lineTo if number else path.moveTo)(x * self.scale, self.height - y * self.scale)
            path.close()
            for thick, colour in ((1.6, colors.black), (0.8, colors.HexColor("#4fd8ff"))):
                canvas.setLineWidth(thick)
                canvas.setStrokeColor(colour)
                canvas.drawPath(path)
            x = level["right"] * self.scale + 2
            y = self.height - level["y"] * self.scale - 2.5
            if x > self.width - 14:
                x = self.width - 14
            canvas.setFont("Sans-Bold", 7)
            canvas.setFillColor(colors.black)
            canvas.drawString(x + 0.5, y - 0.5, level["name"])
            canvas.setFillColor(colors.white)
            canvas.drawString(x, y, level["name"])
