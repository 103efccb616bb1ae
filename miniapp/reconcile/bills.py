"""A file as a bill: opened, recognised, its parts ready; then checked and added up by DuckDB in one pass."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from miniapp.reconcile import archives, fixed_widths, preparing, sheets, trailers
from miniapp.reconcile.decoding import HEAD_BYTES
from miniapp.reconcile.layouts import Layout, every_layout
from miniapp.reconcile.limits import Limits
from miniapp.reconcile.locating import first_fault, second_account
from miniapp.reconcile.normalising import select_rows
from miniapp.reconcile.parts import Part
from miniapp.reconcile.recognising import Recognised, recognise
from miniapp.reconcile.refusing import BillRefused

HEADING_ACCOUNT = re.compile(r"#账号[：:]\[(\w+)\]")
HEADING_DAYS = re.compile(r"起始日期[：:]\[(\d{4})年(\d\d)月(\d\d)日[^\]]*\]\s*终止日期[：:]\[([^\]]+)\]")
# Columns that `totals` needs, and those that `load` needs beside those that a caller asks for.
SUMMED = ("amount_fen", "settled_fen", "fee_fen_e3")
CHECKED = (
    "kind",
    "status",
    "merchant_no",
    "amount_fen",
    "out_trade_no",
    "out_refund_no",
    "occurred_at",
)


@dataclass
class Bill:
    """An opened bill. ``parts`` are its detail texts, in the file's order; closed by ``opened``."""

    path: Path
    layout: Layout
    compression: str | None
    encoding: str | None
    member: str | None
    parts: list[Part]
    latest: date | None = None

    def rows(self, columns: tuple[str, ...]) -> str:
        """SELECT of all rows; ``part`` numbers the parts."""
        return " UNION ALL ".join(
            select_rows(part, number=number, latest=self.latest, columns=columns)
            for number, part in enumerate(self.parts)
        )


@dataclass
class Sums:
    """What a bill's rows add up to."""

    rows: int = 0
    merchant_no: str | None = None
    bill_dates: list[str] = field(default_factory=list)


@contextmanager
def opened(
    path: Path,
    *,
    limits: Limits,
    today: date | None = None,
    folders: tuple[Path, ...] = (),
    name: str | None = None,
) -> Iterator[Bill]:
    """Open and recognise a file. ``name``: what it was called, for the year of a ZM file. Raises BillRefused."""
    layouts = every_layout(*folders)
    with ExitStack() as stack:
        bill = _open(path, limits, layouts, stack)
        if bill.layout.form == "fixed":
            names = (*(part.member for part in bill.parts), name or path.name)
            bill.latest = fixed_widths.latest_day(bill.layout, *names, today=today)
        yield bill


def connect(*, ordered: bool, memory: str | None = None) -> duckdb.DuckDBPyConnection:
    """A DuckDB in this process that fetches nothing from outside. ``ordered``: rows stay in the file's order."""
    settings: dict[str, Any] = {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "preserve_insertion_order": str(ordered).lower(),
    }
    if memory:
        settings["memory_limit"] = memory
    con = duckdb.connect(":memory:", config=settings)
    # A bar of progress would stand in the middle of a command's JSON.
    con.execute("SET enable_progress_bar = false")
    return con


