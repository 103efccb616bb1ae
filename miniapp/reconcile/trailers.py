"""The trailer of a bill: is it there, can it be read, does it equal the rows."""

import re
from dataclasses import dataclass
from decimal import Decimal

from miniapp.reconcile.layouts import Layout, Total, column_name
from miniapp.reconcile.parts import Part
from miniapp.reconcile.refusing import BillRefused

_NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,5})?", re.ASCII)
_UNIT = {"count": Decimal(1), "fee_yuan": Decimal(100_000)}
_FEN = Decimal(100)
_SHOWN_PLACES = {"count": 0, "fee_yuan": 5}


@dataclass(frozen=True)
class Stated:
    """One figure as a trailer states it: ``index`` is its place among the layout's totals, ``at`` its line in the tail."""

    index: int
    name: str
    text: str
    part: Part
    at: int

    @property
    def line(self) -> int:
        """Its line in the text, counted only when somebody asks: files are long."""
        return self.part.tail_line(self.at)


def stated(part: Part) -> list[Stated]:
    """The figures of one part's trailer, [] where a split member has none.

    Raises BillRefused TRUNCATED (begun, but cut) or BAD_ROW (text after it).
    """
    if part.layout.form == "notes":
        return _from_notes(part)
    return _from_row(part) if part.layout.trailer_starts else []


def check_readable(figures: list[Stated]) -> None:
    """Raise BillRefused BAD_VALUE for the first figure that is no number."""
    for figure in figures:
        if not _NUMBER.fullmatch(figure.text):
            raise BillRefused(
                "BAD_VALUE", "bad_trailer", line=figure.line, column=figure.name, value=figure.text[:40]
            )


def check_equal(layout: Layout, figures: list[Stated], sums: list[int]) -> None:
    """Raise BillRefused TRAILER_MISMATCH for the first figure that differs from the rows' sums."""
    for figure in figures:
        if figure.index >= 0 and not agrees(layout, figure, sums):
            total = layout.totals[figure.index]
            raise BillRefused(
                "TRAILER_MISMATCH",
                "trailer_mismatch",
                line=figure.line,
                column=figure.name,
                name=figure.name,
                stated=figure.text,
                found=_shown(total, sums[figure.index]),
            )


def agrees(layout: Layout, figure: Stated, sums: list[int]) -> bool:
    """Whether one readable figure equals the rows."""
    total = layout.totals[figure.index]
    here = Decimal(sums[figure.index]) / _UNIT.get(total.transform, _FEN)
    there = Decimal(figure.text)
    # Notes print a refund or an expense now with, now without its sign.
    return abs(here) == abs(there) if layout.form == "notes" else here == there


def _shown(total: Total, value: int) -> str:
    unit = _UNIT.get(total.transform, _FEN)
    return f"{Decimal(value) / unit:.{_SHOWN_PLACES.get(total.transform, 2)}f}"


def _from_row(part: Part) -> list[Stated]:
    lines = [(index, line) for index, line in enumerate(part.tail) if line.strip(' ,"`')]
    if len(lines) < 2:
        raise BillRefused("TRUNCATED", "no_trailer")
    (_, heading), (at, values), *more = lines
    if more:
        raise BillRefused("BAD_ROW", "after_trailer", line=part.tail_line(more[0][0]))
    names = [cell.strip(' `"\t') for cell in heading.rstrip(", ").split(",")]
    texts = [cell.strip(' `"\t') for cell in values.split(",")]
    while len(texts) > len(names) and not texts[-1]:
        texts.pop()
    if len(texts) < len(names):
        raise BillRefused("TRUNCATED", "cut_trailer", line=part.tail_line(at))
    if len(texts) > len(names):
        raise BillRefused("BAD_ROW", "bad_width", line=part.tail_line(at), got=len(texts), want=len(names))
    places = {total.name: index for index, total in enumerate(part.layout.totals)}
    return [
        Stated(places.get(_canonical(part.layout, name), -1), name, text, part, at)
        for name, text in zip(names, texts, strict=True)
    ]


def _canonical(layout: Layout, name: str) -> str:
    plain = column_name(name)
    return layout.aliases.get(plain, plain)


def _from_notes(part: Part) -> list[Stated]:
    notes: dict[str, tuple[int, str]] = {}
    last = -1
    for index, line in enumerate(part.tail):
        text = line.strip(' ,"`\t')
        if text and not text.startswith("#"):
            raise BillRefused("BAD_ROW", "after_trailer", line=part.tail_line(index))
        last = index if text else last
        for total in part.layout.totals:
            if total.note and text.startswith(f"#{total.note}"):
                notes.setdefault(total.note, (index, text))
    if not notes:
        return []
    return [_from_note(part, number, notes, last) for number in range(len(part.layout.totals))]


def _from_note(part: Part, number: int, notes: dict[str, tuple[int, str]], last: int) -> Stated:
    total = part.layout.totals[number]
    index, text = notes.get(total.note or "", (-1, ""))
    if index < 0:
        raise BillRefused("TRUNCATED", "no_note", note=total.note)
    match = re.search(total.pattern or "", text)
    if match:
        return Stated(number, total.name, match.group(1).strip(), part, index)
    if index == last:
        raise BillRefused("TRUNCATED", "cut_trailer", line=part.tail_line(index))
    raise BillRefused(
        "BAD_VALUE", "bad_trailer", line=part.tail_line(index), column=total.name, value=text.strip("#")[:40]
    )
