"""Pieces that the verbs share, each inside the caller's transaction."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from miniapp.core import audit, codes, tasks
from miniapp.core.clock import now
from miniapp.core.errors import Missing, Refused
from miniapp.core.money import show
from miniapp.invoices import rules
from miniapp.invoices.events import ConfirmationNeeded, RequestChanged
from miniapp.invoices.models import (
    AmountClaim,
    ConfirmCode,
    Invoice,
    InvoicePurchase,
    InvoiceRequest,
    RequestPurchase,
)
from miniapp.invoices.states import BEFORE_ISSUING, REQUEST
from miniapp.outbox import service as outbox
from miniapp.payments import balances
from miniapp.payments.models import PurchaseBalance, TerminalTransaction, TransactionState
from miniapp.reconcile.queries import obstacle_to, proofs_of
from miniapp.stores import service as stores

CONFIRM_LENGTH = 3
CORRECTIONS = frozenset({"correction", "difference"})


def lock(session: Session, request_id: int) -> InvoiceRequest:
    """The request, locked until the transaction ends. Raises Missing."""
    request = session.scalar(
        select(InvoiceRequest)
        .where(InvoiceRequest.id == request_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if request is None:
        raise Missing("core.not_found")
    return request


def lock_whole(session: Session, request_id: int) -> InvoiceRequest:
    """The request with the balances of its purchases, locked: balances first, as a refund does, so none waits in a ring."""
    sale_ids = session.scalars(
        select(RequestPurchase.transaction_id).where(RequestPurchase.request_id == request_id)
    ).all()
    lock_purchases(session, sale_ids)
    return lock(session, request_id)


def lock_purchases(session: Session, sale_ids: Sequence[int]) -> dict[int, PurchaseBalance]:
    """The balances of sales, locked in the order of their ids so that two requests never wait for each other."""
    rows = session.scalars(
        select(PurchaseBalance)
        .where(PurchaseBalance.transaction_id.in_(sale_ids))
        .order_by(PurchaseBalance.transaction_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return {row.transaction_id: row for row in rows}


def move(
    session: Session,
    request: InvoiceRequest,
    verb: str,
    *,
    by: str = audit.SYSTEM,
    why: str | None = None,
    origin: str = "",
) -> None:
    """Take the request along its table: the row changes only from the state that we saw, with its audit line.

    Raises Refused when the table has no such move or another transaction was faster.
    """
    before = request.state
    after = REQUEST.next(before, verb)
    if after is None:
        raise Refused("invoices.no_such_move", state=before, verb=verb)
    session.flush()
    changed = session.execute(
        update(InvoiceRequest)
        .where(InvoiceRequest.id == request.id, InvoiceRequest.state == before)
        .values(state=after, changed_at=now())
        .execution_options(synchronize_session=False)
    ).rowcount  # type: ignore[attr-defined]
    if changed != 1:
        raise Refused("invoices.moved_meanwhile")
    session.refresh(request, ["state", "changed_at"])
    audit.note(
        session,
        "request",
        request.id,
        verb,
        by=by,
        before=before,
        after=after,
        why=why,
        origin=origin,
        company_id=request.company_id,
    )
    outbox.announce(session, RequestChanged(request.id, after, verb))


def advance(session: Session, request: InvoiceRequest, *, by: str = audit.SYSTEM) -> bool:
    """Let the request go on, or back, as its proof and its store's policy want; answers whether it moved."""
    policy = stores.policy(session, request.store_id).policy
    verb = rules.next_verb(
        is_proved=missing_proof(session, request) is None,
        asks_cashier=policy.asks_cashier(request.amount_fen),
        is_approved=request.approved_version == request.version,
        state=request.state,
    )
    if verb is None:
        return False
    if verb == "ask_cashier":
        give_confirm_code(session, request)
    move(session, request, verb, by=by)
    if verb == "ask_cashier":
        outbox.announce(session, ConfirmationNeeded(request.id, request.version))
    elif verb == "approve_at_once":
        hand_over(session, request)
    return True


def missing_proof(session: Session, request: InvoiceRequest) -> str | None:
    """The message key of the first proof that a purchase of the request lacks; None: all are reconciled."""
    proofs = proofs_of(session, [purchase.transaction_id for purchase in request.purchases])
    for purchase in request.purchases:
        policy = stores.policy(session, purchase.transaction.store_id).policy
        missing = obstacle_to(proofs[purchase.transaction_id], policy.invoice_after)
        if missing:
            return missing
    return None


def hand_over(session: Session, request: InvoiceRequest) -> None:
    """Record the work of issuing an approved request, in the transaction that approves it."""
    request.approvals += 1
    request.approved_version = request.version
    outbox.put(session, "invoices.issue", key=f"{request.id}:{request.approvals}", request_id=request.id)


def give_confirm_code(session: Session, request: InvoiceRequest) -> None:
    """A fresh code for (request, version); codes of requests that wait are unlike each other."""
    for _ in range(200):
        code = codes.short_code(CONFIRM_LENGTH)
        taken = session.scalar(
            select(InvoiceRequest.id).where(
                InvoiceRequest.confirm_code == code, InvoiceRequest.state == "awaiting_confirmation"
            )
        )
        if taken is None:
            request.confirm_code, request.confirm_since = code, now()
            session.add(ConfirmCode(code=code, request_id=request.id, version=request.version, at=now()))
            return
    raise Refused("invoices.no_code_free")


