"""Reading for pages and doors: frozen rows out, one statement each where it can be."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from miniapp.core import codes
from miniapp.core.money import NotAnAmount, parse_yuan
from miniapp.customers.models import Identity
from miniapp.payments.models import (
    Charge,
    PurchaseBalance,
    PurchaseClaim,
    RefundOrder,
    SlipCode,
    TerminalTransaction,
    TransactionLine,
    TransactionState,
    Vouch,
)
from miniapp.payments.reports import Line
from miniapp.payments.settling import OPEN
from miniapp.stores.models import Company, MerchantAccount, Store, Terminal

SEARCH_LIMIT = 100


@dataclass(frozen=True)
class SaleRow:
    """A purchase as lists show it. ``is_revoked``: taken back as a whole; amounts in fen."""

    id: int
    public_id: str
    kind: str
    store_id: int
    store_name: str
    company_id: int
    company_name: str
    terminal_code: str
    account_code: str
    platform: str
    out_trade_no: str
    out_refund_no: str
    platform_trade_no: str
    rrn: str
    terminal_batch_no: str
    trace_no: str
    amount_fen: int
    paid_fen: int
    merchant_discount_fen: int
    platform_discount_fen: int
    occurred_at: datetime
    bill_date: date
    source: str
    operator: str
    limit_fen: int
    claimed_fen: int
    excess_fen: int
    is_revoked: bool
    owner_id: int | None
    claim_code: str


@dataclass(frozen=True)
class SaleDetail:
    """A purchase with what was sold, what was given back, and what the platform said last."""

    row: SaleRow
    lines: tuple[Line, ...]
    refunds: tuple[SaleRow, ...]
    open_refund_fen: int
    vouched_at: datetime | None


@dataclass(frozen=True)
class TerminalToday:
    """A terminal on the board: its last sign of life and today's work."""

    code: str
    store_id: int
    store_name: str
    last_beat_at: datetime | None
    last_beat: Mapping[str, object]
    sales: int
    amount_fen: int
    open_charges: int


@dataclass(frozen=True)
class ChargeRow:
    """A charge that is still open, or unknown, for the board."""

    id: int
    out_trade_no: str
    terminal_code: str
    store_name: str
    platform: str
    amount_fen: int
    state: str
    begun_at: datetime


def sale(session: Session, public_id: str) -> SaleDetail | None:
    """A purchase by its public id; who may see it is decided by who asks."""
    found = _rows(session, TerminalTransaction.public_id == public_id)
    if not found:
        return None
    row = found[0]
    lines = session.scalars(
        select(TransactionLine)
        .where(TransactionLine.transaction_id == row.id)
        .order_by(TransactionLine.position)
    )
    open_refund = session.scalar(
        select(func.coalesce(func.sum(RefundOrder.refund_fen), 0)).where(
            RefundOrder.sale_id == row.id, RefundOrder.state.not_in(("refunded", "failed"))
        )
    )
    vouched = session.execute(
        select(Vouch.at, Vouch.is_good)
        .where(Vouch.transaction_id == row.id)
        .order_by(Vouch.id.desc())
        .limit(1)
    ).one_or_none()
    return SaleDetail(
        row=row,
        lines=tuple(
            Line(
                name=line.name,
                amount_fen=line.amount_fen,
                item_code=line.item_code,
                quantity=line.quantity,
                unit=line.unit,
                tax_category_code=line.tax_category_code,
                tax_rate=line.tax_rate,
            )
            for line in lines
        ),
        refunds=tuple(_rows(session, TerminalTransaction.original_id == row.id)),
        open_refund_fen=int(open_refund or 0),
        vouched_at=vouched.at if vouched and vouched.is_good else None,
    )


def sales_of_customer(session: Session, customer_id: int, *, limit: int = 100) -> list[SaleRow]:
    """Purchases that a customer has bound, and free ones that one of their own identities paid; newest first."""
    paid_by = (
        select(Identity.id)
        .where(
            Identity.customer_id == customer_id,
            Identity.app_id == TerminalTransaction.payer_app_id,
            Identity.open_id == TerminalTransaction.payer_open_id,
        )
        .exists()
    )
    return _rows(
        session,
        TerminalTransaction.kind == "sale",
        or_(
            PurchaseClaim.customer_id == customer_id,
            and_(PurchaseClaim.customer_id.is_(None), TerminalTransaction.payer_app_id != "", paid_by),
        ),
        limit=limit,
    )


def search(session: Session, text: str, *, store_ids: Iterable[int] | None = None) -> list[SaleRow]:
    """Ledger rows by any number: ours, the platform's, RRN, batch/trace, claim code, amount in yuan, last 4 or more.

    ``store_ids``: the stores that the person may see; None: all of them.
    """
    typed = "".join(text.split())[:80]
    conditions = _by_number(typed)
    if not conditions:
        return []
    scope = [] if store_ids is None else [TerminalTransaction.store_id.in_(list(store_ids))]
    return _rows(session, or_(*conditions), *scope, limit=SEARCH_LIMIT)


