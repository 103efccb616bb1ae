"""Ask for an invoice, let a waiting request go on, cancel it, let it expire."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from miniapp import db
from miniapp.core import codes, failpoints, tasks
from miniapp.core.clock import now
from miniapp.core.errors import Missing, Refused
from miniapp.core.money import show
from miniapp.invoices import rules, steps
from miniapp.invoices.models import AmountClaim, InvoiceRequest, RequestPurchase
from miniapp.invoices.states import BEFORE_ISSUING
from miniapp.outbox import service as outbox
from miniapp.payments import balances, claiming
from miniapp.payments.models import PurchaseBalance, TerminalTransaction
from miniapp.reconcile.queries import proofs_of
from miniapp.stores import service as stores
from miniapp.stores.models import Printer
from miniapp.titles import service as titles

AT_MOST = 50
WAYS = ("chat", "page", "printer")


@dataclass(frozen=True)
class Ask:
    """What a customer sends. ``expected_fen`` is the sum the page showed; ``form_key`` makes a double tap one request."""

    purchases: tuple[str, ...]
    title: str
    expected_fen: int
    form_key: str
    ways: tuple[str, ...] = ("chat", "page")


@db.retried
def ask(customer_id: int, app_id: str, form: Ask, *, origin: str = "") -> str:
    """One request over one or several purchases of one company; answers its public id. The same form again is the same.

    Raises Missing (not theirs), Refused (an obstacle, another company, another sum than shown). Nothing is half done.
    """
    with db.transaction() as session:
        known = _known(session, form, customer_id)
        if known is not None:
            return known
        sales = _sales(session, customer_id, form.purchases)
        locked = steps.lock_purchases(session, [sale.id for sale in sales])
        known = _known(session, form, customer_id)  # a tap of the same moment may have ended while we waited
        if known is not None:
            return known
        amounts = _amounts(session, sales, locked)
        _check_sum(sum(amounts.values()), form.expected_fen)
        title_id, buyer = titles.freeze(session, customer_id, form.title)
        request = _new(session, customer_id, app_id, form, sales, sum(amounts.values()))
        request.title_id, request.buyer = title_id, buyer
        _claim(session, request, customer_id, sales, amounts)
        failpoints.hit("claim.taken")
        _seek_proof(session, sales)
        if not steps.advance(session, request, by=f"customer:{customer_id}"):
            raise Refused("invoices.no_such_move", state=request.state, verb="ask")
        return request.public_id


@db.retried
def cancel(customer_id: int, public_id: str) -> None:
    """The customer takes the request back while nobody has approved it. Raises Missing, Refused."""
    with db.transaction() as session:
        request = steps.lock_whole(session, _of_customer(session, customer_id, public_id))
        if request.state == "cancelled":
            return
        if request.state not in BEFORE_ISSUING or request.state == "approved":
            raise Refused("invoices.too_late_to_cancel")
        steps.release_claims(session, request)
        steps.move(session, request, "cancel", by=f"customer:{customer_id}")


@db.retried
def reconsider(request_id: int) -> None:
    """Let a request that is not issuing yet go on, or back, by the proof that there is now."""
    with db.transaction() as session:
        request = steps.lock_whole(session, request_id)
        if request.state in BEFORE_ISSUING:
            steps.advance(session, request)


def touched_by(
    *,
    sale_ids: Sequence[int] = (),
    merchant_account_id: int | None = None,
    bill_date: str | None = None,
    company_id: int | None = None,
) -> list[int]:
    """Ids of requests, not issuing yet, over these sales, or over sales of this account or company and bill date."""
    sale = TerminalTransaction
    query = (
        select(InvoiceRequest.id)
        .distinct()
        .join(RequestPurchase, RequestPurchase.request_id == InvoiceRequest.id)
        .join(sale, sale.id == RequestPurchase.transaction_id)
        .where(InvoiceRequest.state.in_(BEFORE_ISSUING))
        .order_by(InvoiceRequest.id)
    )
    if sale_ids:
        query = query.where(sale.id.in_(sale_ids))
    if merchant_account_id is not None:
        query = query.where(sale.merchant_account_id == merchant_account_id)
    if company_id is not None:
        query = query.where(sale.company_id == company_id)
    if bill_date is not None:
        query = query.where(sale.bill_date == date.fromisoformat(bill_date))
    with db.reading() as session:
        return list(session.scalars(query))


def expire_due(*, after: timedelta) -> int:
    """Expire requests that have waited for a cashier too long; answers how many."""
    with db.reading() as session:
        due = session.scalars(
            select(InvoiceRequest.id).where(
                InvoiceRequest.state == "awaiting_confirmation", InvoiceRequest.confirm_since < now() - after
            )
        ).all()
    return sum(_expire(request_id, after=after) for request_id in due)


def ask_a_person(customer_id: int, purchase: str, *, why: str) -> None:
    """A purchase that self-service refuses goes to the store's people, with a deadline. Raises Missing."""
    with db.transaction() as session:
        sale = _sales(session, customer_id, (purchase,))[0]
        tasks.open_once(
            session,
            "late_request",
            f"sale:{sale.id}:customer:{customer_id}",
            store_id=sale.store_id,
            company_id=sale.company_id,
            out_trade_no=sale.out_trade_no,
            why=why,
        )


