"""Drawing on a page in millimetres from its top left corner, in fonts that have every character."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas

from miniapp.printing.fonts import FontChain

Colour = tuple[float, float, float]
BLACK: Colour = (0, 0, 0)

POINT = 25.4 / 72
"""One point in millimetres."""

LEADING = 1.18
"""Distance of lines as a multiple of their size."""

# Between two of these a line may be broken: a word, or a character, with the signs that cling to it.
_TOKEN = re.compile(r"[（〈《「“]*(?:[!-~]+|.)[）〉》」”，。；：、！？]* *", re.DOTALL)


def new_canvas(file: BinaryIO, *, width: float, height: float, fonts: FontChain) -> Canvas:
    """A canvas of a size in millimetres whose bytes depend on nothing but what is drawn; every font is embedded."""
    return Canvas(
        file,
        pagesize=(width * mm, height * mm),
        initialFontName=fonts.font_of(" "),
        invariant=1,
        pageCompression=1,
    )


@dataclass(frozen=True)
class Block:
    """A text broken into lines of one size in points."""

    size: float
    lines: tuple[str, ...]

    @property
    def height(self) -> float:
        """Height in millimetres."""
        return len(self.lines) * self.size * LEADING * POINT


class Pen:
    """Draws on one canvas. Positions and widths are millimetres, ``y`` downwards; sizes of type are points."""

    def __init__(self, canvas: Canvas, *, height: float, fonts: FontChain) -> None:
        self.canvas = canvas
        self.fonts = fonts
        self._top = height * mm

    def text(
        self, x: float, y: float, text: str, *, size: float = 9, align: float = 0, colour: Colour = BLACK
    ) -> None:
        """One line with its baseline at ``y``; ``align`` 0 begins at ``x``, 0.5 is centred on it, 1 ends there."""
        left = x * mm - align * self.fonts.width(text) * size
        self._set(left, self._top - y * mm, text, size=size, colour=colour)

    def labelled(
        self,
        x: float,
        y: float,
        label: str,
        text: str,
        *,
        width: float,
        label_colour: Colour,
        size: float = 9,
    ) -> None:
        """A label and what it names on one line, the latter made smaller where the width asks for it."""
        self.text(x, y, label, size=size, colour=label_colour)
        label_width = self.fonts.width(label) * size * POINT
        self.text(x + label_width, y, text, size=self.fit_line(text, width=width - label_width, size=size))

    def watermark(self, x: float, y: float, text: str, *, size: float, angle: float) -> None:
        """Large, translucent and turned about its middle, which is at the given place.

        Marked as having no text of its own, so that it does not break up the lines that readers copy.
        """
        self.canvas.saveState()
        self.canvas.addLiteral("/Span <</ActualText ()>> BDC")
        self.canvas.translate(x * mm, self._top - y * mm)
        self.canvas.rotate(angle)
        self.canvas.setFillAlpha(0.13)
        self._set(-self.fonts.width(text) * size / 2, -0.36 * size, text, size=size, colour=BLACK)
        self.canvas.addLiteral("EMC")
        self.canvas.restoreState()

    def block(self, x: float, y: float, block: Block, *, align: float = 0, colour: Colour = BLACK) -> None:
        """The lines of a block, whose top is at ``y``."""
        for place, line in enumerate(block.lines):
            baseline = y + (place * LEADING + 0.92) * block.size * POINT
            self.text(x, baseline, line, size=block.size, align=align, colour=colour)

    def column(
        self, x: float, y: float, height: float, text: str, *, size: float = 9, colour: Colour = BLACK
    ) -> None:
        """Upright characters below each other, centred on ``x`` and spread over a height."""
        step = height / len(text)
        for place, character in enumerate(text):
            baseline = y + (place + 0.5) * step + 0.36 * size * POINT
            self.text(x, baseline, character, size=size, align=0.5, colour=colour)

    def line(self, x: float, y: float, to_x: float, to_y: float) -> None:
        """A straight line."""
        self.canvas.line(x * mm, self._top - y * mm, to_x * mm, self._top - to_y * mm)

    def box(self, x: float, y: float, width: float, height: float) -> None:
        """An empty rectangle."""
        self.canvas.rect(x * mm, self._top - (y + height) * mm, width * mm, height * mm)

    def modules(self, x: float, y: float, size: float, rows: Sequence[str]) -> None:
        """A QR code as one path: each run of dark modules is a rectangle."""
        self.canvas.saveState()
        self.canvas.translate(x * mm, self._top - y * mm)
        self.canvas.scale(size * mm / len(rows), -size * mm / len(rows))
        self.canvas.setFillColorRGB(*BLACK)
        path = self.canvas.beginPath()
        for place, row in enumerate(rows):
            for run in re.finditer("1+", row):
                path.rect(run.start(), place, run.end() - run.start(), 1)
        self.canvas.drawPath(path, stroke=0, fill=1)
        self.canvas.restoreState()

    def crossed_circle(self, x: float, y: float, radius: float) -> None:
        """The sign ⊗ before an amount in words, against a figure written in front; few fonts have it."""
        centre, arm = (x * mm, self._top - y * mm), radius * mm * 0.7071
        self.canvas.saveState()
        self.canvas.setStrokeColorRGB(*BLACK)
        self.canvas.circle(*centre, radius * mm, stroke=1, fill=0)
        for sign in (1, -1):
            self.canvas.line(centre[0] - arm, centre[1] - sign * arm, centre[0] + arm, centre[1] + sign * arm)
        self.canvas.restoreState()

    def fit(self, text: str, *, width: float, height: float, sizes: Sequence[float]) -> Block:
        """A text broken to a width in the first size whose lines fit the height, else in the last one."""
        for size in sizes:
            block = self.wrap(text, width=width, size=size)
            if block.height <= height:
                break
        return block

    def fit_line(self, text: str, *, width: float, size: float) -> float:
        """The size at which a text stays on one line of a width: as given, or less."""
        ems = self.fonts.width(text)
        return min(size, width * mm / ems) if ems else size

    def wrap(self, text: str, *, width: float, size: float) -> Block:
        """A text broken to a width: at line ends, before words and Chinese characters, in words that are too long."""
        room = width * mm / size
        lines = [line for paragraph in text.split("\n") for line in self._broken(paragraph, room)]
        return Block(size, tuple(lines))

    def _broken(self, paragraph: str, room: float) -> list[str]:
        lines, current = [], ""
        for token in _TOKEN.findall(paragraph):
            for part in [token] if self.fonts.width(token.rstrip(" ")) <= room else token:
                if current and self.fonts.width((current + part).rstrip(" ")) > room:
                    lines.append(current.rstrip(" "))
                    current = ""
                current += part
        return [*lines, current.rstrip(" ")]

    def _set(self, x: float, y: float, text: str, *, size: float, colour: Colour) -> None:
        """One line at a place in points from the bottom left."""
        line = self.canvas.beginText(x, y)
        line.setFillColorRGB(*colour)
        for font, part in self.fonts.runs(text):
            line.setFont(font, size)
            line.textOut(part)
        self.canvas.drawText(line)
