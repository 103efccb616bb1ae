"""One transaction from every side, for staff: what was paid, given back, vouched for, asked and invoiced."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import ColumnElement, select, true
from sqlalchemy.orm import Session

from miniapp import db
from miniapp.core.errors import Missing
from miniapp.core.reach import Reach
from miniapp.invoices.models import AmountClaim, Invoice, InvoicePurchase, InvoiceRequest
from miniapp.payments import queries
from miniapp.payments.models import (
    PurchaseBalance,
    RefundOrder,
    Tender,
    TerminalTransaction,
    TransactionState,
    Vouch,
)
from miniapp.payments.queries import SaleDetail, SaleRow
from miniapp.reconcile.queries import Proof, proof_of
from miniapp.stores.models import Store, Terminal

INVOICE_NUMBER = range(8, 41)
"""Lengths of a text that may be an invoice's number."""


@dataclass(frozen=True)
class Row:
    """A row of the ledger in a list. ``left_fen``: what may still be invoiced."""

    public_id: str
    kind: str
    platform: str
    out_trade_no: str
    out_refund_no: str
    store_name: str
    terminal_code: str
    amount_fen: int
    left_fen: int
    claimed_fen: int
    occurred_at: datetime
    source: str
    is_revoked: bool


@dataclass(frozen=True)
class TenderRow:
    """One part of how it was paid or given back, and who funded it."""

    kind: str
    funder: str
    amount_fen: int


@dataclass(frozen=True)
class VouchRow:
    """What an order query said. The evidence is a stored file by its hash."""

    at: datetime
    is_good: bool
    answer: str
    evidence_sha256: str


@dataclass(frozen=True)
class RefundRow:
    """A refund that we asked the platform for."""

    out_refund_no: str
    refund_fen: int
    state: str
    reason: str
    asked_at: datetime


@dataclass(frozen=True)
class Asked:
    """A request over this sale, with its invoice where there is one."""

    code: str
    state: str
    amount_fen: int
    asked_at: datetime
    is_live: bool
    invoice_no: str | None
    invoice_state: str | None


@dataclass(frozen=True)
class Trace:
    """Everything about one row of the ledger."""

    detail: SaleDetail
    original: str | None
    tenders: tuple[TenderRow, ...]
    revoked_at: datetime | None
    vouches: tuple[VouchRow, ...]
    refund_orders: tuple[RefundRow, ...]
    asked: tuple[Asked, ...]
    proof: Proof


def recent(
    *,
    reach: Reach,
    store: str = "",
    platform: str = "",
    day: date | None = None,
    page: int = 1,
    size: int = 50,
) -> list[Row]:
    """Rows of the ledger, the newest first. ``day``: the platforms' bill date."""
    table = TerminalTransaction
    query = (
        select(table, Store.name, Terminal.code, PurchaseBalance, _revoked().label("revoked"))
        .join(Store, Store.id == table.store_id)
        .join(Terminal, Terminal.id == table.terminal_id)
        .outerjoin(PurchaseBalance, PurchaseBalance.transaction_id == table.id)
        .where(_within(reach))
        .order_by(table.occurred_at.desc(), table.id.desc())
        .offset((page - 1) * size)
        .limit(size)
    )
    if store:
        query = query.where(Store.code == store)
    if platform:
        query = query.where(table.platform == platform)
    if day is not None:
        query = query.where(table.bill_date == day)
    with db.reading() as session:
        return [
            _row(row, store_name, terminal, balance, revoked)
            for row, store_name, terminal, balance, revoked in session.execute(query)
        ]


def search(text: str, *, reach: Reach) -> list[Row]:
    """Rows by any number: those of payments, and the number of an invoice."""
    store_ids = None if reach.is_everywhere else reach.store_ids
    with db.reading() as session:
        found = queries.search(session, text, store_ids=store_ids)
        if len(text) in INVOICE_NUMBER:
            known = {row.id for row in found}
            found += [row for row in _of_invoice(session, text, reach) if row.id not in known]
        return [_from_sale(row) for row in found]


