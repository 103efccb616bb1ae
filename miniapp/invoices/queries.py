"""Reading for pages and the chat: plain frozen rows."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from miniapp import db
from miniapp.core.errors import Missing
from miniapp.core.models import AuditLine
from miniapp.invoices.issued import delivery as delivery
from miniapp.invoices.issued import invoice as invoice
from miniapp.invoices.issued import invoice_by_id as invoice_by_id
from miniapp.invoices.issued import invoices as invoices
from miniapp.invoices.issued import invoices_of as invoices_of
from miniapp.invoices.issued import within as within
from miniapp.invoices.models import Invoice, InvoiceRequest
from miniapp.invoices.purchases import purchases as purchases
from miniapp.invoices.purchases import purchases_of_request as purchases_of_request
from miniapp.invoices.rows import DeliveryFound as DeliveryFound
from miniapp.invoices.rows import DeliveryRow as DeliveryRow
from miniapp.invoices.rows import InvoiceView as InvoiceView
from miniapp.invoices.rows import PurchaseRow as PurchaseRow
from miniapp.invoices.rows import RequestRow as RequestRow
from miniapp.invoices.rows import RequestView as RequestView
from miniapp.invoices.rows import Step as Step
from miniapp.invoices.states import REQUEST
from miniapp.reconcile.queries import obstacle_to, proofs_of
from miniapp.stores.models import Company, Store
from miniapp.stores.policy import policy_of
from miniapp.titles.models import Title

OPEN = tuple(state for state in REQUEST.all if state not in REQUEST.ends)
PAGE = 20


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
    """Does the title in the book say something else by now? The request keeps what it was asked with."""
    title = session.get(Title, row.title_id) if row.title_id is not None else None
    names = ("type", "name", "taxpayer_no", "address", "phone", "bank", "remark")
    return title is not None and any(getattr(title, name) != row.buyer.get(name, "") for name in names)


def _steps(session: Session, request_id: int) -> list[Step]:
    rows = session.scalars(
        select(AuditLine)
        .where(AuditLine.subject == "request", AuditLine.subject_id == request_id)
        .order_by(AuditLine.id)
    )
    return [Step(row.after or "", row.verb, row.at, row.who, row.why or "") for row in rows]
