"""What every list has: pages by the address, and the filtered rows as a file that a spreadsheet opens safely."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from flask import Response, request, url_for

from miniapp.reconcile.reporting import safe_cell

Cell = str | int

SIZE = 50
LAST_PAGE = 2000
EXPORT_AT_MOST = 50_000


@dataclass(frozen=True)
class Listing:
    """Where a list stands. ``before``/``after``: addresses of its neighbours, with the same filter."""

    page: int
    size: int
    before: str | None
    after: str | None


def page_number() -> int:
    """The page asked for; the first for anything that is no number of a page."""
    text = request.args.get("page", "")
    return min(int(text), LAST_PAGE) if text.isascii() and text.isdigit() and text[:1] != "0" else 1


def listing(rows: Sequence[object], *, size: int = SIZE) -> Listing:
    """The neighbours of the page that these rows are."""
    page = page_number()
    return Listing(
        page,
        size,
        before=with_filter(page=page - 1) if page > 1 else None,
        after=with_filter(page=page + 1) if len(rows) == size and page < LAST_PAGE else None,
    )


def text(name: str, *, longest: int = 64) -> str:
    """A text of the filter, without the spaces around it."""
    return request.args.get(name, "").strip()[:longest]


def choice(name: str, among: Iterable[str], default: str = "") -> str:
    """A word of the filter, if it is one of these."""
    word = request.args.get(name, "")
    return word if word in among else default


def with_filter(**changes: str | int | None) -> str:
    """This page's address with some of its filter changed; None takes a word out."""
    values = {**request.args.to_dict(), **{name: str(v) for name, v in changes.items() if v is not None}}
    kept = {name: v for name, v in values.items() if changes.get(name, "") is not None and v}
    return url_for(request.endpoint or "", **(request.view_args or {}), **kept)  # type: ignore[arg-type]


def as_csv(name: str, header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Response:
    """A file with a byte order mark; every text cell is safe to open in a spreadsheet."""
    response = Response(_lines(header, rows), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return response


def _lines(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    yield "\ufeff"
    yield _line(header)
    for row in rows:
        yield _line(row)


def _line(row: Sequence[Cell]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow([cell if isinstance(cell, int) else safe_cell(cell) for cell in row])
    return out.getvalue()
