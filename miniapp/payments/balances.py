"""What of a sale may be invoiced, what is claimed, what is claimed above the limit. All steps in the caller's transaction.

Excess is always ``max(0, claimed - limit)``: one UPDATE writes the three together, and the database checks it.
"""

from collections.abc import Iterable
from typing import Any, Protocol

from sqlalchemy import case, select, update
from sqlalchemy.orm import Session
from sqlalchemy.orm.util import identity_key

from miniapp.outbox import service as outbox
from miniapp.payments import rules
from miniapp.payments.events import LimitLowered
from miniapp.payments.models import (
    PurchaseBalance,
    RefundOrder,
    Tender,
    TerminalTransaction,
    TransactionState,
)
from miniapp.stores.models import Store


class Listener(Protocol):
    """Who holds claims on purchases. Set once, by ``wiring``."""

    def shrink(self, session: Session, sale_id: int, *, over_fen: int, cause: str) -> None:
        """Give back up to ``over_fen`` of claims that are not being issued yet, through ``release``."""

    def exceeded(self, session: Session, sale_id: int, *, excess_fen: int, cause: str) -> None:
        """More than the limit is issued or being issued: open the one task for a person."""


_listener: Listener | None = None


def listen(listener: Listener | None) -> None:
    """Who is told when a limit falls below what is claimed."""
    global _listener
    _listener = listener


def open(
    session: Session, sale: TerminalTransaction, parts: Iterable[rules.Part], *, platform_discount: str
) -> None:
    """The balance of a new sale, with its whole limit; the caller flushes. ``parts``: its tenders."""
    limit_fen = rules.invoiceable_fen(
        paid_fen=rules.own_money(parts),
        refunded_fen=0,
        platform_discount_fen=sale.platform_discount_fen,
        platform_discount=platform_discount,
    )
    session.add(PurchaseBalance(transaction_id=sale.id, limit_fen=limit_fen, claimed_fen=0, excess_fen=0))


def lock(session: Session, sale_id: int) -> PurchaseBalance:
    """The balance, locked until the transaction ends: what adds refunds to a sale takes it first."""
    return session.get_one(PurchaseBalance, sale_id, with_for_update=True, populate_existing=True)


def recompute(session: Session, sale_id: int, *, cause: str) -> int:
    """Work the limit out again after a refund, its refusal, a revocation or a correction; answers the limit in fen.

    ``cause``: refund | refund_asked | refund_refused | revoked | correction. Claims above the new limit are shrunk
    by the listener; what stays above it becomes excess, told in the same transaction.
    """
    balance = lock(session, sale_id)
    before_fen = balance.limit_fen
    limit_fen = _limit(session, session.get_one(TerminalTransaction, sale_id))
    if balance.claimed_fen > limit_fen:
        over_fen = balance.claimed_fen - limit_fen
        _told().shrink(session, sale_id, over_fen=over_fen, cause=cause)
        session.flush()
        session.refresh(balance)
    excess_fen = max(0, balance.claimed_fen - limit_fen)
    _write(session, sale_id, limit_fen=limit_fen, claimed_fen=balance.claimed_fen, excess_fen=excess_fen)
    if excess_fen:
        _told().exceeded(session, sale_id, excess_fen=excess_fen, cause=cause)
    if limit_fen < before_fen:
        outbox.announce(session, LimitLowered(transaction_id=sale_id, limit_fen=limit_fen))
    return limit_fen


def claim(session: Session, sale_id: int, amount_fen: int) -> bool:
    """Keep an amount for a request; False where the limit does not allow it, now or because of an excess."""
    return _one(
        session,
        sale_id,
        update(PurchaseBalance)
        .where(
            PurchaseBalance.transaction_id == sale_id,
            PurchaseBalance.excess_fen == 0,
            PurchaseBalance.claimed_fen + amount_fen <= PurchaseBalance.limit_fen,
        )
        .values(claimed_fen=PurchaseBalance.claimed_fen + amount_fen),
    )