def release_claims(session: Session, request: InvoiceRequest) -> None:
    """Free every amount that the request holds."""
    for claim in _live_claims(session, request_id=request.id):
        claim.is_live, claim.released_at = False, now()
        session.flush()
        balances.release(session, claim.transaction_id, claim.amount_fen)


def facts(session: Session, sale: TerminalTransaction, balance: PurchaseBalance) -> rules.Purchase:
    """What the rules need to know of a sale."""
    revoked = session.scalar(
        select(TransactionState.id).where(
            TransactionState.transaction_id == sale.id, TransactionState.state == "revoked"
        )
    )
    live = session.scalar(
        select(AmountClaim.id).where(AmountClaim.transaction_id == sale.id, AmountClaim.is_live).limit(1)
    )
    return rules.Purchase(
        paid_fen=sale.paid_fen,
        limit_fen=balance.limit_fen,
        claimed_fen=balance.claimed_fen,
        excess_fen=balance.excess_fen,
        is_revoked=revoked is not None,
        has_live_claim=live is not None,
        has_lines=has_tax_lines(session, sale),
        lines_fen=sum(line.amount_fen for line in sale.lines) if sale.lines else None,
        amount_fen=sale.amount_fen,
        occurred_at=sale.occurred_at,
    )


def has_tax_lines(session: Session, sale: TerminalTransaction) -> bool:
    """Does every line carry a code and rate, from the report or from the store's default line?"""
    if stores.policy(session, sale.store_id).default_line is not None:
        return True
    return bool(sale.lines) and all(line.tax_category_code and line.tax_rate for line in sale.lines)


def window_of(session: Session, store_id: int) -> timedelta:
    """For how long customers serve themselves in this store; zero: for ever."""
    return timedelta(days=stores.policy(session, store_id).policy.window_days)


class ClaimKeeper:
    """What happens to requests when a purchase's limit falls: the listener that ``payments.balances`` calls."""

    def shrink(self, session: Session, sale_id: int, *, over_fen: int, cause: str) -> None:
        """Take ``over_fen`` from claims of requests that are not issuing yet, the newest first."""
        claims = [
            claim
            for claim in _live_claims(session, sale_id=sale_id)
            if lock(session, claim.request_id).state in BEFORE_ISSUING
        ]
        cuts = rules.cut(((claim.id, claim.amount_fen) for claim in claims), over_fen=over_fen)
        for claim in claims:
            if claim.id in cuts:
                _cut_claim(session, claim, cuts[claim.id], cause=cause)

    def exceeded(self, session: Session, sale_id: int, *, excess_fen: int, cause: str) -> None:
        """More is issued, or being issued, than may be: one open task for a person."""
        sale = session.get_one(TerminalTransaction, sale_id)
        number = session.scalar(
            select(Invoice.number)
            .join(InvoicePurchase, InvoicePurchase.invoice_id == Invoice.id)
            .where(InvoicePurchase.transaction_id == sale_id)
            .order_by(Invoice.id.desc())
            .limit(1)
        )
        tasks.open_once(
            session,
            "check_invoice" if cause in CORRECTIONS else "reversal",
            f"sale:{sale_id}",
            store_id=sale.store_id,
            company_id=sale.company_id,
            excess=show(excess_fen),
            out_trade_no=sale.out_trade_no,
            invoice_no=number or "",
        )


def _cut_claim(session: Session, claim: AmountClaim, cut_fen: int, *, cause: str) -> None:
    request = claim.request
    purchase = next(row for row in request.purchases if row.transaction_id == claim.transaction_id)
    if cut_fen == claim.amount_fen:
        claim.is_live, claim.released_at = False, now()
        request.purchases.remove(purchase)
        session.delete(purchase)
    else:
        claim.amount_fen -= cut_fen
        purchase.amount_fen -= cut_fen
    request.amount_fen -= cut_fen
    request.version += 1
    session.flush()
    balances.release(session, claim.transaction_id, cut_fen)
    _after_cut(session, request, cause=cause)


def _after_cut(session: Session, request: InvoiceRequest, *, cause: str) -> None:
    if request.amount_fen == 0:
        release_claims(session, request)
        request.reason_key = "invoices.reason.nothing_left"
        move(session, request, "nothing_left", why=cause)
        return
    policy = stores.policy(session, request.store_id).policy
    if request.state == "awaiting_confirmation":
        give_confirm_code(session, request)
        move(session, request, "change_amount", why=cause)
        outbox.announce(session, ConfirmationNeeded(request.id, request.version))
    elif request.state == "approved" and policy.asks_cashier(request.amount_fen):
        give_confirm_code(session, request)
        move(session, request, "ask_cashier", why=cause)
        outbox.announce(session, ConfirmationNeeded(request.id, request.version))
    else:
        if request.state == "approved":
            request.approved_version = request.version
        audit.note(
            session, "request", request.id, "shrink", before=request.state, after=request.state, why=cause
        )


def _live_claims(
    session: Session, *, request_id: int | None = None, sale_id: int | None = None
) -> list[AmountClaim]:
    query = select(AmountClaim).where(AmountClaim.is_live).order_by(AmountClaim.id.desc())
    if request_id is not None:
        query = query.where(AmountClaim.request_id == request_id)
    if sale_id is not None:
        query = query.where(AmountClaim.transaction_id == sale_id)
    return list(session.scalars(query.execution_options(populate_existing=True)))


def purchase_rows(session: Session, request_id: int) -> list[RequestPurchase]:
    """The purchases of a request as they are now."""
    return list(
        session.scalars(
            select(RequestPurchase)
            .where(RequestPurchase.request_id == request_id)
            .order_by(RequestPurchase.id)
        )
    )
