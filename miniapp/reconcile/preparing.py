"""A recognised text -> a part whose rows DuckDB can read.

A WeChat file in UTF-8 is read where it lies. All else is rewritten into memory: UTF-8, one unit separator between
cells, no quotes, no tabs, plain line ends; so one reader serves every form.
"""

import mmap
import re
from collections.abc import Iterator
from pathlib import Path

from miniapp.reconcile import decoding
from miniapp.reconcile.archives import Member
from miniapp.reconcile.memory_files import MemoryFile
from miniapp.reconcile.parts import UNIT, Part
from miniapp.reconcile.recognising import Recognised, cells
from miniapp.reconcile.refusing import BillRefused

_TAIL_BYTES = 64 * 1024
_TAIL_LINES = 1000


def in_place(path: Path, found: Recognised) -> Part | None:
    """A WeChat file in UTF-8 where it lies, or None where it must be rewritten."""
    starts = found.layout.trailer_starts
    if found.layout.form != "backtick" or found.header_line != 0 or found.encoding == "gb18030" or not starts:
        return None
    if not _has_backticks(found):
        return None
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = data.find(b"\n" + starts.encode(), max(0, len(data) - _TAIL_BYTES)) + 1
        tail = data[at:] if at else b""
        may_be_excel = bool(re.search(rb"E\+", data))
    try:
        text = tail.decode("utf-8")
    except UnicodeDecodeError:
        return None
    lines = _tail_lines(text)
    # The trailer is read along with the rows and told from them by its width.
    if not text or "\x00" in text or any(line.count(",") + 1 >= len(found.columns) for line in lines):
        return None
    return Part(
        layout=found.layout,
        member=None,
        encoding=found.encoding,
        columns=found.columns,
        own=found.own,
        path=path,
        delimiter=",`",
        newline="\r\n" if found.head.split("\n", 1)[0].endswith("\r") else "\n",
        first_line=2,
        backtick=True,
        tail=lines,
        tail_at=at,
        may_be_excel=may_be_excel,
    )


def rewritten(member: Member, found: Recognised) -> Part:
    """Any text, its rows rewritten into memory. Raises BillRefused for bytes that do not unpack or decode."""
    _nothing_before_header(found)
    kept = MemoryFile()
    header = -1 if found.header_line is None else found.header_line
    part = Part(
        layout=found.layout,
        member=member.name,
        encoding=found.encoding,
        columns=found.columns,
        own=found.own,
        path=kept.path,
        delimiter=UNIT,
        newline="\n",
        first_line=header + 2,
        backtick=found.layout.form == "backtick" and _has_backticks(found),
        notes=[line.rstrip("\r, ") for line in found.head.split("\n")[: header + 1]],
        kept=kept,
    )
    try:
        _Rewriting(part, kept).run(decoding.line_blocks(member.chunks(), found.encoding))
    except BaseException:
        kept.close()
        raise
    return part


def _has_backticks(found: Recognised) -> bool:
    body = found.head.split("\n")[(found.header_line or 0) + 1 :][:20]
    return any(line.startswith("`") and ",`" in line for line in body)


def _nothing_before_header(found: Recognised) -> None:
    """A row above the header would be lost; notes may stand there, and a stranger's table may have a heading."""
    if found.layout.form == "table":
        return
    for number, line in enumerate(found.head.split("\n")[: found.header_line or 0], start=1):
        text = line.strip(' ,"`\t\r\ufeff')
        if text and not (found.layout.form == "notes" and text.startswith("#")):
            raise BillRefused("BAD_ROW", "before_header", line=number)


def _tail_lines(text: str) -> list[str]:
    return [line.rstrip("\r") for line in text.split("\n")]


class _Rewriting:
    """Turns blocks of lines into rows until the tail begins; keeps the tail's lines."""

    def __init__(self, part: Part, kept: MemoryFile) -> None:
        self._part = part
        self._kept = kept
        self._mark = self._tail_mark()
        self._line = 0  # lines seen so far
        self._in_tail = False

    def run(self, blocks: Iterator[str]) -> None:
        """Read all blocks. Raises BillRefused BAD_ROW when rows go on after the trailer."""
        wrote = 0
        for block in blocks:
            skip = max(0, self._part.first_line - 1 - self._line)
            lines = block.count("\n") + (not block.endswith("\n"))
            body = (
                block.split("\n", skip)[skip] if skip and skip <= block.count("\n") else "" if skip else block
            )
            self._line += lines
            wrote += self._rows(body)
        self._kept.flush()
        self._part.is_empty = wrote == 0

    def _tail_mark(self) -> re.Pattern[str] | None:
        form, starts = self._part.layout.form, self._part.layout.trailer_starts
        if form == "notes":
            return re.compile(r"^[\"`\ufeff ]*#", re.MULTILINE)
        return re.compile(rf"^[\"` ]*{re.escape(starts)}", re.MULTILINE) if starts else None

    def _rows(self, body: str) -> int:
        if self._in_tail:
            self._keep_tail(body)
            return 0
        found = self._mark.search(body) if self._mark else None
        if found:
            self._in_tail = True
            rest = body[found.start() :]
            self._part.tail_first_line = self._line - rest.count("\n") - (not rest.endswith("\n")) + 1
            self._keep_tail(rest)
            body = body[: found.start()]
        text = self._row_text(body)
        self._part.may_be_excel = self._part.may_be_excel or "E+" in text
        self._kept.write(text.encode())
        return len(text.strip())

    def _row_text(self, body: str) -> str:
        text = body.replace("\r\n", "\n").replace("\r", " ")
        if UNIT in text:
            text = text.replace(UNIT, " ")
        if self._part.backtick:
            return text.replace(",`", UNIT)
        text = text.replace("\t", "").replace("`", "")
        if '"' not in text:
            return text.replace(",", UNIT)
        return "\n".join(self._quoted_row(line) for line in text.split("\n"))

    def _quoted_row(self, line: str) -> str:
        if '"' not in line:
            return line.replace(",", UNIT)
        found, width = cells(line), len(self._part.columns)
        plain = line.split(",")
        return UNIT.join(plain if len(found) != width == len(plain) else found)

    def _keep_tail(self, text: str) -> None:
        lines = [line.rstrip("\r") for line in text.removesuffix("\n").split("\n")]
        self._part.tail.extend(lines)
        if len(self._part.tail) > _TAIL_LINES:
            line = (self._part.tail_first_line or 1) + _TAIL_LINES
            raise BillRefused("BAD_ROW", "after_trailer", line=line)
