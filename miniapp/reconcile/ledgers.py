"""The ledger as a CSV file: checked like a bill, then ``ledger_rows`` for the match."""

import codecs
import csv
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from miniapp.reconcile.decoding import HEAD_BYTES, UTF8_BOM, bad_encoding, line_blocks
from miniapp.reconcile.memory_files import MemoryFile
from miniapp.reconcile.normalising import quoted
from miniapp.reconcile.refusing import BillRefused

REQUIRED = (
    "out_trade_no",
    "out_refund_no",
    "occurred_at",
    "store",
    "terminal",
    "platform",
    "kind",
    "amount_fen",
    "status",
)
_TIME = r"[12]\d{3}-\d\d-\d\d ([01]\d|2[0-3]):[0-5]\d:[0-5]\d"
_FEN = r"0*[1-9]\d{0,13}"
_PLATFORM = r"[a-z][a-z0-9_.-]{0,39}"
_UNIT = "\x1f"
# Where a refund number is unique only within its order; an empty one stands for the order's own number.
REFUNDS_WITHIN_ORDER = ("alipay",)


@dataclass(frozen=True)
class _Form:
    columns: list[str]
    newline: str
    encoding: str


def load(con: duckdb.DuckDBPyConnection, path: Path) -> int:
    """Make ``ledger_rows`` from a file and return how many rows it has.

    Raises BillRefused: BAD_ENCODING, UNKNOWN_FILE (a column is missing), BAD_ROW, BAD_VALUE.
    """
    form = _form(path)
    try:
        good = _load(con, form, path, delimiter=",", quote='"', skip=1)
    except duckdb.Error:
        good = False
    if not good:
        _explain(path, form)
        kept = _rewritten(path, form)
        try:
            if not _load(con, form, kept.path, delimiter=_UNIT, quote="", skip=0):
                raise BillRefused("BAD_ROW", "not_readable", hint="ledger_form")
        except duckdb.Error as fault:
            raise BillRefused("BAD_ROW", "not_readable", hint="ledger_form") from fault
        finally:
            kept.close()
    rows: Any = con.execute("SELECT count(*) FROM ledger_rows").fetchone()
    return int(rows[0])


def _form(path: Path) -> _Form:
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    encoding = "utf-8-sig" if head.startswith(UTF8_BOM) else "utf-8"
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError as fault:
        raise bad_encoding(head.count(b"\n", 0, fault.start) + 1) from fault
    first = text.split("\n", 1)[0]
    columns = [cell.strip() for cell in next(csv.reader([first.rstrip("\r")]), [])]
    missing = [name for name in REQUIRED if name not in columns]
    if missing:
        raise BillRefused("UNKNOWN_FILE", "no_ledger_columns", names=", ".join(missing), hint="ledger_form")
    return _Form(columns, "\r\n" if first.endswith("\r") else "\n", encoding)


def _load(
    con: duckdb.DuckDBPyConnection, form: _Form, path: Path, *, delimiter: str, quote: str, skip: int
) -> bool:
    """Whether every row is good. Raises duckdb.Error for what cannot be read at all."""
    at = {name: f"c{index}" for index, name in reversed(list(enumerate(form.columns)))}
    types = ", ".join(f"'c{index}': 'VARCHAR'" for index in range(len(form.columns)))
    newline = "\\r\\n" if form.newline == "\r\n" and skip else "\\n"
    source = (
        f"read_csv({quoted(str(path))}, delim={quoted(delimiter)}, quote={quoted(quote)}, escape={quoted(quote)}, "
        f"comment='', header=false, skip={skip}, columns={{{types}}}, auto_detect=false, null_padding=true, "
        f"nullstr={quoted(chr(30))}, new_line='{newline}')"
    )
    good = _good(at, f"c{len(form.columns) - 1}")
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE ledger_rows AS SELECT {_values(at)}, coalesce(NOT ({good}), true) AS bad FROM {source}"
    )
    bad = con.execute("SELECT count(*) FROM ledger_rows WHERE bad").fetchone()
    names = [name for (name,) in con.execute("SELECT DISTINCT platform FROM ledger_rows").fetchall()]
    return bad == (0,) and all(name and re.fullmatch(_PLATFORM, name, re.ASCII) for name in names)


