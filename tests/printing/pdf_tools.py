"""Reads what we draw with programs that are not ours: poppler, qpdf, zbar, pypdf."""

import io
import re
import subprocess
from pathlib import Path

from PIL import Image
from pypdf import PdfReader


def run(*command: str | Path) -> str:
    """The standard output of a program that must succeed."""
    return subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout


class Paper:
    """A PDF on disk, to be looked at."""

    def __init__(self, pdf: bytes, folder: Path) -> None:
        self.pdf = pdf
        self.folder = folder
        self.path = folder / "paper.pdf"
        self.path.write_bytes(pdf)

    def text(self, *, page: int = 1) -> str:
        """Text of a page as poppler lays it out."""
        return run("pdftotext", "-layout", "-f", str(page), "-l", str(page), self.path, "-")

    def words(self) -> str:
        """All text without spaces and line ends, as poppler reads it."""
        return re.sub(r"\s", "", run("pdftotext", "-raw", self.path, "-"))

    def words_by_pypdf(self) -> str:
        """All text without spaces and line ends, as pypdf reads it."""
        pages = PdfReader(io.BytesIO(self.pdf)).pages
        return re.sub(r"\s", "", "".join(page.extract_text() for page in pages))

    @property
    def pages(self) -> int:
        """Number of pages."""
        return len(PdfReader(io.BytesIO(self.pdf)).pages)

    def picture(self, *, page: int = 1, dpi: int = 100) -> Image.Image:
        """A page as it would be printed."""
        stem = self.folder / f"page-{page}-{dpi}"
        run(
            "pdftoppm",
            "-r",
            str(dpi),
            "-f",
            str(page),
            "-l",
            str(page),
            "-singlefile",
            "-png",
            self.path,
            stem,
        )
        return Image.open(stem.with_suffix(".png")).convert("RGB")

    def code(self, *, dpi: int = 150) -> str:
        """What a camera reads from the first page's QR code."""
        self.picture(dpi=dpi)
        return read_code(self.folder / f"page-1-{dpi}.png")

    def fonts(self) -> list[list[str]]:
        """One row a font: name, …, embedded, subset, with a table for copying."""
        return [row.split() for row in run("pdffonts", self.path).splitlines()[2:]]

    def is_sound(self) -> bool:
        """Whether qpdf finds no fault."""
        return "No syntax or stream encoding errors" in run("qpdf", "--check", self.path)


def read_code(picture: Path) -> str:
    """The one QR code in a picture."""
    return run("zbarimg", "-q", "--raw", "--nodbus", picture).rstrip("\n")
