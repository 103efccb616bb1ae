"""Records of fixed widths (UnionPay ZM): widths count bytes, so each byte becomes one character before SQL cuts it."""

import codecs
import re
from datetime import date, timedelta
from pathlib import PurePath
from typing import Any

from miniapp.core import clock
from miniapp.reconcile.archives import Member
from miniapp.reconcile.decoding import UTF8_BOM, bad_encoding
from miniapp.reconcile.layouts import Layout
from miniapp.reconcile.memory_files import MemoryFile
from miniapp.reconcile.parts import UNIT, Part
from miniapp.reconcile.recognising import Recognised


def fixed_part(member: Member, found: Recognised) -> Part:
    """A text of records as a part. Raises BillRefused BAD_ENCODING."""
    data = b"".join(member.chunks())
    encoding = _encoding(data)
    data = data.removeprefix(UTF8_BOM)
    if encoding != "gb18030" and not data.isascii():
        data = _widths_restored(data, record_pattern(found.layout))
    text = data.decode("latin-1").replace("\r\n", "\n").replace(UNIT, " ")
    kept = MemoryFile()
    kept.write(text.encode())
    kept.flush()
    return Part(
        layout=found.layout,
        member=member.name,
        encoding=encoding,
        columns=found.columns,
        own=found.own,
        path=kept.path,
        delimiter=UNIT,
        newline="\n",
        first_line=1,
        is_empty=not text.strip(),
        kept=kept,
    )


def record_pattern(layout: Layout) -> str:
    """A whole record: fields with one blank between, up to one of the allowed ends, then blanks only."""
    widths = [width for _, width in layout.fixed["fields"]]
    first, *later = layout.fixed["ends"]
    pattern = " ".join(f".{{{width}}}" for width in widths[:first])
    tails = ""
    for end in reversed(later):
        tails = f"( .{{{widths[end - 1]}}}{tails})?"
    return f"{pattern}{tails} *"


def places(layout: Layout) -> dict[str, tuple[int, int]]:
    """Field name -> (first, last) character, from 1, of its place in a record."""
    found, at = {}, 1
    for name, width in layout.fixed["fields"]:
        found[str(name)] = (at, at + width - 1)
        at += width + 1
    return found


def latest_day(layout: Layout, *names: str | None, today: date | None = None) -> date:
    """The last day a record may be of: its times have no year. From the file's name, else today in Beijing.

    A clearing date may trail the trade by some days, so a named file leaves a month.
    """
    for name in names:
        match = re.search(layout.fixed.get("name_has_date", "$^"), PurePath(name or "").name)
        if match:
            text = match.group(1)
            try:
                return date(2000 + int(text[:2]), int(text[2:4]), int(text[4:])) + timedelta(days=30)
            except ValueError:
                continue
    return today or clock.bill_date(clock.now())


def year_of(month_day: str, latest: date) -> int:
    """The latest year in which a day ``MMDD`` is not after ``latest``."""
    return latest.year - (month_day > f"{latest:%m%d}")


def _encoding(data: bytes) -> str:
    if data.startswith(UTF8_BOM):
        return "utf-8-sig"
    for encoding in ("utf-8", "gb18030"):
        try:
            codecs.lookup(encoding).decode(data)
        except UnicodeDecodeError as fault:
            last: Any = fault
        else:
            return encoding
    raise bad_encoding(data.count(b"\n", 0, last.start) + 1)


def _widths_restored(data: bytes, pattern: str) -> bytes:
    """A file that somebody saved in UTF-8 after it was laid out in GBK has longer records: back to GBK."""
    odd = next((line for line in data.split(b"\n") if not line.isascii()), b"").rstrip(b"\r")
    as_gbk = odd.decode("utf-8").encode("gb18030")
    if not re.fullmatch(pattern, odd.decode("latin-1")) and re.fullmatch(pattern, as_gbk.decode("latin-1")):
        return data.decode("utf-8").encode("gb18030")
    return data
