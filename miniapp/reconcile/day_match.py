"""One account's day in DuckDB: the ledger's CSV and the bills' Parquet in, exceptions and totals out. No database of ours.

The match itself is ``matching``, the same that compares files; here its two sides are filled and its answer read.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from miniapp.reconcile import bills, matching
from miniapp.reconcile.matching import REASONS
from miniapp.reconcile.normalising import quoted
from miniapp.reconcile.rules import Found

EVIDENCE = (
    "kind",
    "status",
    "out_trade_no",
    "out_refund_no",
    "platform_trade_no",
    "platform_refund_no",
    "amount_fen",
    "settled_fen",
    "merchant_discount_fen",
    "platform_discount_fen",
    "fee_fen_e3",
    "occurred_at",
    "store",
    "terminal",
)
_NO_BILL = "SELECT NULL::INTEGER AS file_id, NULL::BIGINT AS line_no, NULL::INTEGER AS part, '' AS payer"


@dataclass(frozen=True)
class Side:
    """What a run compares. ``bills``: (bill file id, Parquet of its rows); none on an empty day."""

    platform: str
    bill_date: date
    ledger: Path
    bills: Sequence[tuple[int, Path]]
    fee_rate: str | None = None


@dataclass(frozen=True)
class Matched:
    """``totals``: ledger, bill and matched, each sale and refund with count and amount_fen; the same under ``stores``."""

    found: list[Found]
    totals: dict[str, Any]


def match(side: Side) -> Matched:
    """Compare one day. Amounts are fen; the answer depends on the rows only, not on their order."""
    with bills.connect(ordered=False) as con:
        _load_ledger(con, side)
        _load_bill(con, side)
        # Carrying over is done on the exceptions, in our own tables: DuckDB sees one day only.
        matching.match(con, bill_date=side.bill_date, carry_days=0, bill_platforms=["account"], previous=[])
        return Matched(_found(con), _totals(con))


def _load_ledger(con: duckdb.DuckDBPyConnection, side: Side) -> None:
    # The rate is checked text; a sale's fee is rounded half up to the fen, a refund's is not compared.
    fee = "NULL::BIGINT"
    if side.fee_rate:
        fee = (
            f"CASE WHEN kind = 'sale' THEN round(CAST(base_fen AS DECIMAL(18,0)) * "
            f"CAST({quoted(side.fee_rate)} AS DECIMAL(9,8)))::BIGINT * 1000 END"
        )
    types = (
        "{'id': 'BIGINT', 'store_id': 'BIGINT', 'kind': 'VARCHAR', 'out_trade_no': 'VARCHAR', "
        "'out_refund_no': 'VARCHAR', 'amount_fen': 'BIGINT', 'base_fen': 'BIGINT', 'is_revoked': 'INTEGER'}"
    )
    con.execute(
        f"CREATE TEMP TABLE ledger_rows AS SELECT 'account' AS platform, kind, "
        f"{_key(side.platform, 'kind', 'out_trade_no')}, DATE '{side.bill_date.isoformat()}' AS day, amount_fen, "
        f"is_revoked = 1 AS is_off, {fee} AS fee_fen_e3, id, store_id, out_trade_no, out_refund_no "
        f"FROM read_csv({quoted(str(side.ledger))}, header=false, auto_detect=false, delim=',', quote='\"', escape='\"', "
        f"nullstr='\\N', columns={types})"
    )


def _load_bill(con: duckdb.DuckDBPyConnection, side: Side) -> None:
    parts = [
        f"SELECT {file_id} AS file_id, * FROM read_parquet({quoted(str(path))})"
        for file_id, path in side.bills
    ]
    con.execute(f"CREATE TEMP VIEW bill_files AS {' UNION ALL '.join(parts) or _empty_bill()}")
    failed = ", ".join(quoted(word) for word in matching.FAILED_REFUND)
    con.execute(
        f"CREATE TEMP VIEW bill_rows AS SELECT 'account' AS platform, kind, "
        f"{_key(side.platform, 'kind', _NUMBER)}, amount_fen, kind = 'refund' AND status IN ({failed}) AS is_off, "
        f"{'fee_fen_e3' if side.fee_rate else 'NULL::BIGINT'} AS fee_fen_e3, status = 'UNNUMBERED' AS unnumbered, "
        f"file_id, line_no, part FROM bill_files"
    )


_NUMBER = "coalesce(nullif(out_trade_no, ''), platform_trade_no)"


def _key(platform: str, kind: str, number: str) -> str:
    """``key`` and ``sub``: Alipay's refund numbers are unique only within their sale."""
    sub = f"CASE WHEN {kind} = 'refund' THEN {number} ELSE '' END" if platform == "alipay" else "''"
    return f"CASE WHEN {kind} = 'refund' THEN out_refund_no ELSE {number} END AS key, {sub} AS sub"


def _empty_bill() -> str:
    texts = [name for name in EVIDENCE if not name.endswith(("_fen", "_e3"))]
    amounts = [name for name in EVIDENCE if name.endswith(("_fen", "_e3"))]
    columns = [f"'' AS {name}" for name in texts] + [f"0::BIGINT AS {name}" for name in amounts]
    return f"SELECT * FROM ({_NO_BILL}, {', '.join(columns)}) WHERE false"


