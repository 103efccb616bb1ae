"""The set-based match: prepares what ``matching.sql`` wants and reads what it made.

One statement file serves ``reconcile compare`` (files) and the run in the system (ledger rows copied out of the database
into Parquet or CSV): the caller makes ``ledger_rows`` and ``bill_rows`` as tables or views in any DuckDB connection.
"""

from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path

import duckdb

REASONS = (
    "ledger_only",
    "bill_only",
    "amount_differs",
    "status_differs",
    "fee_differs",
    "duplicate_in_bill",
    "duplicate_in_ledger",
)
LEDGER_COLUMNS = ("platform", "kind", "key", "sub", "day", "amount_fen", "is_off", "fee_fen_e3")
BILL_COLUMNS = ("platform", "kind", "key", "sub", "amount_fen", "is_off", "fee_fen_e3", "unnumbered")
KINDS = ("sale", "refund")
# ``bill_rows`` of a day on which nothing has a bill.
NO_BILL = (
    "SELECT '' AS platform, '' AS kind, '' AS key, '' AS sub, 0::BIGINT AS amount_fen, false AS is_off, "
    "0::BIGINT AS fee_fen_e3, false AS unnumbered WHERE false"
)
# WeChat's words for a refund that did not happen; every other state of a refund may still become one that did.
FAILED_REFUND = ("FAIL", "FAILED", "REFUNDCLOSE")


@dataclass(frozen=True)
class Missing:
    """A row of an earlier run that one side lacked: ``reason`` ledger_only or bill_only, ``fen`` of the side it has."""

    platform: str
    kind: str
    key: str
    sub: str
    reason: str
    fen: int
    since: date
    is_off: bool = False


@dataclass(frozen=True)
class Difference:
    """One key with at least one reason; fen None on a side that is missing. ``state``: open or carried_over."""

    platform: str
    kind: str
    key: str
    sub: str
    reasons: tuple[str, ...]
    ledger_fen: int | None
    bill_fen: int | None
    is_off: bool
    state: str
    since: date


@dataclass(frozen=True)
class Cleared:
    """A row of an earlier run that is settled now."""

    platform: str
    kind: str
    key: str
    sub: str
    since: date


@dataclass(frozen=True)
class Matched:
    """What one match found. ``totals``: (side, platform, kind) -> (count, fen); sides ledger, bill, matched."""

    differences: list[Difference]
    cleared: list[Cleared]
    totals: dict[tuple[str, str, str], tuple[int, int]]


def match(
    con: duckdb.DuckDBPyConnection,
    *,
    bill_date: date,
    carry_days: int,
    bill_platforms: list[str],
    previous: list[Missing],
) -> Matched:
    """Match the table ``ledger_rows`` with the temporary view ``bill_rows`` (``bill_side``) of a DuckDB connection.

    ``bill_platforms`` are those that have a bill today, be it empty. Amounts are fen, fees thousandths of a fen.
    """
    con.execute("CREATE OR REPLACE TEMP TABLE bill_platforms (platform VARCHAR)")
    if bill_platforms:
        con.executemany("INSERT INTO bill_platforms VALUES (?)", [[each] for each in bill_platforms])
    _put_previous(con, previous)
    _settle_unnumbered(con)
    con.execute("SET VARIABLE bill_date = CAST(? AS DATE)", [bill_date])
    con.execute("SET VARIABLE carry_days = CAST(? AS INTEGER)", [carry_days])
    for statement in _statements():
        con.execute(statement)
    return Matched(_differences(con), _cleared(con), _totals(con))


def bill_side(source: str, *, platform: str, refunds_within_order: bool) -> str:
    """SELECT of ``bill_rows`` from normalised rows: ``source`` is a table or ``read_parquet('…')``.

    ``refunds_within_order``: a refund number is unique only within its order (Alipay).
    """
    failed = ", ".join(f"'{word}'" for word in FAILED_REFUND)
    sub = "CASE kind WHEN 'refund' THEN out_trade_no ELSE '' END" if refunds_within_order else "''"
    return (
        f"SELECT '{platform}' AS platform, kind, CASE kind WHEN 'refund' THEN out_refund_no ELSE out_trade_no END AS key, "
        f"{sub} AS sub, amount_fen, kind = 'refund' AND status IN ({failed}) AS is_off, "
        f"CAST(NULL AS BIGINT) AS fee_fen_e3, "
        f"status = 'UNNUMBERED' AS unnumbered FROM {source}"
    )


