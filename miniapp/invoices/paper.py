"""Is there a printer where a purchase was made or an invoice belongs? Pages ask before they offer paper."""

from sqlalchemy import select
from sqlalchemy.sql.elements import ColumnElement

from miniapp import db
from miniapp.payments.models import TerminalTransaction
from miniapp.stores.models import Printer


def is_there_for(purchase: str) -> bool:
    """Does the store of this purchase (public id) print?"""
    store_id = (
        select(TerminalTransaction.store_id)
        .where(TerminalTransaction.public_id == purchase)
        .scalar_subquery()
    )
    return _printer(Printer.store_id == store_id) is not None


def printer_of_store(store_id: int) -> int | None:
    """The printer that a store prints invoices on, or None."""
    return _printer(Printer.store_id == store_id)


def _printer(condition: ColumnElement[bool]) -> int | None:
    with db.reading() as session:
        return session.scalar(
            select(Printer.id).where(condition, Printer.is_disabled.is_(False)).order_by(Printer.id).limit(1)
        )
