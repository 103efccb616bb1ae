"""Pieces that verbs share, each inside the caller's transaction; the first is hung on the ledger."""

from collections.abc import Sequence
from datetime import date, timedelta

from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from miniapp.core.clock import now
from miniapp.outbox import service as outbox
from miniapp.payments.models import TerminalTransaction
from miniapp.reconcile.models import Batch, Difference
from miniapp.reconcile.states import LIVE
from miniapp.stores.models import MerchantAccount

RERUN_DELAY = timedelta(seconds=5)


def on_recorded(session: Session, transaction: TerminalTransaction) -> None:
    """A row has entered the ledger in this transaction. Safe to call twice for the same row.

    If its day has been read already the row is late: a ``ledger_only`` difference stands against it from now on and
    a re-run is queued. Otherwise the run that is to come waits for this transaction before it reads.
    """
    batches = lock_batches(session, transaction.merchant_account_id, transaction.bill_date, to_run=False)
    batch = deciding(batches)
    if batch is None:
        return
    difference = live_difference(session, transaction)
    if difference is None:
        session.add(_late(transaction, batch))
    elif difference.transaction_id is None:
        # The bill listed it before the terminal did: the re-run finds both sides.
        difference.transaction_id = transaction.id
        difference.ledger_fen = transaction.amount_fen
        difference.store_id = transaction.store_id
        difference.is_late = True
        difference.changed_at = now()
        queue_rerun(
            session, difference.merchant_account_id, difference.bill_date, mark=f"row:{transaction.id}"
        )
    # One re-run for all rows that are late to the same reading: a terminal often brings several at once.
    mark = f"read:{_instant(batch)}"
    queue_rerun(session, batch.merchant_account_id, batch.bill_date, mark=mark, delay=RERUN_DELAY)


def on_state_changed(session: Session, transaction: TerminalTransaction) -> None:
    """A row of the ledger was revoked in this transaction: if its day has been read, read it again."""
    batches = lock_batches(session, transaction.merchant_account_id, transaction.bill_date, to_run=False)
    if deciding(batches) is not None:
        queue_rerun(
            session, transaction.merchant_account_id, transaction.bill_date, mark=f"state:{transaction.id}"
        )


def lock_batches(
    session: Session, merchant_account_id: int, bill_date: date, *, to_run: bool
) -> Sequence[Batch]:
    """All versions of a day, oldest first, locked: FOR UPDATE to run, else FOR SHARE. Version 1 is made if absent."""
    query = (
        select(Batch)
        .where(Batch.merchant_account_id == merchant_account_id, Batch.bill_date == bill_date)
        .order_by(Batch.version)
        .execution_options(populate_existing=True)
    )
    lock = query.with_for_update(read=not to_run)
    found = session.scalars(lock).all()
    if not found:
        _make_first(session, merchant_account_id, bill_date)
        found = session.scalars(lock).all()
    if found[-1].is_superseded:
        # We waited for a run that made a newer version, which our statement could not see yet.
        found = session.scalars(query).all()
    return found


def deciding(batches: Sequence[Batch]) -> Batch | None:
    """The version that is done and counts, if there is one."""
    return next((one for one in batches if one.state == "done" and not one.is_superseded), None)


def deciding_batch(session: Session, merchant_account_id: int, bill_date: date) -> Batch | None:
    """The same, read without a lock."""
    return session.scalar(
        select(Batch).where(
            Batch.merchant_account_id == merchant_account_id,
            Batch.bill_date == bill_date,
            Batch.state == "done",
            Batch.is_superseded.is_(False),
        )
    )


def newest_batch(session: Session, merchant_account_id: int, bill_date: date) -> Batch | None:
    """The newest version of a day, done or not, read without a lock."""
    return session.scalar(
        select(Batch)
        .where(Batch.merchant_account_id == merchant_account_id, Batch.bill_date == bill_date)
        .order_by(Batch.version.desc())
        .limit(1)
    )


def first_days(session: Session) -> dict[int, date]:
    """Company → the first bill date that it has a batch of: with its first transaction reconciling begins."""
    query = select(Batch.company_id, func.min(Batch.bill_date)).group_by(Batch.company_id)
    return dict(session.execute(query).all())


def live_difference(session: Session, transaction: TerminalTransaction) -> Difference | None:
    """The open or carried-over difference about a row's number."""
    return session.scalar(
        select(Difference).where(
            Difference.merchant_account_id == transaction.merchant_account_id,
            Difference.kind == transaction.kind,
            Difference.out_trade_no == transaction.out_trade_no,
            Difference.out_refund_no == transaction.out_refund_no,
            Difference.state.in_(LIVE),
        )
    )


def queue_rerun(
    session: Session,
    merchant_account_id: int,
    bill_date: date,
    *,
    mark: str,
    delay: timedelta = timedelta(),
) -> None:
    """Record that a day must be run again; one work for each mark."""
    outbox.put(
        session,
        "reconcile.run",
        key=f"{merchant_account_id}:{bill_date}:{mark}",
        delay=delay,
        merchant_account_id=merchant_account_id,
        bill_date=bill_date.isoformat(),
    )


def _make_first(session: Session, merchant_account_id: int, bill_date: date) -> None:
    company_id = session.scalar(
        select(MerchantAccount.company_id).where(MerchantAccount.id == merchant_account_id)
    )
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    session.execute(
        dialect.insert(Batch)
        .values(
            merchant_account_id=merchant_account_id,
            company_id=company_id,
            bill_date=bill_date,
            version=1,
            state="open",
            is_superseded=False,
            is_empty_day=False,
            totals={},
            made_at=now(),
        )
        .on_conflict_do_nothing(index_elements=["merchant_account_id", "bill_date", "version"])
    )


def _late(transaction: TerminalTransaction, batch: Batch) -> Difference:
    moment = now()
    return Difference(
        batch_id=batch.id,
        merchant_account_id=batch.merchant_account_id,
        company_id=batch.company_id,
        store_id=transaction.store_id,
        platform=transaction.platform,
        bill_date=batch.bill_date,
        since=batch.bill_date,
        kind=transaction.kind,
        out_trade_no=transaction.out_trade_no,
        out_refund_no=transaction.out_refund_no,
        reasons=["ledger_only"],
        ledger_fen=transaction.amount_fen,
        transaction_id=transaction.id,
        state="open",
        is_late=True,
        found_at=moment,
        changed_at=moment,
    )


def _instant(batch: Batch) -> str:
    return batch.read_at.isoformat() if batch.read_at else ""
