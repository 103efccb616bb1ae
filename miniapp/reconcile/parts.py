"""One detail text, ready for DuckDB: its rows by path and delimiter, its notes and trailer as lines."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from miniapp.reconcile import decoding
from miniapp.reconcile.layouts import Layout
from miniapp.reconcile.memory_files import MemoryFile

UNIT = "\x1f"


@dataclass
class Part:
    """Rows from ``first_line`` (from 1) on; ``tail`` holds the lines from the trailer on.

    ``tail_at`` is the byte where the tail begins of a file that is read where it lies, None for one that was rewritten
    into ``kept``. ``backtick``: every cell of a row begins with WeChat's backtick. ``widths``: bytes are characters.
    """

    layout: Layout
    member: str | None
    encoding: str
    columns: list[str]
    own: list[str]
    path: Path
    delimiter: str
    newline: str
    first_line: int
    backtick: bool = False
    notes: list[str] = field(default_factory=list)
    tail: list[str] = field(default_factory=list)
    tail_at: int | None = None
    tail_first_line: int | None = None
    is_empty: bool = False
    may_be_excel: bool = False  # "E+" stands somewhere in it
    kept: MemoryFile | None = None

    def lines(self) -> Iterator[tuple[int, str]]:
        """Every row's line, with its number in the text, blank ones left out. Raises BillRefused BAD_ENCODING."""
        number = self.first_line - 1
        in_place = self.tail_at is not None
        for block in decoding.line_blocks(self._bytes(), self.encoding if in_place else "utf-8"):
            for line in block.removesuffix("\n").split("\n"):
                number += 1
                if line.strip(" \r\t"):
                    yield number, line.removesuffix("\r")

    def tail_rows(self) -> int:
        """How many lines of the trailer are read along with the rows: all, of a file that is read where it lies."""
        return 0 if self.tail_at is None else sum(1 for line in self.tail if line.strip())

    def tail_line(self, index: int) -> int:
        """The number in the text of one line of the tail."""
        if self.tail_first_line is None:
            with self.path.open("rb") as file:
                before = sum(chunk.count(b"\n") for chunk in self._read(file, self.tail_at or 0))
            self.tail_first_line = before + 1
        return self.tail_first_line + index

    def close(self) -> None:
        """Give the memory back."""
        if self.kept:
            self.kept.close()

    def _bytes(self) -> Iterator[bytes]:
        # A descriptor of our own: DuckDB and other readers of one memory file must not share an offset.
        with self.path.open("rb") as file:
            if self.tail_at is None:
                yield from self._read(file, None)
                return
            for _ in range(self.first_line - 1):
                file.readline()
            yield from self._read(file, self.tail_at - file.tell())

    @staticmethod
    def _read(file: BinaryIO, size: int | None) -> Iterator[bytes]:
        left = size
        while chunk := file.read(1 << 22 if left is None else min(1 << 22, left)):
            left = None if left is None else left - len(chunk)
            yield chunk