def terminals_today(
    session: Session, business_date: date, *, store_ids: Iterable[int] | None = None
) -> list[TerminalToday]:
    """Every terminal in use with its last sign of life and the sales of a business date."""
    sales = (
        select(
            TerminalTransaction.terminal_id.label("terminal_id"),
            func.count().label("sales"),
            func.sum(TerminalTransaction.amount_fen).label("amount_fen"),
        )
        .where(TerminalTransaction.business_date == business_date, TerminalTransaction.kind == "sale")
        .group_by(TerminalTransaction.terminal_id)
        .subquery()
    )
    waiting = (
        select(Charge.terminal_id.label("terminal_id"), func.count().label("charges"))
        .where(Charge.state.in_(OPEN))
        .group_by(Charge.terminal_id)
        .subquery()
    )
    query = (
        select(Terminal, Store, sales.c.sales, sales.c.amount_fen, waiting.c.charges)
        .join(Store, Store.id == Terminal.store_id)
        .outerjoin(sales, sales.c.terminal_id == Terminal.id)
        .outerjoin(waiting, waiting.c.terminal_id == Terminal.id)
        .where(Terminal.is_disabled.is_(False))
        .order_by(Store.code, Terminal.code)
    )
    if store_ids is not None:
        query = query.where(Terminal.store_id.in_(list(store_ids)))
    return [
        TerminalToday(
            code=terminal.code,
            store_id=store.id,
            store_name=store.name,
            last_beat_at=terminal.last_beat_at,
            last_beat=terminal.last_beat or {},
            sales=count or 0,
            amount_fen=int(amount or 0),
            open_charges=charges or 0,
        )
        for terminal, store, count, amount, charges in session.execute(query)
    ]


def open_charges(session: Session, *, store_ids: Iterable[int] | None = None) -> list[ChargeRow]:
    """Charges whose outcome is not known yet, the oldest first."""
    query = (
        select(Charge, Terminal.code, Store.name)
        .join(Terminal, Terminal.id == Charge.terminal_id)
        .join(Store, Store.id == Terminal.store_id)
        .where(Charge.state.in_(OPEN))
        .order_by(Charge.begun_at, Charge.id)
        .limit(SEARCH_LIMIT)
    )
    if store_ids is not None:
        query = query.where(Terminal.store_id.in_(list(store_ids)))
    return [
        ChargeRow(
            id=charge.id,
            out_trade_no=charge.out_trade_no,
            terminal_code=terminal_code,
            store_name=store_name,
            platform=charge.platform,
            amount_fen=charge.amount_fen,
            state=charge.state,
            begun_at=charge.begun_at,
        )
        for charge, terminal_code, store_name in session.execute(query)
    ]


def _by_number(typed: str) -> list[ColumnElement[bool]]:
    table = TerminalTransaction
    conditions: list[ColumnElement[bool]] = []
    if len(typed) >= 4:
        numbers = (table.out_trade_no, table.out_refund_no, table.platform_trade_no, table.rrn)
        conditions += [column == typed for column in numbers]
        conditions += [column.endswith(typed, autoescape=True) for column in numbers]
    batch, slash, trace = typed.partition("/")
    if slash and batch and trace:
        conditions.append(and_(table.terminal_batch_no == batch, table.trace_no == trace))
    elif 1 <= len(typed) <= 12:
        conditions.append(table.trace_no == typed)
    code = codes.normal_claim_code(typed)
    if code:
        conditions.append(SlipCode.code == code)
    with suppress(NotAnAmount):
        conditions.append(table.amount_fen == parse_yuan(typed.lstrip("¥￥").replace(",", "")))
    return conditions


def _rows(session: Session, *conditions: ColumnElement[bool], limit: int = 100) -> list[SaleRow]:
    table = TerminalTransaction
    revoked = (
        select(TransactionState.id)
        .where(TransactionState.transaction_id == table.id, TransactionState.state == "revoked")
        .exists()
    )
    query = (
        select(
            table,
            Store.name,
            Company.name,
            Terminal.code,
            MerchantAccount.code,
            PurchaseBalance,
            PurchaseClaim.customer_id,
            SlipCode.code,
            revoked,
        )
        .join(Store, Store.id == table.store_id)
        .join(Company, Company.id == table.company_id)
        .join(Terminal, Terminal.id == table.terminal_id)
        .join(MerchantAccount, MerchantAccount.id == table.merchant_account_id)
        .outerjoin(PurchaseBalance, PurchaseBalance.transaction_id == table.id)
        .outerjoin(PurchaseClaim, PurchaseClaim.transaction_id == table.id)
        .outerjoin(SlipCode, SlipCode.transaction_id == table.id)
        .where(*conditions)
        .order_by(table.occurred_at.desc(), table.id.desc())
        .limit(limit)
    )
    return [_sale_row(*found) for found in session.execute(query)]


def _sale_row(
    row: TerminalTransaction,
    store: str,
    company: str,
    terminal: str,
    account: str,
    balance: PurchaseBalance | None,
    owner_id: int | None,
    claim_code: str | None,
    is_revoked: bool,
) -> SaleRow:
    return SaleRow(
        id=row.id,
        public_id=row.public_id,
        kind=row.kind,
        store_id=row.store_id,
        store_name=store,
        company_id=row.company_id,
        company_name=company,
        terminal_code=terminal,
        account_code=account,
        platform=row.platform,
        out_trade_no=row.out_trade_no,
        out_refund_no=row.out_refund_no,
        platform_trade_no=row.platform_trade_no,
        rrn=row.rrn,
        terminal_batch_no=row.terminal_batch_no,
        trace_no=row.trace_no,
        amount_fen=row.amount_fen,
        paid_fen=row.paid_fen,
        merchant_discount_fen=row.merchant_discount_fen,
        platform_discount_fen=row.platform_discount_fen,
        occurred_at=row.occurred_at,
        bill_date=row.bill_date,
        source=row.source,
        operator=row.operator,
        limit_fen=balance.limit_fen if balance else 0,
        claimed_fen=balance.claimed_fen if balance else 0,
        excess_fen=balance.excess_fen if balance else 0,
        is_revoked=bool(is_revoked),
        owner_id=owner_id,
        claim_code=claim_code or "",
    )
