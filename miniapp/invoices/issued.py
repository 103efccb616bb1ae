"""Reading invoices for pages and the chat: by customer, by number, within a person's scopes."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session, joinedload, selectinload

from miniapp import db
from miniapp.core import files
from miniapp.core.errors import Missing
from miniapp.invoices.models import Delivery, Invoice, InvoicePurchase
from miniapp.invoices.rows import DeliveryFound, DeliveryRow, InvoiceView
from miniapp.payments.models import TerminalTransaction
from miniapp.stores.models import Company, Store

PAGE = 20


def invoices_of(customer_id: int, *, page: int = 1) -> list[InvoiceView]:
    """A customer's invoices, newest first."""
    with db.reading() as session:
        query = (
            _invoice_query()
            .where(Invoice.customer_id == customer_id)
            .order_by(Invoice.issued_at.desc())
            .offset((page - 1) * PAGE)
            .limit(PAGE)
        )
        return [_invoice_view(session, row) for row in session.scalars(query)]


def invoice(public_id: str, *, customer_id: int | None = None) -> InvoiceView:
    """One invoice by public id or number; of this customer, where one is given. Raises Missing."""
    with db.reading() as session:
        query = _invoice_query().where(or_(Invoice.public_id == public_id, Invoice.number == public_id))
        if customer_id is not None:
            query = query.where(Invoice.customer_id == customer_id)
        found = session.scalar(query)
        if found is None:
            raise Missing("core.not_found")
        return _invoice_view(session, found)


def invoice_by_id(invoice_id: int) -> InvoiceView:
    """One invoice by our own id. Raises Missing."""
    with db.reading() as session:
        found = session.scalar(_invoice_query().where(Invoice.id == invoice_id))
        if found is None:
            raise Missing("core.not_found")
        return _invoice_view(session, found)


def delivery(delivery_id: int) -> DeliveryFound:
    """One delivery. Raises Missing."""
    with db.reading() as session:
        row = session.get(Delivery, delivery_id)
        if row is None:
            raise Missing("core.not_found")
        return DeliveryFound(row.id, row.invoice_id, row.way, row.state)


def invoices(*, scopes: Iterable[str], text: str = "", page: int = 1, size: int = 50) -> list[InvoiceView]:
    """Invoices for staff, within their scopes, newest first."""
    with db.reading() as session:
        query = (
            _invoice_query()
            .join(Store, Store.id == Invoice.store_id)
            .join(Company, Company.id == Invoice.company_id)
        )
        query = query.where(within(scopes))
        if text:
            query = query.where(Invoice.number.contains(text))
        query = query.order_by(Invoice.issued_at.desc()).offset((page - 1) * size).limit(size)
        return [_invoice_view(session, row) for row in session.scalars(query)]


def within(scopes: Iterable[str]) -> ColumnElement[bool]:
    """The condition on Store and Company that a person's scopes mean."""
    scopes = set(scopes)
    if "*" in scopes:
        return Store.id.is_not(None)
    stores = [scope.partition(":")[2] for scope in scopes if scope.startswith("store:")]
    companies = [scope.partition(":")[2] for scope in scopes if scope.startswith("company:")]
    return or_(Store.code.in_(stores), Company.code.in_(companies))


def _invoice_query() -> Any:
    return select(Invoice).options(
        joinedload(Invoice.store), joinedload(Invoice.request), selectinload(Invoice.deliveries)
    )


def _invoice_view(session: Session, row: Invoice) -> InvoiceView:
    numbers = session.scalars(
        select(TerminalTransaction.out_trade_no)
        .join(InvoicePurchase, InvoicePurchase.transaction_id == TerminalTransaction.id)
        .where(InvoicePurchase.invoice_id == row.id)
    )
    return InvoiceView(
        id=row.id,
        public_id=row.public_id,
        number=row.number,
        state=row.state,
        kind=row.kind,
        is_specimen=row.is_specimen,
        issued_at=row.issued_at,
        buyer=row.buyer,
        seller=row.seller,
        lines=tuple(row.lines),
        total_fen=row.total_fen,
        net_fen=row.net_fen,
        tax_fen=row.tax_fen,
        store_name=row.store.name,
        store_id=row.store_id,
        request=row.request.public_id,
        request_code=row.request.code,
        customer_id=row.customer_id,
        deliveries=tuple(_delivery_row(one) for one in row.deliveries),
        files={role: file.sha256 for role, file in files.linked(session, "invoice", row.id).items()},
        out_trade_nos=tuple(numbers),
    )


def _delivery_row(row: Delivery) -> DeliveryRow:
    return DeliveryRow(row.way, row.state, row.detail, row.changed_at)
