"""A part's rows -> normalised rows, as SQL for DuckDB: one SELECT that reads, checks and turns every cell.

The columns are ``NORMALISED``, the figures of the trailer as ``total_0 …``, and ``bad``: true where any cell of the row is
not what the layout says, and for the lines of a trailer that is read along with the rows of a file in place. ``locating.py`` asks the same questions again in Python to name the cell.
"""

from datetime import date

from miniapp.reconcile.fixed_widths import places, record_pattern
from miniapp.reconcile.layouts import Cell, Layout
from miniapp.reconcile.parts import Part
from miniapp.reconcile.transforms import TRANSFORMS

AMOUNTS = ("amount_fen", "settled_fen", "merchant_discount_fen", "platform_discount_fen", "fee_fen_e3")
TEXTS = (
    "merchant_no",
    "out_trade_no",
    "out_refund_no",
    "platform_trade_no",
    "platform_refund_no",
    "status",
    "store",
    "terminal",
    "payer",
    "rrn",
    "terminal_batch_no",
    "trace_no",
)
NORMALISED = ("platform", "kind", *TEXTS, *AMOUNTS, "occurred_at")
# No text of a bill holds this, so an empty cell stays empty and only a missing one is NULL.
_NEVER = "\x1e"


def select_rows(
    part: Part, *, number: int, latest: date | None, columns: tuple[str, ...] = NORMALISED
) -> str:
    """SELECT of one part's rows: ``part`` (``number``), the ``columns`` asked for, ``day``, ``total_n`` and ``bad``."""
    sql = _Sql(part, latest)
    chosen = [f"{sql.column(name)} AS {name}" for name in columns]
    totals = [f"{sql.total(index)} AS total_{index}" for index in range(len(part.layout.totals))]
    # The kind is computed once, in the inner SELECT, because nearly every other expression asks for it.
    return (
        f"SELECT {number} AS part, {', '.join([*chosen, *totals])}, coalesce(NOT ({sql.good()}), true) AS bad "
        f"FROM (SELECT *, {sql.kind()} AS kind_of FROM {_source(part)})"
    )


def _source(part: Part) -> str:
    fixed = part.layout.form == "fixed"
    names = ["line"] if fixed else [f"c{index}" for index in range(len(part.columns))]
    if part.is_empty:
        return "(SELECT " + ", ".join(f"'' AS {name}" for name in names) + " WHERE false)"
    types = ", ".join(f"'{name}': 'VARCHAR'" for name in names)
    skip = part.first_line - 1 if part.tail_at is not None else 0
    newline = "\\r\\n" if part.newline == "\r\n" else "\\n"
    read = (
        f"read_csv({quoted(str(part.path))}, delim={quoted(part.delimiter)}, quote='', escape='', comment='', "
        f"header=false, skip={skip}, columns={{{types}}}, auto_detect=false, null_padding={str(not fixed).lower()}, "
        f"nullstr={quoted(_NEVER)}, new_line='{newline}', max_line_size=1000000)"
    )
    return f"(SELECT * FROM {read})"