def sha256_of(path: Path) -> str:
    """Lower hex SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load(
    con: duckdb.DuckDBPyConnection, bill: Bill, *, table: str, columns: tuple[str, ...], check_trailer: bool
) -> Sums:
    """Read, check and add up a bill into a temporary table (``part``, columns, ``total_n``). Raises BillRefused."""
    figures = [trailers.stated(part) for part in bill.parts]
    if bill.layout.totals and not any(figures):
        raise BillRefused("TRUNCATED", "no_trailer")
    originals = ("platform_trade_no",) if bill.layout.form == "fixed" else ()
    wanted = tuple(dict.fromkeys((*CHECKED, *originals, *columns)))
    if not _loaded(con, bill, table, wanted):
        _explain(con, bill, table, wanted)
    con.execute(f"ALTER TABLE {table} DROP bad")
    _find_originals(con, bill.layout, table)
    revoke(con, bill.layout, table)
    return _summed(con, bill, table, figures if check_trailer else None)


def revoke(con: duckdb.DuckDBPyConnection, layout: Layout, table: str) -> None:
    """Alipay: a refund without a number is a revocation when it is for the whole of its sale, else named by the order.

    The latter keep the status ``UNNUMBERED``: their sale may stand in the bill of an earlier day.
    """
    if not layout.empty_refund_no_revokes:
        return
    empty = con.execute(
        f"SELECT count(*) FROM {table} WHERE kind = 'refund' AND out_refund_no = ''"
    ).fetchone()
    if empty == (0,):
        return
    con.execute(
        f"UPDATE {table} SET kind = 'revocation' WHERE kind = 'refund' AND out_refund_no = '' AND "
        f"(out_trade_no, amount_fen) IN (SELECT (out_trade_no, amount_fen) FROM {table} WHERE kind = 'sale')"
    )
    con.execute(
        f"UPDATE {table} SET out_refund_no = out_trade_no, status = 'UNNUMBERED' WHERE kind = 'refund' AND out_refund_no = ''"
    )


def totals(con: duckdb.DuckDBPyConnection, layout: Layout, table: str) -> dict[str, Any]:
    """The contract's totals of a loaded table that has the columns ``SUMMED``."""
    found = con.execute(
        f"SELECT kind, count(*), coalesce(sum(amount_fen), 0), coalesce(sum(settled_fen), 0), "
        f"coalesce(sum(fee_fen_e3), 0) FROM {table} GROUP BY kind"
    ).fetchall()
    by_kind = {kind: [int(value) for value in values] for kind, *values in found}
    sale, refund = by_kind.get("sale", [0] * 4), by_kind.get("refund", [0] * 4)
    summed: dict[str, Any] = {
        "sale": {"count": sale[0], "amount_fen": sale[1], "settled_fen": sale[2]},
        "refund": {"count": refund[0], "amount_fen": refund[1]},
        "fee_fen_e3": sum(values[3] for values in by_kind.values()),
    }
    if "revocation" in by_kind:
        summed["revoked"] = {"count": by_kind["revocation"][0]}
    if layout.bill == "flow":
        for kind in ("income", "expense"):
            count, amount, *_ = by_kind.get(kind, [0] * 4)
            summed[kind] = {"count": count, "amount_fen": amount}
    return summed


def _find_originals(con: duckdb.DuckDBPyConnection, layout: Layout, table: str) -> None:
    """UnionPay: a short record of a refund or void names its sale by query id only; one without any names itself."""
    if layout.form != "fixed":
        return
    con.execute(
        f"UPDATE {table} AS t SET out_trade_no = s.out_trade_no FROM {table} AS s WHERE t.kind IN ('refund', 'revocation') "
        "AND t.out_trade_no = '' AND s.kind = 'sale' AND s.platform_trade_no = t.platform_trade_no"
    )
    con.execute(
        f"UPDATE {table} SET out_trade_no = out_refund_no WHERE kind = 'revocation' AND out_trade_no = ''"
    )


def _open(path: Path, limits: Limits, layouts: tuple[Layout, ...], stack: ExitStack) -> Bill:
    file = archives.open_file(path, limits)
    members = sheets.sheets(path) if file.compression == "sheet" else file.members
    found = _details(members, layouts)
    layout = found[0][1].layout
    parts: list[Part] = []
    for member, each in found:
        parts.append(_part(path, member, each, plain=file.compression is None))
        stack.callback(parts[-1].close)
    is_zip, is_sheet = file.compression == "zip", file.compression == "sheet"
    return Bill(
        path=path,
        layout=layout,
        compression=None if is_sheet else file.compression,
        encoding=None if is_sheet else parts[0].encoding,
        member=";".join(part.member or "" for part in parts) if is_zip else None,
        parts=parts,
    )


def _details(
    members: list[archives.Member], layouts: tuple[Layout, ...]
) -> list[tuple[archives.Member, Recognised]]:
    """The members that are detail texts of one layout; summaries and strangers beside them are passed over."""
    found: list[tuple[archives.Member, Recognised]] = []
    refusals: list[BillRefused] = []
    for member in members:
        try:
            found.append((member, recognise(_head(member), layouts)))
        except BillRefused as refused:
            refusals.append(refused)
    names = {each.layout.name for _, each in found}
    if len(names) > 1:
        raise BillRefused("UNKNOWN_FILE", "several_bills", hint="one_bill", names="、".join(sorted(names)))
    if found:
        damaged = [refused for refused in refusals if refused.code not in ("WRONG_FILE", "UNKNOWN_FILE")]
        if damaged:
            raise damaged[0]
        return found
    refusals.sort(key=lambda refused: refused.code == "UNKNOWN_FILE")
    raise refusals[0] if refusals else BillRefused("UNKNOWN_FILE", "unknown_file", hint="which_files")


def _head(member: archives.Member) -> bytes:
    head = b""
    for chunk in member.chunks():
        head += chunk
        if len(head) >= HEAD_BYTES:
            break
    return head[:HEAD_BYTES]


def _part(path: Path, member: archives.Member, found: Recognised, *, plain: bool) -> Part:
    if found.layout.form == "fixed":
        return fixed_widths.fixed_part(member, found)
    return (preparing.in_place(path, found) if plain else None) or preparing.rewritten(member, found)