@db.retried
def _expire(request_id: int, *, after: timedelta) -> int:
    with db.transaction() as session:
        request = steps.lock_whole(session, request_id)
        since = request.confirm_since
        if request.state != "awaiting_confirmation" or since is None or since >= now() - after:
            return 0
        steps.release_claims(session, request)
        steps.move(session, request, "expire")
        return 1


def _sales(session: Session, customer_id: int, public_ids: Sequence[str]) -> list[TerminalTransaction]:
    if not public_ids or len(public_ids) > AT_MOST or len(set(public_ids)) != len(public_ids):
        raise Refused("invoices.pick_purchases", limit=AT_MOST)
    found = {
        sale.public_id: sale
        for sale in session.scalars(
            select(TerminalTransaction).where(
                TerminalTransaction.public_id.in_(public_ids), TerminalTransaction.kind == "sale"
            )
        )
    }
    sales = [found[one] for one in public_ids if one in found]
    if len(sales) != len(public_ids) or any(not _is_theirs(session, customer_id, sale) for sale in sales):
        raise Missing("core.not_found")
    if len({sale.company_id for sale in sales}) > 1:
        raise Refused("invoices.one_company")
    return sales


def _is_theirs(session: Session, customer_id: int, sale: TerminalTransaction) -> bool:
    """Bound already, or nobody's yet and paid by them: a free purchase is bound by slip or code first."""
    owner = claiming.owner_of(session, sale)
    return owner == customer_id if owner is not None else claiming.is_payer(session, customer_id, sale)


def _amounts(
    session: Session, sales: Sequence[TerminalTransaction], locked: dict[int, PurchaseBalance]
) -> dict[int, int]:
    """What is left of each sale, its balance locked. Raises Refused with the first obstacle."""
    amounts = {}
    for sale in sales:
        purchase = steps.facts(session, sale, locked[sale.id])
        key = rules.obstacle(purchase, window=steps.window_of(session, sale.store_id), moment=now())
        if key is not None:
            raise Refused(key)
        amounts[sale.id] = purchase.left_fen
    return amounts


def _check_sum(amount_fen: int, expected_fen: int) -> None:
    if amount_fen != expected_fen:
        raise Refused("invoices.amount_changed", before=show(expected_fen), now=show(amount_fen))


def _new(
    session: Session,
    customer_id: int,
    app_id: str,
    form: Ask,
    sales: Sequence[TerminalTransaction],
    amount_fen: int,
) -> InvoiceRequest:
    first = sales[0]
    ways = [way for way in WAYS if way in form.ways] or ["page"]
    request = InvoiceRequest(
        public_id=codes.public_id(),
        code=codes.short_code(6),
        form_key=form.form_key,
        customer_id=customer_id,
        app_id=app_id,
        company_id=first.company_id,
        store_id=first.store_id,
        state="draft",
        version=1,
        approvals=0,
        amount_fen=amount_fen,
        kind="ordinary",
        delivery=ways,
        printer_id=_printer(session, first.store_id) if "printer" in ways else None,
        asked_at=now(),
        changed_at=now(),
        buyer={},
    )
    session.add(request)
    return request


def _printer(session: Session, store_id: int) -> int:
    found = session.scalar(
        select(Printer.id)
        .where(Printer.store_id == store_id, Printer.is_disabled.is_(False))
        .order_by(Printer.id)
        .limit(1)
    )
    if found is None:
        raise Refused("invoices.no_printer")
    return found


def _claim(
    session: Session,
    request: InvoiceRequest,
    customer_id: int,
    sales: Sequence[TerminalTransaction],
    amounts: dict[int, int],
) -> None:
    session.flush()
    for sale in sales:
        amount_fen = amounts[sale.id]
        if not balances.claim(session, sale.id, amount_fen):
            raise Refused("invoices.obstacle.asked")
        session.add(
            AmountClaim(
                transaction_id=sale.id,
                part="all",
                amount_fen=amount_fen,
                request_id=request.id,
                is_live=True,
                taken_at=now(),
            )
        )
        request.purchases.append(RequestPurchase(transaction_id=sale.id, amount_fen=amount_fen))
        if not claiming.bind(session, sale.id, customer_id, "payer"):
            raise Missing("core.not_found")
    session.flush()


def _seek_proof(session: Session, sales: Sequence[TerminalTransaction]) -> None:
    """Where the store takes an order query's word and the bill is not here yet, record the work of asking."""
    proofs = proofs_of(session, [sale.id for sale in sales])
    for sale in sales:
        policy = stores.policy(session, sale.store_id).policy
        if policy.order_query and policy.invoice_after == "vouched" and proofs[sale.id].kind is None:
            outbox.put(
                session, "payments.vouch", key=f"ask:{sale.id}:{codes.serial()}", transaction_id=sale.id
            )


def _of_customer(session: Session, customer_id: int, public_id: str) -> int:
    found = session.scalar(
        select(InvoiceRequest.id).where(
            or_(InvoiceRequest.public_id == public_id, InvoiceRequest.code == public_id),
            InvoiceRequest.customer_id == customer_id,
        )
    )
    if found is None:
        raise Missing("core.not_found")
    return found


def _known(session: Session, form: Ask, customer_id: int) -> str | None:
    """The request that this form has made already."""
    request = session.scalar(select(InvoiceRequest).where(InvoiceRequest.form_key == form.form_key))
    if request is not None and request.customer_id != customer_id:
        raise Missing("core.not_found")
    return request.public_id if request is not None else None