def trace(public_id: str, *, reach: Reach) -> Trace:
    """One row of the ledger with all that hangs on it. Raises Missing."""
    with db.reading() as session:
        row = session.scalar(
            select(TerminalTransaction).where(TerminalTransaction.public_id == public_id, _within(reach))
        )
        detail = queries.sale(session, public_id) if row is not None else None
        if row is None or detail is None:
            raise Missing("core.not_found")
        original = session.get(TerminalTransaction, row.original_id) if row.original_id else None
        return Trace(
            detail=detail,
            original=original.public_id if original else None,
            tenders=_tenders(session, row.id),
            revoked_at=session.scalar(
                select(TransactionState.at).where(TransactionState.transaction_id == row.id)
            ),
            vouches=_vouches(session, row.id),
            refund_orders=_refund_orders(session, row.id),
            asked=_asked(session, row.id),
            proof=proof_of(session, row.id),
        )


def _within(reach: Reach) -> ColumnElement[bool]:
    return true() if reach.is_everywhere else TerminalTransaction.store_id.in_(reach.store_ids)


def _revoked() -> ColumnElement[bool]:
    return (
        select(TransactionState.id)
        .where(TransactionState.transaction_id == TerminalTransaction.id, TransactionState.state == "revoked")
        .exists()
    )


def _of_invoice(session: Session, number: str, reach: Reach) -> list[SaleRow]:
    sales = session.execute(
        select(TerminalTransaction.id, TerminalTransaction.public_id)
        .join(InvoicePurchase, InvoicePurchase.transaction_id == TerminalTransaction.id)
        .join(Invoice, Invoice.id == InvoicePurchase.invoice_id)
        .where(Invoice.number == number, _within(reach))
    )
    details = [queries.sale(session, public_id) for _, public_id in sales]
    return [one.row for one in details if one is not None]


def _tenders(session: Session, row_id: int) -> tuple[TenderRow, ...]:
    rows = session.scalars(select(Tender).where(Tender.transaction_id == row_id).order_by(Tender.position))
    return tuple(TenderRow(row.kind, row.funder, row.amount_fen) for row in rows)


def _vouches(session: Session, row_id: int) -> tuple[VouchRow, ...]:
    rows = session.scalars(select(Vouch).where(Vouch.transaction_id == row_id).order_by(Vouch.id.desc()))
    return tuple(VouchRow(row.at, row.is_good, row.answer, row.evidence_sha256) for row in rows)


def _refund_orders(session: Session, row_id: int) -> tuple[RefundRow, ...]:
    rows = session.scalars(select(RefundOrder).where(RefundOrder.sale_id == row_id).order_by(RefundOrder.id))
    return tuple(
        RefundRow(row.out_refund_no, row.refund_fen, row.state, row.reason, row.asked_at) for row in rows
    )


def _asked(session: Session, row_id: int) -> tuple[Asked, ...]:
    rows = session.execute(
        select(AmountClaim, InvoiceRequest, Invoice)
        .join(InvoiceRequest, InvoiceRequest.id == AmountClaim.request_id)
        .outerjoin(Invoice, Invoice.request_id == InvoiceRequest.id)
        .where(AmountClaim.transaction_id == row_id)
        .order_by(AmountClaim.id.desc())
    )
    return tuple(
        Asked(
            request.code,
            request.state,
            claim.amount_fen,
            request.asked_at,
            claim.is_live,
            invoice.number if invoice else None,
            invoice.state if invoice else None,
        )
        for claim, request, invoice in rows
    )


def _row(
    row: TerminalTransaction,
    store_name: str,
    terminal: str,
    balance: PurchaseBalance | None,
    is_revoked: bool,
) -> Row:
    left_fen = balance.limit_fen - balance.claimed_fen + balance.excess_fen if balance else 0
    return Row(
        row.public_id,
        row.kind,
        row.platform,
        row.out_trade_no,
        row.out_refund_no,
        store_name,
        terminal,
        row.amount_fen,
        left_fen,
        balance.claimed_fen if balance else 0,
        row.occurred_at,
        row.source,
        bool(is_revoked),
    )


def _from_sale(row: SaleRow) -> Row:
    return Row(
        row.public_id,
        row.kind,
        row.platform,
        row.out_trade_no,
        row.out_refund_no,
        row.store_name,
        row.terminal_code,
        row.amount_fen,
        row.limit_fen - row.claimed_fen + row.excess_fen,
        row.claimed_fen,
        row.occurred_at,
        row.source,
        row.is_revoked,
    )
