"""The fonts that documents are set in: the first that has a character draws it, and what none has is refused.

reportlab leaves out a missing glyph in silence; a name on an invoice must not lose a character so.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from threading import Lock

from reportlab.pdfbase import pdfmetrics, ttfonts

from miniapp.core.errors import Refused, Unavailable


@dataclass(frozen=True)
class FontFile:
    """A TrueType font and the Debian package that brings it. reportlab reads no PostScript outlines (Noto CJK)."""

    name: str
    path: Path
    package: str


_WITHOUT_SHAPE = {"Cc", "Cf", "Co", "Cs"}
_FOLDER = Path("/usr/share/fonts/truetype")
FONT_FILES = (
    FontFile("ZenHei", _FOLDER / "wqy/wqy-zenhei.ttc", "fonts-wqy-zenhei"),
    FontFile("WenKai", _FOLDER / "lxgw-wenkai/LXGWWenKai-Regular.ttf", "fonts-lxgw-wenkai"),
    FontFile("HanaMinA", _FOLDER / "hanazono/HanaMinA.ttf", "fonts-hanazono"),
    FontFile("HanaMinB", _FOLDER / "hanazono/HanaMinB.ttf", "fonts-hanazono"),
)
"""The first is required and has all of GBK; the others, where installed, add rare characters."""


class UndrawableCharacter(Refused):
    """No font has this character: the document goes to a person, never out with a gap in it."""

    def __init__(self, character: str) -> None:
        super().__init__("printing.undrawable_character", character=f"U+{ord(character):04X}")


class FontMissing(Unavailable):
    """The required font is not installed."""


class FontChain:
    """Fonts in order of preference, each read when first needed and kept for the life of the process."""

    def __init__(self, files: Sequence[FontFile]) -> None:
        required = files[0]
        if not required.path.exists():
            raise FontMissing("printing.font_missing", package=required.package, path=str(required.path))
        self._files = [file for file in files if file.path.exists()]
        self._loaded: list[ttfonts.TTFont] = []
        self._lock = Lock()
        self.runs = lru_cache(maxsize=4096)(self._runs)
        self.width = lru_cache(maxsize=4096)(self._width)

    def font_of(self, character: str) -> str:
        """Name of the font that draws a character. Raises UndrawableCharacter, also for what nobody can see."""
        if unicodedata.category(character) in _WITHOUT_SHAPE:
            raise UndrawableCharacter(character)
        for font in self._fonts():
            if ord(character) in font.face.charToGlyph:
                return str(font.fontName)
        raise UndrawableCharacter(character)

    def _runs(self, text: str) -> tuple[tuple[str, str], ...]:
        """A text as (font name, part) pairs. Raises UndrawableCharacter."""
        return tuple((font, "".join(part)) for font, part in groupby(text, key=self.font_of))

    def _width(self, text: str) -> float:
        """Width of a text in ems: times the size it is its width in points."""
        return sum(float(pdfmetrics.stringWidth(part, font, 1)) for font, part in self.runs(text))

    def _fonts(self) -> Iterator[ttfonts.TTFont]:
        for place, file in enumerate(self._files):
            if place == len(self._loaded):
                self._load(place, file)
            yield self._loaded[place]

    def _load(self, place: int, file: FontFile) -> None:
        with self._lock:
            if place == len(self._loaded):
                font = ttfonts.TTFont(file.name, str(file.path))
                pdfmetrics.registerFont(font)
                self._loaded.append(font)


@lru_cache(maxsize=1)
def chain() -> FontChain:
    """The fonts of this machine. Raises FontMissing."""
    return FontChain(FONT_FILES)


def missing() -> list[FontFile]:
    """Fonts that are not installed, for the report of what could be better."""
    return [file for file in FONT_FILES if not file.path.exists()]


def _to_unicode(font_name: str, subset: Sequence[int]) -> str:
    """The table from which readers copy text, with characters above U+FFFF as pairs of UTF-16.

    reportlab 5.1 writes them with five digits, which readers take for another character or drop.
    """
    entries = [
        f"<{code:02X}> <{chr(point).encode('utf-16-be', 'replace').hex().upper()}>"
        for code, point in enumerate(subset)
    ]
    blocks = [entries[start : start + 100] for start in range(0, len(entries), 100)]
    mapped = [line for block in blocks for line in (f"{len(block)} beginbfchar", *block, "endbfchar")]
    return "\n".join(
        [
            "/CIDInit /ProcSet findresource begin",
            "12 dict begin",
            "begincmap",
            "/CIDSystemInfo",
            f"<< /Registry ({font_name})",
            f"/Ordering ({font_name})",
            "/Supplement 0",
            ">> def",
            f"/CMapName /{font_name} def",
            "/CMapType 2 def",
            "1 begincodespacerange",
            f"<00> <{len(subset) - 1:02X}>",
            "endcodespacerange",
            *mapped,
            "endcmap",
            "CMapName currentdict /CMap defineresource pop",
            "end",
            "end",
        ]
    )


ttfonts.makeToUnicodeCMap = _to_unicode
