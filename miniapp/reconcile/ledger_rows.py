"""One day of the ledger out of the database into a CSV file, as a set.

The database writes the lines itself and hands them over by the thousand: row by row, on either engine, most of the time
would go into passing single rows (COPY too sends each row by itself).
"""

from datetime import date
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.orm import Session

LINES_A_BLOCK = 2000

_LINE = (
    "t.id || ',' || t.store_id || ',' || t.kind || ',' || {out_trade_no} || ',' || {out_refund_no} || ',' || t.amount_fen "
    "|| ',' || (t.amount_fen - t.merchant_discount_fen) || ',' || CASE WHEN s.id IS NULL THEN 0 ELSE 1 END"
)
_SELECT = """
SELECT {together}({line}, {newline})
FROM terminal_transaction AS t
LEFT JOIN transaction_state AS s ON s.transaction_id = t.id AND s.state = 'revoked'
WHERE t.merchant_account_id = :account AND t.bill_date = :day
GROUP BY t.id / {block}
"""


def export(session: Session, merchant_account_id: int, bill_date: date, *, to: Path) -> None:
    """Write the day's rows of an account, without a header, in the caller's transaction (so what it locked counts).

    Columns: id, store_id, kind, out_trade_no, out_refund_no, amount_fen, amount without the merchant's discount, revoked.
    """
    is_postgresql = session.get_bind().dialect.name == "postgresql"
    statement = _SELECT.format(
        together="string_agg" if is_postgresql else "group_concat",
        newline="chr(10)" if is_postgresql else "char(10)",
        line=_LINE.format(out_trade_no=_quoted("t.out_trade_no"), out_refund_no=_quoted("t.out_refund_no")),
        block=LINES_A_BLOCK,
    )
    values = {"account": merchant_account_id, "day": bill_date if is_postgresql else bill_date.isoformat()}
    with to.open("w", encoding="utf-8", newline="") as out:
        for (block,) in session.execute(text(statement), values):
            out.write(block + "\n")


def _quoted(column: str) -> str:
    return f"'\"' || replace({column}, '\"', '\"\"') || '\"'"