def _found(con: duckdb.DuckDBPyConnection) -> list[Found]:
    con.execute("CREATE OR REPLACE TEMP TABLE odd AS SELECT * FROM compared WHERE has_reason")
    rows = con.execute(
        f"""
        SELECT c.kind, c.key, c.ledger_fen, c.bill_fen, {", ".join(f"c.{reason}" for reason in REASONS)},
               l.id, l.store_id, l.out_trade_no, b.file_id, b.line_no, b.part
        FROM odd AS c
        LEFT JOIN (SELECT kind, key, sub, min(id) AS id, min(store_id) AS store_id, min(out_trade_no) AS out_trade_no
                   FROM ledger_rows SEMI JOIN odd USING (kind, key, sub) GROUP BY ALL) AS l USING (kind, key, sub)
        LEFT JOIN (SELECT CASE kind WHEN 'revocation' THEN 'sale' ELSE kind END AS kind, key, sub,
                          unnest(min({{'file_id': file_id, 'line_no': line_no, 'part': part}}))
                   FROM bill_rows SEMI JOIN odd USING (key, sub) GROUP BY 1, 2, 3) AS b USING (kind, key, sub)
        ORDER BY c.kind, c.key, c.sub
        """
    ).fetchall()
    lines = _bill_lines(con, [(row[-3], row[-2], row[-1]) for row in rows if row[-3] is not None])
    found = []
    for kind, key, ledger_fen, bill_fen, *rest in rows:
        holds, (sale_id, store_id, ours, file_id, line_no, part) = rest[: len(REASONS)], rest[len(REASONS) :]
        evidence = lines.get((file_id, line_no, part), {})
        number = (ours or evidence.get("out_trade_no") or evidence.get("platform_trade_no") or "") or key
        found.append(
            Found(
                kind=kind,
                out_trade_no=number if kind == "refund" else key,
                out_refund_no=key if kind == "refund" else "",
                reasons=tuple(reason for reason, held in zip(REASONS, holds, strict=True) if held),
                ledger_fen=ledger_fen,
                bill_fen=bill_fen,
                transaction_id=sale_id,
                store_id=store_id,
                bill_file_id=file_id,
                bill_line=line_no,
                bill_row=evidence,
            )
        )
    return found


def _bill_lines(
    con: duckdb.DuckDBPyConnection, places: list[tuple[int, int, int]]
) -> dict[tuple[int, int, int], dict[str, Any]]:
    """The bill's own rows of the exceptions, by (file, line, part); the payer is left out."""
    if not places:
        return {}
    con.execute("CREATE OR REPLACE TEMP TABLE places (file_id INTEGER, line_no BIGINT, part INTEGER)")
    con.execute(
        f"INSERT INTO places SELECT unnest(p, recursive := true) FROM (SELECT unnest({_structs(places)}) AS p)"
    )
    rows = con.execute(
        f"SELECT file_id, line_no, part, to_json({{{', '.join(f'{name!r}: {name}' for name in EVIDENCE)}}}) "
        f"FROM bill_files SEMI JOIN places USING (file_id, line_no, part)"
    ).fetchall()
    return {(file, line, part): json.loads(text) for file, line, part, text in rows}


def _structs(places: list[tuple[int, int, int]]) -> str:
    return "[" + ", ".join(f"{{'a': {file}, 'b': {line}, 'c': {part}}}" for file, line, part in places) + "]"


def _totals(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    rows = con.execute(
        """
        WITH stores AS (SELECT kind, key, sub, min(store_id) AS store_id FROM ledger_rows GROUP BY ALL)
        SELECT 'ledger', store_id, kind, count(*), sum(amount_fen)::BIGINT FROM ledger_rows GROUP BY ALL
        UNION ALL
        SELECT 'bill', s.store_id, b.kind, count(*), sum(b.amount_fen)::BIGINT
        FROM bill_rows AS b LEFT JOIN stores AS s USING (kind, key, sub) WHERE b.kind <> 'revocation' GROUP BY ALL
        UNION ALL
        SELECT 'matched', s.store_id, c.kind, count(*), sum(coalesce(c.ledger_fen, c.bill_fen))::BIGINT
        FROM compared AS c LEFT JOIN stores AS s USING (kind, key, sub) WHERE NOT c.has_reason AND c.counts GROUP BY ALL
        """
    ).fetchall()
    whole = _blank()
    stores: dict[str, dict[str, Any]] = {}
    for side, store_id, kind, count, fen in rows:
        for table in (whole, stores.setdefault(str(store_id or ""), _blank())):
            table[side][kind]["count"] += count
            table[side][kind]["amount_fen"] += int(fen or 0)
    return {**whole, "stores": dict(sorted(stores.items()))}


def _blank() -> dict[str, Any]:
    return {
        side: {kind: {"count": 0, "amount_fen": 0} for kind in ("sale", "refund")}
        for side in ("ledger", "bill", "matched")
    }
