"""Which line and which column of a refused part is wrong: the slow, exact reading, done only after a fault was seen."""

import re
from datetime import date, datetime

from miniapp.reconcile.fixed_widths import places, record_pattern, year_of
from miniapp.reconcile.layouts import Layout
from miniapp.reconcile.normalising import checked_cells, needed
from miniapp.reconcile.parts import Part
from miniapp.reconcile.refusing import BillRefused
from miniapp.reconcile.transforms import EXCEL_NUMBER, TRANSFORMS

_SHOWN = 40
# 2026/6/5 8:01: what Excel shows, and saves, of a time.
_EXCEL_TIME = re.compile(r"\d{4}/\d{1,2}/\d{1,2}( \d{1,2}:\d\d(:\d\d)?)?")
_MONTH_DAY_TIME = re.compile(r"[01]\d[0-3]\d([01]\d|2[0-3])[0-5]\d[0-5]\d", re.ASCII)


def first_fault(part: Part, latest: date | None) -> BillRefused | None:
    """The first bad cell or row of a part by line, then column. None where every row is good."""
    reader = _Reader(part, latest)
    for line, text in part.lines():
        fault = reader.fault(line, text)
        if fault:
            return fault
    return None


def second_account(parts: list[Part], accounts: list[str]) -> BillRefused:
    """Where the second 商户号 of a bill stands; ``accounts`` are those that were seen (for headings, which have no line)."""
    seen: str | None = None
    for part in parts:
        if "merchant_no" not in part.layout.cells:
            break
        column = part.layout.cells["merchant_no"].columns()[0]
        reader = _Reader(part, None)
        for line, text in part.lines():
            account = reader.cells(text).get(column, "")
            if seen is None:
                seen = account
            if account != seen:
                own = reader.own_name(column)
                return BillRefused(
                    "MIXED_ACCOUNTS", "mixed_accounts", line=line, column=own, one=seen, other=account
                )
    return BillRefused("MIXED_ACCOUNTS", "mixed_accounts", one=accounts[0], other=accounts[1])


class _Reader:
    def __init__(self, part: Part, latest: date | None) -> None:
        self._part = part
        self._layout: Layout = part.layout
        self._latest = latest
        self._fixed = part.layout.form == "fixed"
        self._places = places(part.layout) if self._fixed else {}
        self._record = re.compile(record_pattern(part.layout)) if self._fixed else None
        self._checks = checked_cells(part.layout)

    def own_name(self, column: str) -> str:
        """The header name as the file writes it."""
        index = self._part.columns.index(column)
        return self._part.own[index]

    def cells(self, text: str) -> dict[str, str]:
        """Column -> cell; the first of two equal names counts."""
        if self._fixed:
            return {name: text[first - 1 : last].strip(" ") for name, (first, last) in self._places.items()}
        values = text.split(self._part.delimiter)
        if self._part.backtick:
            values[0] = values[0][1:]
        else:
            values = [value.strip(" ") for value in values]
        return dict(reversed(list(zip(self._part.columns, values, strict=False))))

    def fault(self, line: int, text: str) -> BillRefused | None:
        return self._bad_row(line, text) or self._bad_cell(line, self.cells(text))

    def _bad_row(self, line: int, text: str) -> BillRefused | None:
        if self._record is not None:
            if self._record.fullmatch(text):
                return None
            return BillRefused("BAD_ROW", "bad_record", line=line, got=len(text))
        got, want = text.count(self._part.delimiter) + 1, len(self._part.columns)
        if got != want:
            return BillRefused("BAD_ROW", "bad_width", line=line, got=got, want=want)
        if self._part.backtick and not text.startswith("`"):
            return BillRefused("BAD_ROW", "no_backtick", line=line)
        return None

    def _bad_cell(self, line: int, cells: dict[str, str]) -> BillRefused | None:
        bad = [
            name
            for name, transform in self._checks
            if name in cells and not self._accepts(transform, cells[name])
        ]
        bad += self._bad_joined(cells) + self._bad_kind(cells) + self._missing(cells)
        if not bad:
            return None
        column = min(bad, key=self._part.columns.index)
        return _bad_value(cells[column], line, self.own_name(column))

    def _accepts(self, transform: str, cell: str) -> bool:
        if transform != "month_day_time":
            return TRANSFORMS[transform].accepts(cell)
        if not _MONTH_DAY_TIME.fullmatch(cell):
            return False
        year = year_of(cell[:4], self._latest or date.max)
        try:
            datetime.strptime(f"{year}{cell}", "%Y%m%d%H%M%S")  # noqa: DTZ007 checked, not kept
        except ValueError:
            return False
        return True

    def _bad_joined(self, cells: dict[str, str]) -> list[str]:
        found = []
        for cell in self._layout.cells.values():
            if cell.joined:
                names = cell.columns()
                if not TRANSFORMS[cell.transform].accepts(" ".join(cells.get(name, "") for name in names)):
                    found.append(names[0])
        return found

    def _bad_kind(self, cells: dict[str, str]) -> list[str]:
        column = self._layout.kind_column
        return [column] if column and cells.get(column, "") not in self._layout.kind_words else []

    def _missing(self, cells: dict[str, str]) -> list[str]:
        kind = self._layout.kind_words.get(cells.get(self._layout.kind_column or "", ""), "")
        found = []
        for cell in self._layout.cells.values():
            empty = ("", "0") if cell.transform == "number_or_0" else ("",)
            if kind in cell.needed_by:
                found += [name for name in needed(cell, kind) if name in cells and cells[name] in empty]
        return found


def _bad_value(cell: str, line: int, column: str) -> BillRefused:
    shown = cell if len(cell) <= _SHOWN else cell[:_SHOWN] + "…"
    if re.fullmatch(EXCEL_NUMBER, cell) or _EXCEL_TIME.fullmatch(cell):
        return BillRefused(
            "BAD_VALUE", "excel_value", line=line, column=column, value=shown, hint="not_by_excel"
        )
    reason = "bad_value" if cell else "empty_value"
    return BillRefused("BAD_VALUE", reason, line=line, column=column, value=shown)
