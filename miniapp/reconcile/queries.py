"""Reading: is a purchase reconciled? One indexed statement, asked before every decision about an invoice."""

from collections.abc import Iterable

from sqlalchemy import Select, and_, select
from sqlalchemy.orm import Session

from miniapp.payments.models import TerminalTransaction, Vouch
from miniapp.reconcile import proof
from miniapp.reconcile.models import Batch, Day, Difference
from miniapp.reconcile.proof import Proof as Proof
from miniapp.reconcile.proof import obstacle_to as obstacle_to
from miniapp.reconcile.proof import satisfies as satisfies

CHUNK = 500


def proof_of(session: Session, sale_id: int) -> Proof:
    """The proof of one sale of the ledger. Raises LookupError for an id that is not there."""
    found = proofs_of(session, [sale_id])
    if sale_id not in found:
        raise LookupError(sale_id)
    return found[sale_id]


def proofs_of(session: Session, sale_ids: Iterable[int]) -> dict[int, Proof]:
    """The proofs of many sales, by id; one statement for each 500. Unknown ids are left out."""
    ids, found = list(sale_ids), {}
    for start in range(0, len(ids), CHUNK):
        for row in session.execute(_facts(ids[start : start + CHUNK])):
            found[row.id] = proof.decide(
                batch_done_at=row.done_at,
                difference=row.difference,
                vouched_at=row.vouched_at,
                vouch_is_good=row.is_good,
                is_closed=row.is_closed,
            )
    return found


def _facts(ids: list[int]) -> Select[tuple[int, object, object, object, object, object]]:
    sale = TerminalTransaction
    blocking = (
        select(Difference.state)
        .where(Difference.transaction_id == sale.id, Difference.is_blocking)
        .order_by(Difference.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    last_vouch = (
        select(Vouch.id)
        .where(Vouch.transaction_id == sale.id)
        .order_by(Vouch.id.desc())
        .limit(1)
        .correlate(sale)
        .scalar_subquery()
    )
    deciding = and_(
        Batch.merchant_account_id == sale.merchant_account_id,
        Batch.bill_date == sale.bill_date,
        Batch.state == "done",
        Batch.is_superseded.is_(False),
    )
    day = and_(Day.company_id == sale.company_id, Day.bill_date == sale.bill_date)
    return (
        select(
            sale.id,
            Batch.done_at,
            blocking.label("difference"),
            Vouch.at.label("vouched_at"),
            Vouch.is_good,
            Day.closed_at.is_not(None).label("is_closed"),
        )
        .outerjoin(Batch, deciding)
        .outerjoin(Day, day)
        .outerjoin(Vouch, Vouch.id == last_vouch)
        .where(sale.id.in_(ids))
    )
