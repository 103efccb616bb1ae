"""Reading for pages and the chat: plain frozen rows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session, joinedload, selectinload

from miniapp import db
from miniapp.core import files
from miniapp.core.clock import now
from miniapp.core.errors import Missing
from miniapp.core.models import AuditLine
from miniapp.customers.models import Identity
from miniapp.invoices import rules
from miniapp.invoices.models import AmountClaim, Delivery, Invoice, InvoicePurchase, InvoiceRequest
from miniapp.invoices.states import REQUEST
from miniapp.payments.models import (
    PurchaseBalance,
    PurchaseClaim,
    TerminalTransaction,
    TransactionState,
)
from miniapp.reconcile.queries import obstacle_to, proofs_of
from miniapp.stores.models import Company, Store
from miniapp.stores.policy import policy_of
from miniapp.titles.models import Title

OPEN = tuple(state for state in REQUEST.all if state not in REQUEST.ends)
PAGE = 20


@dataclass(frozen=True)
class PurchaseRow:
    """A sale of a customer as C2 shows it. ``obstacle`` is a message key, None: it can be picked."""

    public_id: str
    company: str
    company_name: str
    store_name: str
    terminal: str
    out_trade_no: str
    occurred_at: datetime
    paid_fen: int
    amount_fen: int
    merchant_discount_fen: int
    platform_discount_fen: int
    refunded_fen: int
    left_fen: int
    obstacle: str | None
    waits_for_bill: bool
    request: str | None = None


@dataclass(frozen=True)
class RequestRow:
    """A request in a list."""

    id: int
    public_id: str
    code: str
    state: str
    version: int
    confirm_code: str | None
    amount_fen: int
    store_name: str
    store_code: str
    company_code: str
    buyer_name: str
    asked_at: datetime
    changed_at: datetime
    waits_for: str
    invoice: str | None
    invoice_no: str | None


@dataclass(frozen=True)
class Step:
    """One line of a request's timeline."""

    state: str
    verb: str
    at: datetime
    who: str
    why: str


@dataclass(frozen=True)
class RequestView:
    """A request with its purchases, timeline and what is missing."""

    row: RequestRow
    buyer: dict[str, Any]
    purchases: tuple[PurchaseRow, ...]
    steps: tuple[Step, ...]
    missing_proof: str | None
    reason_key: str | None
    reason: str | None
    delivery: tuple[str, ...]
    is_title_changed: bool
    store_phone: str
    service_hours: str
    customer_id: int
    decided_by: str
    decided_at: datetime | None


@dataclass(frozen=True)
class DeliveryRow:
    """One way of delivery and its state."""

    way: str
    state: str
    detail: str
    changed_at: datetime


@dataclass(frozen=True)
class InvoiceView:
    """An invoice as its owner and the console see it. ``files``: role → SHA-256."""

    id: int
    public_id: str
    number: str
    state: str
    kind: str
    is_specimen: bool
    issued_at: datetime
    buyer: dict[str, Any]
    seller: dict[str, Any]
    lines: tuple[dict[str, Any], ...]
    total_fen: int
    net_fen: int
    tax_fen: int
    store_name: str
    store_id: int
    request: str
    request_code: str
    customer_id: int
    deliveries: tuple[DeliveryRow, ...]
    files: dict[str, str]
    out_trade_nos: tuple[str, ...]


def purchases(customer_id: int) -> list[PurchaseRow]:
    """Sales that a customer has claimed or paid under an own identity, newest first, by company."""
    with db.reading() as session:
        identities = (
            select(Identity.app_id, Identity.open_id).where(Identity.customer_id == customer_id).subquery()
        )
        mine = select(PurchaseClaim.transaction_id).where(PurchaseClaim.customer_id == customer_id)
        paid = (
            select(TerminalTransaction.id)
            .join(
                identities,
                and_(
                    TerminalTransaction.payer_app_id == identities.c.app_id,
                    TerminalTransaction.payer_open_id == identities.c.open_id,
                ),
            )
            .outerjoin(PurchaseClaim, PurchaseClaim.transaction_id == TerminalTransaction.id)
            .where(PurchaseClaim.transaction_id.is_(None))
        )
        condition = or_(TerminalTransaction.id.in_(mine), TerminalTransaction.id.in_(paid))
        return _purchases(session, condition)


def purchases_of_request(session: Session, sale_ids: Sequence[int]) -> list[PurchaseRow]:
    """The same rows for given sales."""
    return _purchases(session, TerminalTransaction.id.in_(sale_ids))


