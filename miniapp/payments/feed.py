"""A terminal's own rows, page by page, and its sales by number: what a till may read back."""

import base64
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from miniapp import db
from miniapp.core.errors import Invalid
from miniapp.payments.models import TerminalTransaction


@dataclass(frozen=True)
class LedgerRow:
    """A row of the ledger as a terminal gets it back."""

    id: int
    kind: str
    platform: str
    out_trade_no: str
    out_refund_no: str
    platform_trade_no: str
    amount_fen: int
    paid_fen: int
    occurred_at: datetime
    rrn: str
    terminal_batch_no: str
    trace_no: str
    source: str


@dataclass(frozen=True)
class LedgerPage:
    """Some rows, and the cursor that goes on after them."""

    rows: list[LedgerRow]
    cursor: str


def since(terminal_id: int, cursor: str, *, limit: int) -> LedgerPage:
    """A terminal's rows in the order of their recording, after a cursor. Raises Invalid for a foreign cursor."""
    after = _read_cursor(cursor)
    with db.reading() as session:
        rows = session.scalars(
            select(TerminalTransaction)
            .where(TerminalTransaction.terminal_id == terminal_id, TerminalTransaction.id > after)
            .order_by(TerminalTransaction.id)
            .limit(limit)
        ).all()
    shown = [
        LedgerRow(
            id=row.id,
            kind=row.kind,
            platform=row.platform,
            out_trade_no=row.out_trade_no,
            out_refund_no=row.out_refund_no,
            platform_trade_no=row.platform_trade_no,
            amount_fen=row.amount_fen,
            paid_fen=row.paid_fen,
            occurred_at=row.occurred_at,
            rrn=row.rrn,
            terminal_batch_no=row.terminal_batch_no,
            trace_no=row.trace_no,
            source=row.source,
        )
        for row in rows
    ]
    return LedgerPage(shown, _cursor(shown[-1].id if shown else after))


def sale_id_of_number(store_id: int, out_trade_no: str) -> int | None:
    """A store's sale by its number."""
    with db.reading() as session:
        return session.scalar(
            select(TerminalTransaction.id).where(
                TerminalTransaction.store_id == store_id,
                TerminalTransaction.kind == "sale",
                TerminalTransaction.out_trade_no == out_trade_no,
            )
        )


def _cursor(row_id: int) -> str:
    return base64.urlsafe_b64encode(f"t{row_id}".encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> int:
    if not cursor:
        return 0
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        if len(cursor) > 30 or not text.startswith("t") or not text[1:].isdigit():
            raise ValueError
        return int(text[1:])
    except ValueError as error:
        raise Invalid("terminal.bad_cursor") from error
