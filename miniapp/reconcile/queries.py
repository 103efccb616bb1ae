"""Reading: is a purchase reconciled? One indexed statement, asked before every decision about an invoice."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Row, Select, Table, and_, bindparam, select
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
        for row in session.execute(_OF_IDS, {"ids": ids[start : start + CHUNK]}):
            found[row.id] = proof_in(row)
    return found


def with_proof(sales: Select[Any]) -> Select[Any]:
    """A statement over the ledger's table, with what ``proof_in`` decides from: a list then needs no second one."""
    blocking = (
        select(_difference.c.state)
        .where(_difference.c.transaction_id == _sale.c.id, _difference.c.is_blocking)
        .order_by(_difference.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    last_vouch = (
        select(_vouch.c.id)
        .where(_vouch.c.transaction_id == _sale.c.id)
        .order_by(_vouch.c.id.desc())
        .limit(1)
        .correlate(_sale)
        .scalar_subquery()
    )
    deciding = and_(
        _batch.c.merchant_account_id == _sale.c.merchant_account_id,
        _batch.c.bill_date == _sale.c.bill_date,
        _batch.c.state == "done",
        _batch.c.is_superseded.is_(False),
    )
    day = and_(_day.c.company_id == _sale.c.company_id, _day.c.bill_date == _sale.c.bill_date)
    return (
        sales.add_columns(
            _batch.c.done_at,
            blocking.label("difference"),
            _vouch.c.at.label("vouched_at"),
            _vouch.c.is_good.label("vouch_is_good"),
            _day.c.closed_at.is_not(None).label("is_day_closed"),
        )
        .outerjoin(_batch, deciding)
        .outerjoin(_day, day)
        .outerjoin(_vouch, _vouch.c.id == last_vouch)
    )


def proof_in(row: Row[tuple[object, ...]]) -> Proof:
    """The proof in a row of a statement that was made ``with_proof``."""
    return proof.decide(
        batch_done_at=row.done_at,
        difference=row.difference,
        vouched_at=row.vouched_at,
        vouch_is_good=row.vouch_is_good,
        is_closed=row.is_day_closed,
    )


def _table(model: Any) -> Table:
    found: Table = model.__table__
    return found


_sale, _vouch = _table(TerminalTransaction), _table(Vouch)
_batch, _day, _difference = _table(Batch), _table(Day), _table(Difference)
_OF_IDS = with_proof(select(_sale.c.id).where(_sale.c.id.in_(bindparam("ids", expanding=True))))
"""Made once: it is asked at every look at a purchase."""
