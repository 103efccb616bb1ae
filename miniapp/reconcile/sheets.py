"""XLSX (and old XLS) re-exports -> the text of a table, a line a row."""

import csv
import io
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

from python_calamine import CalamineWorkbook

from miniapp.reconcile.archives import Member
from miniapp.reconcile.refusing import BillRefused

_EXACT = 10**15  # Excel keeps 15 digits; what is longer has lost some


def sheets(path: Path) -> list[Member]:
    """One text a sheet. Raises BillRefused BAD_ARCHIVE."""
    try:
        book = CalamineWorkbook.from_path(str(path))
        tables = [book.get_sheet_by_name(name).to_python(skip_empty_area=False) for name in book.sheet_names]
    except Exception as fault:  # the reader's own errors share no base class
        raise BillRefused("BAD_ARCHIVE", "bad_archive") from fault
    return [_member(table) for table in tables]


def _member(table: list[list[Any]]) -> Member:
    return Member(None, lambda: _text(table))


def _text(table: list[list[Any]]) -> Iterator[bytes]:
    for start in range(0, len(table), 10_000):
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        for row in table[start : start + 10_000]:
            writer.writerow([_cell(value) for value in row])
        yield out.getvalue().encode("utf-8", "replace")


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float):
        # A number of more digits is shown as Excel shows it, so that it is refused with that explanation.
        return f"{value:.5E}" if abs(value) >= _EXACT else f"{value:.15g}"
    return " ".join(str(value).splitlines()).replace("\x00", "")