def requests_of(customer_id: int, *, page: int = 1) -> list[RequestRow]:
    """A customer's requests: open ones first, then the newest."""
    with db.reading() as session:
        query = (
            _request_query()
            .where(InvoiceRequest.customer_id == customer_id)
            .order_by(InvoiceRequest.state.in_(OPEN).desc(), InvoiceRequest.asked_at.desc())
            .offset((page - 1) * PAGE)
            .limit(PAGE)
        )
        return [_request_row(*row) for row in session.execute(query)]


def request(public_id: str, *, customer_id: int | None = None) -> RequestView:
    """One request by its public id or code; of this customer, where one is given. Raises Missing."""
    with db.reading() as session:
        query = _request_query().where(
            or_(InvoiceRequest.public_id == public_id, InvoiceRequest.code == public_id.upper())
        )
        if customer_id is not None:
            query = query.where(InvoiceRequest.customer_id == customer_id)
        found = session.execute(query).one_or_none()
        if found is None:
            raise Missing("core.not_found")
        return _request_view(session, *found)


def request_by_id(request_id: int) -> RequestView:
    """One request by our own id. Raises Missing."""
    with db.reading() as session:
        found = session.execute(_request_query().where(InvoiceRequest.id == request_id)).one_or_none()
        if found is None:
            raise Missing("core.not_found")
        return _request_view(session, *found)


def last_request(customer_id: int) -> RequestRow | None:
    """The request that a customer made last."""
    rows = requests_of(customer_id)
    return max(rows, key=lambda row: row.asked_at) if rows else None


def requests(
    *,
    scopes: Iterable[str],
    states: Sequence[str] = (),
    store: str = "",
    text: str = "",
    page: int = 1,
    size: int = 50,
) -> list[RequestRow]:
    """Requests for staff, within their scopes (``*``, ``company:…``, ``store:…``), newest first."""
    with db.reading() as session:
        query = _request_query().where(within(scopes))
        if states:
            query = query.where(InvoiceRequest.state.in_(states))
        if store:
            query = query.where(Store.code == store)
        if text:
            query = query.where(
                or_(
                    InvoiceRequest.code == text.upper(),
                    InvoiceRequest.confirm_code == text.upper(),
                    Invoice.number == text,
                )
            )
        query = query.order_by(InvoiceRequest.asked_at.desc()).offset((page - 1) * size).limit(size)
        return [_request_row(*row) for row in session.execute(query)]


def waiting_by_holder(scopes: Iterable[str]) -> dict[str, tuple[int, datetime | None]]:
    """For the board: who holds how many open requests, and since when the oldest."""
    with db.reading() as session:
        rows = session.execute(
            select(InvoiceRequest.state, func.count(), func.min(InvoiceRequest.changed_at))
            .join(Store, Store.id == InvoiceRequest.store_id)
            .join(Company, Company.id == InvoiceRequest.company_id)
            .where(InvoiceRequest.state.in_(OPEN), within(scopes))
            .group_by(InvoiceRequest.state)
        ).all()
    board: dict[str, tuple[int, datetime | None]] = {}
    for state, count, oldest in rows:
        holder = REQUEST.waits_for.get(state, "")
        before, since = board.get(holder, (0, None))
        board[holder] = (before + count, min(filter(None, (since, oldest)), default=None))
    return board


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


@dataclass(frozen=True)
class DeliveryFound:
    """A delivery by its own id."""

    id: int
    invoice_id: int
    way: str
    state: str


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


def within(scopes: Iterable[str]) -> Any:
    """The condition on Store and Company that a person's scopes mean."""
    scopes = set(scopes)
    if "*" in scopes:
        return Store.id.is_not(None)
    stores = [scope.partition(":")[2] for scope in scopes if scope.startswith("store:")]
    companies = [scope.partition(":")[2] for scope in scopes if scope.startswith("company:")]
    return or_(Store.code.in_(stores), Company.code.in_(companies))


def _purchases(session: Session, condition: Any) -> list[PurchaseRow]:
    revoked = (
        select(TransactionState.id)
        .where(TransactionState.transaction_id == TerminalTransaction.id, TransactionState.state == "revoked")
        .exists()
    )
    request_of = (
        select(InvoiceRequest.public_id)
        .join(AmountClaim, AmountClaim.request_id == InvoiceRequest.id)
        .where(AmountClaim.transaction_id == TerminalTransaction.id, AmountClaim.is_live)
        .limit(1)
        .scalar_subquery()
    )
    query = (
        select(TerminalTransaction, PurchaseBalance, revoked, request_of)
        .join(PurchaseBalance, PurchaseBalance.transaction_id == TerminalTransaction.id)
        .where(TerminalTransaction.kind == "sale", condition)
        .options(
            joinedload(TerminalTransaction.store),
            joinedload(TerminalTransaction.company),
            joinedload(TerminalTransaction.terminal),
            selectinload(TerminalTransaction.lines),
        )
        .order_by(TerminalTransaction.occurred_at.desc())
        .limit(200)
    )
    rows = session.execute(query).all()
    proofs = proofs_of(session, [sale.id for sale, *_ in rows])
    return [_purchase_row(*row, proofs[row[0].id]) for row in rows]


