"""One day of the ledger out of the database into a CSV file, as a set: COPY on PostgreSQL, one cursor on SQLite."""

import csv
from datetime import date
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

COLUMNS = ("id", "store_id", "kind", "out_trade_no", "out_refund_no", "amount_fen", "base_fen", "is_revoked")
ROWS_A_TURN = 20_000

_SELECT = """
SELECT t.id, t.store_id, t.kind, t.out_trade_no, t.out_refund_no, t.amount_fen,
       t.amount_fen - t.merchant_discount_fen AS base_fen, CASE WHEN s.id IS NULL THEN 0 ELSE 1 END AS is_revoked
FROM terminal_transaction AS t
LEFT JOIN transaction_state AS s ON s.transaction_id = t.id AND s.state = 'revoked'
WHERE t.merchant_account_id = {account} AND t.bill_date = '{day}'
"""


def export(session: Session, merchant_account_id: int, bill_date: date, *, to: Path) -> None:
    """Write the day's rows of an account, without a header, in the caller's transaction (so what it locked counts)."""
    statement = _SELECT.format(account=int(merchant_account_id), day=bill_date.isoformat())
    connection: Any = session.connection().connection.driver_connection
    if session.get_bind().dialect.name == "postgresql":
        copying = f"COPY ({statement}) TO STDOUT (FORMAT csv)"
        with to.open("wb") as out, connection.cursor() as cursor, cursor.copy(copying) as copy:
            for block in copy:
                out.write(block)
        return
    cursor = connection.execute(statement)
    with to.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        while rows := cursor.fetchmany(ROWS_A_TURN):
            writer.writerows(rows)