def _values(at: dict[str, str]) -> str:
    within = ", ".join(quoted(name) for name in REFUNDS_WITHIN_ORDER)
    kind, order, refund, platform = at["kind"], at["out_trade_no"], at["out_refund_no"], at["platform"]
    by_order = f"{platform} IN ({within})"
    number = f"CASE WHEN {refund} = '' AND {by_order} THEN {order} ELSE {refund} END"
    return (
        f"{platform} AS platform, {kind} AS kind, CASE {kind} WHEN 'sale' THEN {order} ELSE {number} END AS key, "
        f"CASE WHEN {kind} = 'refund' AND {by_order} THEN {order} ELSE '' END AS sub, "
        f"CAST(TRY_CAST({at['occurred_at']} AS TIMESTAMP) AS DATE) AS day, "
        f"TRY_CAST({at['amount_fen']} AS BIGINT) AS amount_fen, {at['status']} = 'revoked' AS is_off, "
        "CAST(NULL AS BIGINT) AS fee_fen_e3"
    )


def _good(at: dict[str, str], last: str) -> str:
    within = ", ".join(quoted(name) for name in REFUNDS_WITHIN_ORDER)
    return " AND ".join(
        (
            f"{last} IS NOT NULL",
            f"regexp_full_match({at['amount_fen']}, '{_FEN}')",
            f"CAST(TRY_CAST({at['occurred_at']} AS TIMESTAMP) AS VARCHAR) = {at['occurred_at']}",
            f"{at['kind']} IN ('sale', 'refund')",
            f"{at['status']} IN ('success', 'revoked')",
            f"CASE WHEN {at['kind']} = 'sale' OR {at['platform']} IN ({within}) THEN {at['out_trade_no']} <> '' "
            f"ELSE {at['out_refund_no']} <> '' END",
        )
    )


def _rows(path: Path, form: _Form) -> Any:
    """(line, cells) of every row; blank lines left out. Raises BillRefused BAD_ENCODING."""
    number = 0
    with path.open("rb") as file:
        chunks = iter(lambda: file.read(1 << 22), b"")
        for block in line_blocks(chunks, form.encoding):
            for line in block.removesuffix("\n").split("\n"):
                number += 1
                if number > 1 and line.strip():
                    yield number, _cells(line.removesuffix("\r"))


def _cells(line: str) -> list[str]:
    try:
        return next(csv.reader([line]), [])
    except csv.Error:
        return line.split(",")


def _explain(path: Path, form: _Form) -> None:
    for line, cells in _rows(path, form):
        if len(cells) != len(form.columns):
            want = len(form.columns)
            raise BillRefused(
                "BAD_ROW", "bad_width", line=line, got=len(cells), want=want, hint="ledger_form"
            )
        row = dict(reversed(list(zip(form.columns, cells, strict=True))))
        bad = [name for name in form.columns if name in REQUIRED and not _accepts(name, row)]
        if bad:
            reason = "bad_value" if row[bad[0]] else "empty_value"
            raise BillRefused(
                "BAD_VALUE", reason, line=line, column=bad[0], value=row[bad[0]][:40], hint="ledger_form"
            )


def _accepts(name: str, row: dict[str, str]) -> bool:
    value = row[name]
    by_order = row["platform"] in REFUNDS_WITHIN_ORDER
    match name:
        case "amount_fen":
            return bool(re.fullmatch(_FEN, value, re.ASCII))
        case "occurred_at":
            return bool(re.fullmatch(_TIME, value, re.ASCII)) and _is_moment(value)
        case "kind":
            return value in ("sale", "refund")
        case "status":
            return value in ("success", "revoked")
        case "platform":
            return bool(re.fullmatch(_PLATFORM, value, re.ASCII))
        case "out_trade_no":
            return bool(value) or (row["kind"] != "sale" and not by_order)
        case "out_refund_no":
            return bool(value) or row["kind"] != "refund" or by_order
    return True


def _is_moment(value: str) -> bool:
    try:
        datetime.strptime(value, "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 checked, not kept
    except ValueError:
        return False
    return True


def _rewritten(path: Path, form: _Form) -> MemoryFile:
    kept = MemoryFile()
    for _, cells in _rows(path, form):
        kept.write((_UNIT.join(cell.replace(_UNIT, " ") for cell in cells) + "\n").encode())
    kept.flush()
    return kept