def _purchase_row(
    sale: TerminalTransaction, balance: PurchaseBalance, is_revoked: bool, request_of: str | None, proof: Any
) -> PurchaseRow:
    policy = policy_of(sale.store.policy, sale.store.default_line)
    has_lines = policy.default_line is not None or (
        bool(sale.lines) and all(line.tax_category_code and line.tax_rate for line in sale.lines)
    )
    facts = rules.Purchase(
        paid_fen=sale.paid_fen,
        limit_fen=balance.limit_fen,
        claimed_fen=balance.claimed_fen,
        excess_fen=balance.excess_fen,
        is_revoked=is_revoked,
        has_live_claim=request_of is not None,
        has_lines=has_lines,
        occurred_at=sale.occurred_at,
    )
    base_fen = sale.paid_fen + (
        sale.platform_discount_fen if policy.policy.platform_discount == "invoice" else 0
    )
    return PurchaseRow(
        public_id=sale.public_id,
        company=sale.company.code,
        company_name=sale.company.name,
        store_name=sale.store.name,
        terminal=sale.terminal.code,
        out_trade_no=sale.out_trade_no,
        occurred_at=sale.occurred_at,
        paid_fen=sale.paid_fen,
        amount_fen=sale.amount_fen,
        merchant_discount_fen=sale.merchant_discount_fen,
        platform_discount_fen=sale.platform_discount_fen,
        refunded_fen=max(0, base_fen - balance.limit_fen),
        left_fen=facts.left_fen,
        obstacle=rules.obstacle(facts, window=timedelta(days=policy.policy.window_days), moment=now()),
        waits_for_bill=obstacle_to(proof, policy.policy.invoice_after) is not None,
        request=request_of,
    )


def _request_query() -> Any:
    return (
        select(InvoiceRequest, Store, Company, Invoice)
        .join(Store, Store.id == InvoiceRequest.store_id)
        .join(Company, Company.id == InvoiceRequest.company_id)
        .outerjoin(Invoice, Invoice.request_id == InvoiceRequest.id)
    )


def _request_row(row: InvoiceRequest, store: Store, company: Company, issued: Invoice | None) -> RequestRow:
    return RequestRow(
        id=row.id,
        public_id=row.public_id,
        code=row.code,
        state=row.state,
        version=row.version,
        confirm_code=row.confirm_code,
        amount_fen=row.amount_fen,
        store_name=store.name,
        store_code=store.code,
        company_code=company.code,
        buyer_name=row.buyer.get("name", ""),
        asked_at=row.asked_at,
        changed_at=row.changed_at,
        waits_for=REQUEST.waits_for.get(row.state, ""),
        invoice=issued.public_id if issued else None,
        invoice_no=issued.number if issued else None,
    )


def _request_view(
    session: Session, row: InvoiceRequest, store: Store, company: Company, issued: Invoice | None
) -> RequestView:
    sale_ids = [purchase.transaction_id for purchase in row.purchases]
    missing = None
    if row.state == "waiting_reconciliation" and sale_ids:
        policy = policy_of(store.policy, store.default_line).policy
        missing = next(
            filter(
                None,
                (obstacle_to(proof, policy.invoice_after) for proof in proofs_of(session, sale_ids).values()),
            ),
            None,
        )
    return RequestView(
        row=_request_row(row, store, company, issued),
        buyer=row.buyer,
        purchases=tuple(purchases_of_request(session, sale_ids)),
        steps=tuple(_steps(session, row.id)),
        missing_proof=missing,
        reason_key=row.reason_key,
        reason=row.reason,
        delivery=tuple(row.delivery),
        is_title_changed=_is_title_changed(session, row),
        store_phone=store.phone,
        service_hours=store.service_hours,
        customer_id=row.customer_id,
        decided_by=row.decided_by.name if row.decided_by else "",
        decided_at=row.decided_at,
    )


def _is_title_changed(session: Session, row: InvoiceRequest) -> bool:
    changed_at = session.scalar(select(Title.changed_at).where(Title.id == row.title_id))
    return changed_at is not None and changed_at > row.asked_at


def _steps(session: Session, request_id: int) -> list[Step]:
    rows = session.scalars(
        select(AuditLine)
        .where(AuditLine.subject == "request", AuditLine.subject_id == request_id)
        .order_by(AuditLine.id)
    )
    return [Step(row.after or "", row.verb, row.at, row.who, row.why or "") for row in rows]


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
