"""The few named transforms that a layout may use: how a cell's text is checked and becomes a value.

Each is one pattern, used by DuckDB for all rows at once and by Python to find the one bad cell, and one SQL
expression for the value. Patterns are ASCII only: no foreign digits, signs or exponents get through.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

_TIME = r"[12]\d{3}-\d\d-\d\d ([01]\d|2[0-3]):[0-5]\d:[0-5]\d"
_WIDE_TIME = r"[12]\d{3}-\d\d-\d\d ([01]\d|2[0-3])[:：][0-5]\d[:：][0-5]\d"
# What Excel makes of a long number: 2.02606E+27. A number that a shop made itself never holds "E+".
EXCEL_NUMBER = r"-?\d(\.\d+)?E\+\d+"


@dataclass(frozen=True)
class Transform:
    """One way to read a cell. ``pattern`` None: any text but a number that Excel has cut."""

    name: str
    pattern: str | None
    value: Callable[[str], str]  # SQL of the cell -> SQL of the value
    is_time: bool = False
    may_be_empty: bool = False

    def check(self, cell: str) -> str:
        """SQL that is true where the cell is good."""
        if self.pattern is None:
            # Asked only of a file that holds "E+" anywhere.
            return f"NOT (contains({cell}, 'E+') AND regexp_full_match({cell}, '{EXCEL_NUMBER}'))"
        if self.is_time:
            # Written back it must be the same text: one cheap test for form and calendar.
            plain = f"replace({cell}, '：', ':')" if "：" in self.pattern else cell
            return f"CAST({self.value(cell)} AS VARCHAR) = {plain}"
        good = f"regexp_full_match({cell}, '{self.pattern}')"
        return f"({cell} = '' OR {good})" if self.may_be_empty else good

    def accepts(self, cell: str) -> bool:
        """The same question for one cell, in Python."""
        if self.pattern is None:
            return not self._excel.fullmatch(cell)
        if self.may_be_empty and not cell:
            return True
        return bool(self._compiled.fullmatch(cell)) and (not self.is_time or _is_moment(cell))

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self.pattern or "", re.ASCII)

    @cached_property
    def _excel(self) -> re.Pattern[str]:
        return re.compile(EXCEL_NUMBER, re.ASCII)


def _is_moment(cell: str) -> bool:
    try:
        datetime.strptime(cell.replace("：", ":"), "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 checked, not kept
    except ValueError:
        return False
    return True


def _hundredfold(cell: str) -> str:
    # The scales hold every digit that the patterns let through, so nothing is rounded; all within 64 bits.
    return f"CAST(TRY_CAST({cell} AS DECIMAL(14,2)) * CAST(100 AS DECIMAL(3,0)) AS BIGINT)"


def _hundredfold_or_0(cell: str) -> str:
    return f"coalesce({_hundredfold(cell)}, 0)"


def _fee(cell: str) -> str:
    return f"coalesce(CAST(TRY_CAST({cell} AS DECIMAL(12,5)) * CAST(100000 AS DECIMAL(6,0)) AS BIGINT), 0)"


def _signed_letter(cell: str) -> str:
    return f"coalesce(TRY_CAST({cell}[2:] AS BIGINT) * (CASE WHEN {cell}[1] = 'D' THEN -1 ELSE 1 END), 0)"


def _wide_time(cell: str) -> str:
    return f"TRY_CAST(replace({cell}, '：', ':') AS TIMESTAMP)"


TRANSFORMS = {
    each.name: each
    for each in (
        Transform("text", None, lambda cell: cell),
        # WeChat writes 0 where a number does not apply.
        Transform("number_or_0", None, lambda cell: f"(CASE WHEN {cell} = '0' THEN '' ELSE {cell} END)"),
        Transform("yuan", r"\d{1,12}(\.\d{1,2})?", _hundredfold),
        Transform("signed_yuan", r"-?\d{1,12}(\.\d{1,2})?", _hundredfold_or_0, may_be_empty=True),
        Transform("plus_minus_yuan", r"[+-]?\d{1,12}(\.\d{1,2})?", _hundredfold_or_0, may_be_empty=True),
        Transform("fee_yuan", r"-?\d{1,7}(\.\d{1,5})?", _fee, may_be_empty=True),
        Transform("fen", r"\d{1,14}", lambda cell: f"coalesce(TRY_CAST({cell} AS BIGINT), 0)"),
        Transform("letter_fen", r"[CD]\d{11,12}", _signed_letter),
        Transform("letter_fen_or_blank", r"[CD]\d{11,12}", _signed_letter, may_be_empty=True),
        Transform("letter_fen_fee", r"[CD]\d{11,12}", lambda cell: f"({_signed_letter(cell)} * 1000)"),
        Transform("beijing_time", _TIME, lambda cell: f"TRY_CAST({cell} AS TIMESTAMP)", is_time=True),
        Transform("beijing_time_wide", _WIDE_TIME, _wide_time, is_time=True),
    )
}
