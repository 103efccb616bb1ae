"""Reading for pages and the chat: plain frozen rows."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session, joinedload, selectinload

from miniapp import db
from miniapp.core.clock import now
from miniapp.core.errors import Missing
from miniapp.core.models import AuditLine
from miniapp.customers.models import Identity
from miniapp.invoices import rules
from miniapp.invoices.issued import delivery as delivery
from miniapp.invoices.issued import invoice as invoice
from miniapp.invoices.issued import invoice_by_id as invoice_by_id
from miniapp.invoices.issued import invoices as invoices
from miniapp.invoices.issued import invoices_of as invoices_of
from miniapp.invoices.issued import within as within
from miniapp.invoices.models import AmountClaim, Invoice, InvoiceRequest
from miniapp.invoices.rows import DeliveryFound as DeliveryFound
from miniapp.invoices.rows import DeliveryRow as DeliveryRow
from miniapp.invoices.rows import InvoiceView as InvoiceView
from miniapp.invoices.rows import PurchaseRow as PurchaseRow
from miniapp.invoices.rows import RequestRow as RequestRow
from miniapp.invoices.rows import RequestView as RequestView
from miniapp.invoices.rows import Step as Step
from miniapp.invoices.states import REQUEST
from miniapp.payments.models import (
    PurchaseBalance,
    PurchaseClaim,
    TerminalTransaction,
    TransactionState,
)
from miniapp.reconcile.queries import Proof, obstacle_to, proofs_of
from miniapp.stores.models import Company, Store
from miniapp.stores.policy import policy_of
from miniapp.titles.models import Title

OPEN = tuple(state for state in REQUEST.all if state not in REQUEST.ends)
PAGE = 20


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


def _purchases(session: Session, condition: Any) -> list[PurchaseRow]:
    revoked = (
        select(TransactionState.id)
        .where(TransactionState.transaction_id == TerminalTransaction.id, TransactionState.state == "revoked")
        .exists()
    )
    live_request = (
        select(InvoiceRequest.public_id)
        .join(AmountClaim, AmountClaim.request_id == InvoiceRequest.id)
        .where(AmountClaim.transaction_id == TerminalTransaction.id, AmountClaim.is_live)
        .limit(1)
        .scalar_subquery()
    )
    query = (
        select(TerminalTransaction, PurchaseBalance, revoked, live_request)
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
    return [
        _purchase_row(sale, balance, is_revoked, request_of, proofs[sale.id])
        for sale, balance, is_revoked, request_of in rows
    ]


def _purchase_row(
    sale: TerminalTransaction,
    balance: PurchaseBalance,
    is_revoked: bool,
    request_of: str | None,
    proof: Proof,
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