def _settle_unnumbered(con: duckdb.DuckDBPyConnection) -> None:
    """Refunds without a number whose sale stands in no bill at hand: the ledger says what they are.

    One that the ledger has as a refund stays so; one for the whole of a sale that the ledger or an earlier run has is that
    sale's revocation.
    """
    found = con.execute("SELECT count(*) FROM bill_rows WHERE unnumbered AND kind = 'refund'").fetchone()
    if found == (0,):
        return
    con.execute("CREATE OR REPLACE TEMP TABLE settled_rows AS SELECT * FROM bill_rows")
    con.execute("DROP VIEW bill_rows")
    con.execute("ALTER TABLE settled_rows RENAME TO bill_rows")
    con.execute(
        "UPDATE bill_rows SET kind = 'revocation', sub = '' WHERE unnumbered AND kind = 'refund' "
        "AND (platform, key, sub) NOT IN (SELECT (platform, key, sub) FROM ledger_rows WHERE kind = 'refund') "
        "AND ((platform, key, amount_fen) IN (SELECT (platform, key, amount_fen) FROM ledger_rows WHERE kind = 'sale') "
        "OR (platform, key, amount_fen) IN (SELECT (platform, key, fen) FROM previous_rows WHERE kind = 'sale'))"
    )


def _put_previous(con: duckdb.DuckDBPyConnection, previous: list[Missing]) -> None:
    con.execute(
        "CREATE OR REPLACE TEMP TABLE previous_rows (platform VARCHAR, kind VARCHAR, key VARCHAR, sub VARCHAR, "
        "reason VARCHAR, fen BIGINT, is_off BOOLEAN, since DATE)"
    )
    rows = [[p.platform, p.kind, p.key, p.sub, p.reason, p.fen, p.is_off, p.since] for p in previous]
    for start in range(0, len(rows), 500):
        some = rows[start : start + 500]
        places = ", ".join(["(?, ?, ?, ?, ?, ?, ?, ?)"] * len(some))
        con.execute(f"INSERT INTO previous_rows VALUES {places}", [value for row in some for value in row])


def _differences(con: duckdb.DuckDBPyConnection) -> list[Difference]:
    rows = con.execute(
        "SELECT platform, kind, key, sub, reasons, ledger_fen, bill_fen, is_off, state, since FROM differences"
    ).fetchall()
    return [
        Difference(
            platform=platform,
            kind=kind,
            key=key,
            sub=sub,
            reasons=tuple(reasons),
            ledger_fen=ledger_fen,
            bill_fen=bill_fen,
            is_off=is_off,
            state=state,
            since=since,
        )
        for platform, kind, key, sub, reasons, ledger_fen, bill_fen, is_off, state, since in rows
    ]


def _cleared(con: duckdb.DuckDBPyConnection) -> list[Cleared]:
    return [
        Cleared(*row) for row in con.execute("SELECT platform, kind, key, sub, since FROM cleared").fetchall()
    ]


def _totals(con: duckdb.DuckDBPyConnection) -> dict[tuple[str, str, str], tuple[int, int]]:
    rows = con.execute("SELECT side, platform, kind, n, fen FROM side_totals").fetchall()
    return {(side, platform, kind): (n, fen) for side, platform, kind, n, fen in rows}


@lru_cache(maxsize=1)
def _statements() -> tuple[str, ...]:
    text = Path(__file__).with_suffix(".sql").read_text("utf-8")
    code = "\n".join(line for line in text.split("\n") if not line.lstrip().startswith("--"))
    return tuple(statement for statement in code.split(";") if statement.strip())