def quoted(text: str) -> str:
    """Text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


class _Sql:
    """Expressions over one part's columns."""

    def __init__(self, part: Part, latest: date | None) -> None:
        self._part = part
        self._layout: Layout = part.layout
        self._latest = latest
        self._places = places(part.layout) if part.layout.form == "fixed" else {}
        self._index = {name: index for index, name in reversed(list(enumerate(part.columns)))}

    def has(self, name: str) -> bool:
        return name in self._index

    def raw(self, name: str) -> str:
        """A cell's text."""
        if self._places:
            first, last = self._places[name]
            return f"trim(line[{first}:{last}])"
        index = self._index[name]
        if self._part.backtick:
            return "substr(c0, 2)" if index == 0 else f"c{index}"
        return f"trim(c{index})"

    def value(self, name: str, transform: str) -> str:
        if transform == "month_day_time":
            return self._month_day_time(self.raw(name))
        return TRANSFORMS[transform].value(self.raw(name))

    def kind(self) -> str:
        layout = self._layout
        if layout.kind_amounts:
            tests = [
                f"WHEN {self.value(column, layout.kind_transform)} <> 0 THEN '{kind}'"
                for kind, column in layout.kind_amounts.items()
            ]
            return f"(CASE {' '.join(tests)} ELSE 'none' END)"
        cell = self.raw(layout.kind_column or "")
        words = [f"WHEN {quoted(word)} THEN '{kind}'" for word, kind in layout.kind_words.items()]
        return f"(CASE {cell} {' '.join(words)} END)"

    def column(self, name: str) -> str:
        if name == "platform":
            return quoted(self._layout.platform)
        if name == "kind":
            return "kind_of"
        if name == "day":
            return f"CAST({self.column('occurred_at')} AS DATE)"
        cell = self._layout.cells.get(name)
        if cell is None:
            return "CAST(0 AS BIGINT)" if name in AMOUNTS else "''"
        value = self._by_kind(cell, "0" if name in AMOUNTS else "''")
        if name == "fee_fen_e3":
            # Positive where the merchant pays, negative on refunds, whatever sign the file writes.
            return f"(CASE WHEN kind_of = 'sale' THEN abs({value}) ELSE -abs({value}) END)"
        return value

    def total(self, index: int) -> str:
        total = self._layout.totals[index]
        if total.column is None:
            value = "1"
        elif self.has(total.column):
            value = self.value(total.column, total.transform)
        else:
            value = "0"
        if not total.of:
            return value
        kinds = ", ".join(f"'{kind}'" for kind in total.of)
        return f"(CASE WHEN kind_of IN ({kinds}) THEN {value} ELSE 0 END)"

    def good(self) -> str:
        """SQL that is true where every cell of a row is what the layout says."""
        tests = []
        if self._places:
            tests.append(f"regexp_full_match(line, {quoted(record_pattern(self._layout))})")
        else:
            tests.append(f"c{len(self._part.columns) - 1} IS NOT NULL")
        if self._part.backtick:
            tests.append("starts_with(c0, '`')")
        tests.append("kind_of IS NOT NULL")
        for name, transform in checked_cells(self._layout):
            if self.has(name) and (self._part.may_be_excel or not is_free_text(transform)):
                tests.append(self._check(name, transform))
        tests += [f"({self._joined(cell)})" for cell in self._layout.cells.values() if cell.joined]
        for cell in self._layout.cells.values():
            for kind in cell.needed_by:
                tests += [
                    f"(kind_of <> '{kind}' OR {self._given(name, cell)})" for name in needed(cell, kind)
                ]
        return " AND ".join(tests)

    def _given(self, name: str, cell: Cell) -> str:
        zero = " AND " + self.raw(name) + " <> '0'" if cell.transform == "number_or_0" else ""
        return f"({self.raw(name)} <> ''{zero})" if self.has(name) else "true"

    def _joined(self, cell: Cell) -> str:
        whole = " || ' ' || ".join(self.raw(name) for name in cell.columns())
        return TRANSFORMS[cell.transform].check(f"({whole})")

    def _check(self, name: str, transform: str) -> str:
        if transform == "month_day_time":
            return f"{self.value(name, transform)} IS NOT NULL"
        return TRANSFORMS[transform].check(self.raw(name))

    def _by_kind(self, cell: Cell, nothing: str) -> str:
        if "all" in cell.sources:
            return self._sum(cell.sources["all"], cell, nothing)
        fallback = cell.sources.get("refund", ())
        tests = [
            f"WHEN '{kind}' THEN {self._sum(names, cell, nothing)}"
            for kind, names in cell.sources.items()
            if kind != "refund"
        ]
        return f"(CASE kind_of {' '.join(tests)} ELSE {self._sum(fallback, cell, nothing)} END)"

    def _sum(self, names: tuple[str, ...], cell: Cell, nothing: str) -> str:
        there = [name for name in names if self.has(name.removeprefix("-"))]
        if not there:
            return nothing
        if cell.joined:
            joined = " || ' ' || ".join(self.raw(name) for name in there)
            return TRANSFORMS[cell.transform].value(f"({joined})")
        terms = [
            ("-" if name.startswith("-") else "+") + self.value(name.removeprefix("-"), cell.transform)
            for name in there
        ]
        value = (
            terms[0].removeprefix("+") if len(terms) == 1 else "(" + " ".join(terms).removeprefix("+") + ")"
        )
        return f"abs({value})" if cell.absolute else value

    def _month_day_time(self, cell: str) -> str:
        latest = self._latest or date.max
        year = f"(CASE WHEN {cell}[1:4] > '{latest:%m%d}' THEN '{latest.year - 1}' ELSE '{latest.year}' END)"
        good = rf"regexp_full_match({cell}, '[01]\d[0-3]\d([01]\d|2[0-3])[0-5]\d[0-5]\d')"
        return f"(CASE WHEN {good} THEN try_strptime({year} || {cell}, '%Y%m%d%H%M%S') END)"


def is_free_text(transform: str) -> bool:
    """Whether a cell may hold anything but a number that Excel has cut."""
    return transform in TRANSFORMS and TRANSFORMS[transform].pattern is None


def checked_cells(layout: Layout) -> list[tuple[str, str]]:
    """(column, transform) of every cell that is checked, each pair once."""
    pairs = [
        (name, cell.transform) for cell in layout.cells.values() if not cell.joined for name in cell.columns()
    ]
    pairs += list(layout.checks.items())
    pairs += [(total.column, total.transform) for total in layout.totals if total.column]
    if layout.kind_amounts:
        pairs += [(column, layout.kind_transform) for column in layout.kind_amounts.values()]
    # Of two transforms for one column the stricter stands in the layout; both are asked.
    return list(dict.fromkeys(pairs))


def needed(cell: Cell, kind: str) -> tuple[str, ...]:
    """The columns that a row of a kind must fill for one value."""
    names = cell.sources.get("all", cell.sources.get(kind, cell.sources.get("refund", ())))
    return tuple(name.removeprefix("-") for name in names)
