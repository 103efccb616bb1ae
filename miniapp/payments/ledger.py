"""What a terminal reports enters the ledger, row by row; one bad row refuses itself."""

from collections.abc import Sequence

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from miniapp import db
from miniapp.core.errors import Failure
from miniapp.core.text import say
from miniapp.payments import returns, steps
from miniapp.payments.entries import Differs
from miniapp.payments.entries import listen as listen
from miniapp.payments.reports import Report, Result
from miniapp.payments.steps import Till

ROWS_A_TRANSACTION = 100


def record_report(terminal_id: int, rows: Sequence[Report]) -> list[Result]:
    """Record what a terminal reports, in its order; each row has its own savepoint. Raises Missing (no such terminal).

    A row is ``recorded``, ``known`` (the same report before), ``conflict`` (its number has other content, kept for a
    person) or ``refused`` (a rule says no). Safe to repeat as a whole.
    """
    results: list[Result] = []
    for start in range(0, len(rows), ROWS_A_TRANSACTION):
        results += _record_some(terminal_id, rows[start : start + ROWS_A_TRANSACTION])
    return results


@db.retried
def _record_some(terminal_id: int, rows: Sequence[Report]) -> list[Result]:
    with db.transaction() as session:
        till = steps.till_of(session, terminal_id)
        return [_record_one(session, till, report) for report in rows]


def _record_one(session: Session, till: Till, report: Report) -> Result:
    number = report.out_trade_no
    try:
        return _entered(session, till, report)
    except IntegrityError:
        # Somebody recorded the same number between our look and our write: now it can be seen.
        return _record_one_more(session, till, report)
    except Differs as differs:
        session.add(returns.conflict(till, report, differs.number, failure_of=differs.transaction_id))
        session.flush()
        return Result(number, "conflict", say("payments.conflict"))
    except Failure as failure:
        return Result(number, "refused", failure.message)


def _record_one_more(session: Session, till: Till, report: Report) -> Result:
    try:
        return _entered(session, till, report)
    except (IntegrityError, Differs) as error:
        known = error.transaction_id if isinstance(error, Differs) else None
        session.add(returns.conflict(till, report, report.out_trade_no, failure_of=known))
        session.flush()
        return Result(report.out_trade_no, "conflict", say("payments.conflict"))
    except Failure as failure:
        return Result(report.out_trade_no, "refused", failure.message)


def _entered(session: Session, till: Till, report: Report) -> Result:
    with session.begin_nested():
        if report.kind == "sale":
            sale, is_new = returns.record_sale(session, till, report, source="reported")
            return _result(sale.out_trade_no, is_new, sale.id, is_sale=True)
        row_id, is_new = returns.enter_return(session, till, report)
        return _result(report.out_trade_no, is_new, row_id, is_sale=False)


def _result(number: str, is_new: bool, row_id: int | None, *, is_sale: bool) -> Result:
    if is_new:
        return Result(number, "recorded", say("payments.recorded"), row_id, is_sale)
    return Result(number, "known", say("payments.known"), row_id, is_sale)
