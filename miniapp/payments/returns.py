"""Refunds and revocations that a terminal reports: which sale they take back, and what waits for its sale.

All steps in the caller's transaction.
"""

from collections.abc import Iterator

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.orm import Session

from miniapp.core import tasks
from miniapp.core.clock import now
from miniapp.core.errors import Refused
from miniapp.core.models import Task
from miniapp.payments import entries
from miniapp.payments.entries import Differs
from miniapp.payments.models import Conflict, TerminalTransaction, WaitingReturn
from miniapp.payments.reports import Report
from miniapp.payments.steps import Till, till_of
from miniapp.stores.models import MerchantAccount


def record_sale(
    session: Session, till: Till, report: Report, *, source: str
) -> tuple[TerminalTransaction, bool]:
    """Record a sale and count what waited for it; answers (row, is it new). Raises Differs, Refused."""
    sale, is_new = entries.enter_sale(session, till, report, source=source)
    if is_new:
        take_waiting(session, sale)
    return sale, is_new


def enter_return(session: Session, till: Till, report: Report) -> tuple[int | None, bool]:
    """Record a refund or revocation; answers (ledger row or None while it waits, is it new).

    Raises Differs, Refused.
    """
    account_id = till.account(report.platform)
    sales = sales_named(session, till, account_id, report)
    if not sales:
        _wait_for_sales(session, account_id)
        sales = sales_named(session, till, account_id, report)
    if len(sales) == 1:
        return _count(session, till, report, sales[0])
    return None, _keep(session, till, account_id, report, is_ambiguous=bool(sales))


def take_waiting(session: Session, sale: TerminalTransaction) -> None:
    """The sale is here now: count what waited for it, in this transaction."""
    waiting = session.scalars(
        select(WaitingReturn)
        .where(
            WaitingReturn.merchant_account_id == sale.merchant_account_id, WaitingReturn.found_at.is_(None)
        )
        .order_by(WaitingReturn.id)
    ).all()
    for row in waiting:
        report = Report.of(row.report)
        till = till_of(session, row.terminal_id)
        sales = sales_named(session, till, row.merchant_account_id, report)
        if [found.id for found in sales] != [sale.id]:
            continue
        try:
            with session.begin_nested():
                _count(session, till, report, sale)
        except (Refused, Differs):
            number = row.key
            session.add(conflict(till, report, number, failure_of=sale.id))
            continue
        row.found_at = now()
        _close_task(session, row)


def sales_named(session: Session, till: Till, account_id: int, report: Report) -> list[TerminalTransaction]:
    """The sales that a return may mean, by the best number that it gives; several: none of the numbers decides."""
    found: list[TerminalTransaction] = []
    for condition in _conditions(till, report):
        found = list(
            session.scalars(
                select(TerminalTransaction)
                .where(
                    TerminalTransaction.merchant_account_id == account_id,
                    TerminalTransaction.kind == "sale",
                    condition,
                )
                .limit(20)
            )
        )
        here = [sale for sale in found if sale.terminal_id == till.id]
        if len(found) > 1 and len(here) == 1:
            return here
        if len(found) == 1:
            return found
    return found


def conflict(till: Till, report: Report, number: str, *, failure_of: int | None) -> Conflict:
    """The row that keeps a refused report for a person."""
    return Conflict(
        terminal_id=till.id,
        transaction_id=failure_of,
        number=number[:80],
        report=report.content,
        at=now(),
    )


def _wait_for_sales(session: Session, account_id: int) -> None:
    """Neither a sale that is being recorded just now nor the return may miss the other.

    Every sale holds its account by its foreign key until it ends, so this waits for those that have begun; those that
    begin later wait for us, and then find what waits for them.
    """
    session.get_one(MerchantAccount, account_id, with_for_update=True)


def _conditions(till: Till, report: Report) -> Iterator[ColumnElement[bool]]:
    table, original = TerminalTransaction, report.original
    if original.out_trade_no:
        yield table.out_trade_no == original.out_trade_no
    if original.platform_trade_no:
        yield table.platform_trade_no == original.platform_trade_no
    day = table.bill_date == original.occurred_on if original.occurred_on else table.id.is_not(None)
    if original.terminal_batch_no and original.trace_no:
        yield and_(
            table.store_id == till.store_id,
            table.terminal_batch_no == original.terminal_batch_no,
            table.trace_no == original.trace_no,
            day,
        )
    if original.rrn:
        yield and_(table.store_id == till.store_id, table.rrn == original.rrn, day)
    if report.out_trade_no:
        yield table.out_trade_no == report.out_trade_no


def _count(
    session: Session, till: Till, report: Report, sale: TerminalTransaction
) -> tuple[int | None, bool]:
    if report.kind == "refund":
        row, is_new = entries.enter_refund(session, till, report, sale)
        return row.id, is_new
    if report.amount_fen != sale.amount_fen:
        raise Refused("payments.revocation_is_for_the_whole")
    return sale.id, entries.revoke(session, sale, source="reported", at=report.occurred_at)


def _keep(session: Session, till: Till, account_id: int, report: Report, *, is_ambiguous: bool) -> bool:
    key = report.out_refund_no or entries.refund_number(till, report)
    known = session.scalar(
        select(WaitingReturn).where(
            WaitingReturn.merchant_account_id == account_id,
            WaitingReturn.kind == report.kind,
            WaitingReturn.key == key,
        )
    )
    if known is not None:
        if known.fingerprint != report.fingerprint:
            raise Differs(None, key)
        return False
    content = report.content
    session.add(
        WaitingReturn(
            terminal_id=till.id,
            merchant_account_id=account_id,
            kind=report.kind,
            key=key,
            fingerprint=report.fingerprint,
            original=content["original"],
            report=content,
            recorded_at=now(),
        )
    )
    session.flush()
    tasks.open_once(
        session,
        "orphan_refund",
        _task_key(account_id, report.kind, key),
        store_id=till.store_id,
        company_id=till.company_at(report.occurred_at),
        number=key,
        amount_fen=report.amount_fen,
        what=report.kind,
        is_ambiguous=is_ambiguous,
    )
    return True


def _close_task(session: Session, row: WaitingReturn) -> None:
    key = _task_key(row.merchant_account_id, row.kind, row.key)
    task = session.scalar(
        select(Task).where(Task.kind == "orphan_refund", Task.key == key, Task.state == "open")
    )
    if task is not None:
        tasks.close(session, task.id, by="system", outcome="sale_recorded")


def _task_key(account_id: int, kind: str, key: str) -> str:
    return f"{account_id}:{kind}:{key}"