def _explain(con: duckdb.DuckDBPyConnection, bill: Bill, table: str, columns: tuple[str, ...]) -> None:
    """Name the fault that the fast reading saw. If the exact reading sees none, read the rewritten text instead."""
    for number, part in enumerate(bill.parts):
        fault = first_fault(part, bill.latest)
        if fault:
            raise fault.named_member(part.member if len(bill.parts) > 1 else None)
        if part.tail_at is not None:
            bill.parts[number] = _rewritten_in_place(bill.path, part)
    if not _loaded(con, bill, table, columns):
        raise BillRefused("BAD_ROW", "not_readable")


def _loaded(con: duckdb.DuckDBPyConnection, bill: Bill, table: str, columns: tuple[str, ...]) -> bool:
    """Read all rows in one pass. False where any is bad but the trailer's own lines, which are taken out again."""
    try:
        con.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS {bill.rows(columns)}")
        bad = con.execute(f"SELECT part, count(*) FROM {table} WHERE bad GROUP BY part").fetchall()
    except duckdb.Error:
        return False
    expected = {number: part.tail_rows() for number, part in enumerate(bill.parts) if part.tail_rows()}
    if dict(bad) != expected:
        return False
    if expected:
        con.execute(f"DELETE FROM {table} WHERE bad")
    return True


def _rewritten_in_place(path: Path, part: Part) -> Part:
    member = archives.Member(None, archives.open_file(path, Limits()).members[0].chunks)
    return preparing.rewritten(member, recognise(_head(member), (part.layout,)))


def _summed(
    con: duckdb.DuckDBPyConnection, bill: Bill, table: str, figures: list[list[trailers.Stated]] | None
) -> Sums:
    totals = [f"coalesce(sum(total_{index}), 0)" for index in range(len(bill.layout.totals))]
    rows = con.execute(
        f"SELECT part, count(*), {', '.join([*totals, 'min(merchant_no)', 'max(merchant_no)'])} "
        f"FROM {table} GROUP BY part ORDER BY part"
    ).fetchall()
    by_part = {row[0]: [int(value) for value in row[2:-2]] for row in rows}
    accounts = sorted({account for row in rows for account in row[-2:] if account} | _heading_accounts(bill))
    if len(accounts) > 1:
        raise second_account(bill.parts, accounts)
    if figures is not None:
        _check_trailers(bill, figures, [by_part.get(n, [0] * len(totals)) for n in range(len(bill.parts))])
    days = con.execute(f"SELECT DISTINCT CAST(occurred_at AS DATE) FROM {table} ORDER BY 1").fetchall()
    return Sums(
        rows=sum(row[1] for row in rows),
        merchant_no=accounts[0] if accounts else None,
        bill_dates=[day.isoformat() for (day,) in days] or _heading_days(bill),
    )


def _check_trailers(bill: Bill, figures: list[list[trailers.Stated]], sums: list[list[int]]) -> None:
    """Each member's trailer speaks of its own rows, or (split bills) of the whole."""
    for part_figures in figures:
        trailers.check_readable(part_figures)
    whole = [sum(column) for column in zip(*sums, strict=True)]
    if len(figures) > 1 and not all(_all_agree(bill, *pair) for pair in zip(figures, sums, strict=True)):
        own = all(figures) and not all(_all_agree(bill, each, whole) for each in figures)
        sums = sums if own else [whole] * len(figures)
    for part, part_figures, part_sums in zip(bill.parts, figures, sums, strict=True):
        try:
            trailers.check_equal(bill.layout, part_figures, part_sums)
        except BillRefused as refused:
            raise refused.named_member(part.member if len(bill.parts) > 1 else None) from None


def _all_agree(bill: Bill, figures: list[trailers.Stated], sums: list[int]) -> bool:
    return bool(figures) and all(
        figure.index < 0 or trailers.agrees(bill.layout, figure, sums) for figure in figures
    )


def _heading_accounts(bill: Bill) -> set[str]:
    found = (match for part in bill.parts for note in part.notes if (match := HEADING_ACCOUNT.search(note)))
    return {match.group(1) for match in found}


def _heading_days(bill: Bill) -> list[str]:
    """The days of an Alipay heading, whose end is the first moment after them (or the last second of the last)."""
    for part in bill.parts:
        for note in part.notes:
            match = HEADING_DAYS.search(note)
            if match:
                return _days("-".join(match.groups()[:3]), match.group(4))
    return []


def _days(start_text: str, end_text: str) -> list[str]:
    try:
        start = datetime.fromisoformat(start_text)  # a bill's own wall clock, no zone
        end = datetime.strptime(re.sub(r"\D+", " ", end_text).strip(), "%Y %m %d %H %M %S")  # noqa: DTZ007
    except ValueError:
        return []
    count = min(366, max(1, -(-(end - start) // timedelta(days=1))))
    return [(start + timedelta(days=each)).date().isoformat() for each in range(count)]