def release(session: Session, sale_id: int, amount_fen: int) -> None:
    """Give an amount back: claimed and excess fall together. Raises ValueError when less is claimed."""
    left = PurchaseBalance.claimed_fen - amount_fen
    released = _one(
        session,
        sale_id,
        update(PurchaseBalance)
        .where(PurchaseBalance.transaction_id == sale_id, PurchaseBalance.claimed_fen >= amount_fen)
        .values(
            claimed_fen=left,
            excess_fen=case(
                (left > PurchaseBalance.limit_fen, left - PurchaseBalance.limit_fen),
                else_=0,
            ),
        ),
    )
    if not released:
        raise ValueError(f"less than {amount_fen} is claimed of sale {sale_id}")


def refunds_of(session: Session, sale_id: int) -> list[rules.GivenBack]:
    """Every refund that counts: recorded ones by their own tenders, and orders that are open or unknown."""
    recorded = session.scalars(
        select(TerminalTransaction).where(
            TerminalTransaction.original_id == sale_id, TerminalTransaction.kind == "refund"
        )
    ).all()
    parts = _parts(session, [row.id for row in recorded])
    given = [
        rules.GivenBack(row.amount_fen, rules.own_money(parts[row.id]) if parts[row.id] else None)
        for row in recorded
    ]
    asked = session.scalars(
        select(RefundOrder.refund_fen).where(
            RefundOrder.sale_id == sale_id, RefundOrder.state.not_in(("refunded", "failed"))
        )
    )
    return given + [rules.GivenBack(refund_fen, None) for refund_fen in asked]


def own_money_of(session: Session, sale: TerminalTransaction) -> int:
    """The customer's own money in a sale (or refund), by its tenders."""
    return rules.own_money(_parts(session, [sale.id])[sale.id])


def _limit(session: Session, sale: TerminalTransaction) -> int:
    revoked = session.scalar(
        select(TransactionState.id).where(
            TransactionState.transaction_id == sale.id, TransactionState.state == "revoked"
        )
    )
    if revoked is not None:
        return 0
    paid_fen = own_money_of(session, sale)
    refunded_fen = rules.refunded_own(
        paid_fen=paid_fen, amount_fen=sale.amount_fen, refunds=refunds_of(session, sale.id)
    )
    policy = session.get_one(Store, sale.store_id).policy
    return rules.invoiceable_fen(
        paid_fen=paid_fen,
        refunded_fen=refunded_fen,
        platform_discount_fen=sale.platform_discount_fen,
        platform_discount=rules.discount_mode(policy),
    )


def _parts(session: Session, ids: Iterable[int]) -> dict[int, list[rules.Part]]:
    parts: dict[int, list[rules.Part]] = {id_: [] for id_ in ids}
    for row in session.scalars(select(Tender).where(Tender.transaction_id.in_(list(parts)))):
        parts[row.transaction_id].append(rules.Part(row.kind, row.funder, row.amount_fen))
    return parts


def _write(session: Session, sale_id: int, *, limit_fen: int, claimed_fen: int, excess_fen: int) -> None:
    _one(
        session,
        sale_id,
        update(PurchaseBalance)
        .where(PurchaseBalance.transaction_id == sale_id)
        .values(limit_fen=limit_fen, claimed_fen=claimed_fen, excess_fen=excess_fen),
    )


def _one(session: Session, sale_id: int, statement: Any) -> bool:
    changed = session.execute(statement.execution_options(synchronize_session=False))
    seen = session.identity_map.get(identity_key(PurchaseBalance, sale_id))
    if seen is not None:
        session.expire(seen)
    return bool(changed.rowcount == 1)  # type: ignore[attr-defined]


def _told() -> Listener:
    if _listener is None:
        raise RuntimeError("balances.listen() has not been called")
    return _listener
