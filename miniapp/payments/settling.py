"""What an answer of a platform means for a charge: one place for the call's, the query's and the cancel's answers.

Nothing is guessed: what is not understood leaves the charge open, to be asked about again.
"""

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from miniapp import db
from miniapp.core import files, tasks
from miniapp.core.clock import now
from miniapp.core.models import Task
from miniapp.outbox import service as outbox
from miniapp.payments import entries, gateways, returns, steps
from miniapp.payments.entries import Differs
from miniapp.payments.events import ChargeUnknown
from miniapp.payments.gateways import Cancelled, Closed, Failed, NotFound, PartlyRefunded, Revoked, Waiting
from miniapp.payments.models import Charge, TerminalTransaction
from miniapp.payments.reports import Line, Report
from miniapp.payments.rules import Part
from miniapp.stores.models import MerchantAccount

FINAL_AFTER = timedelta(seconds=50)
"""From the first call on: what is still open then is told as unknown."""

CALL_LASTS = timedelta(seconds=12)
"""No call takes longer; one that is older without an end died with its process."""

NOT_FOUND_PROVES_AFTER = timedelta(seconds=30)
"""A platform that does not know the number so long after the call's end never got the call."""

OPEN = ("calling", "paying", "unknown", "cancelling")


@db.retried
def settle_call(charge_id: int, answer: gateways.ChargeAnswer) -> None:
    """File the answer of the one call with the code."""
    evidence = _written(answer)
    with db.transaction() as session:
        charge = _lock(session, charge_id)
        charge.call_ended_at = charge.call_ended_at or now()
        if isinstance(answer, gateways.Paid):
            _paid(session, charge, answer, evidence)
        elif isinstance(answer, Waiting):
            steps.move_charge(session, charge, "wait")
        elif isinstance(answer, Failed) and answer.final:
            _ended(session, charge, "fail", answer.message_key, code=answer.code)
            if answer.alarm:
                _incident(session, charge, "settings_refused", answer.code)
        elif isinstance(answer, gateways.Unknown) and not answer.sent:
            _ended(session, charge, "fail", "payments.not_sent", code=answer.reason)
        else:
            _lost(session, charge, answer.code)


@db.retried
def settle_query(
    charge_id: int, answer: gateways.QueryAnswer, *, cancel: gateways.CancelAnswer | None
) -> None:
    """File what a query found; ``cancel``: what the cancel just before it answered, None where there was none."""
    evidence = _written(answer)
    with db.transaction() as session:
        charge = _lock(session, charge_id)
        if isinstance(cancel, Cancelled) and charge.cancel_action != "refund":
            charge.cancel_action = cancel.action
        if isinstance(answer, PartlyRefunded):
            answer = answer.payment
        if isinstance(answer, gateways.Paid):
            _paid(session, charge, answer, evidence)
        elif isinstance(answer, Waiting):
            if charge.state != "cancelling":
                steps.move_charge(session, charge, "wait")
        elif isinstance(answer, Revoked | Closed):
            _closed(session, charge)
        elif isinstance(answer, NotFound):
            _not_found(session, charge, cancel)
        elif isinstance(answer, Failed):
            charge.message_key, charge.answer_code = answer.message_key, answer.code[:64]
            if answer.final:
                _ended(session, charge, "fail", answer.message_key, code=answer.code)


@db.retried
def lose_call(charge_id: int) -> None:
    """The call's process died with it: from now on only queries tell."""
    with db.transaction() as session:
        charge = _lock(session, charge_id)
        if charge.state == "calling" and charge.begun_at + CALL_LASTS < now():
            steps.move_charge(session, charge, "lose_answer", why="call_died")


@db.retried
def begin_cancel(charge_id: int) -> bool:
    """Commit the intention to cancel before the cancel goes out. False: settled meanwhile."""
    with db.transaction() as session:
        charge = _lock(session, charge_id)
        return charge.state == "cancelling" or steps.move_charge(session, charge, "begin_cancel")


@db.retried
def tell_unknown(charge_id: int) -> None:
    """The time is up and the outcome still open: a person sees it until it is settled."""
    with db.transaction() as session:
        charge = _lock(session, charge_id)
        if charge.state not in OPEN:
            return
        steps.move_charge(session, charge, "lose_answer", why="deadline")
        if _task(session, charge) is None:
            till = steps.till_of(session, charge.terminal_id)
            tasks.open_once(
                session,
                "unknown_charge",
                str(charge.id),
                store_id=till.store_id,
                company_id=till.company_at(charge.begun_at),
                out_trade_no=charge.out_trade_no,
                amount_fen=charge.amount_fen,
                terminal=till.code,
            )
            outbox.announce(session, ChargeUnknown(charge_id=charge.id))


def call_end(charge: Charge) -> datetime:
    """When the call ended, or must have."""
    return charge.call_ended_at or charge.begun_at + CALL_LASTS


def _paid(session: Session, charge: Charge, paid: gateways.Paid, evidence: str) -> None:
    account = session.get_one(MerchantAccount, charge.merchant_account_id)
    wrong = gateways.disagreements(
        paid,
        merchant_no=account.merchant_no,
        out_trade_no=charge.out_trade_no,
        amount_fen=charge.amount_fen,
    )
    if wrong:
        _incident(session, charge, "foreign_answer", "、".join(wrong))
        _lost(session, charge, "foreign_answer")
        return
    if charge.state in ("failed", "cancelled"):
        _incident(session, charge, "paid_after_end", charge.state)
        return
    if steps.move_charge(session, charge, "paid"):
        _record(session, charge, _report(charge, paid), evidence)
        _settled(session, charge)


def _closed(session: Session, charge: Charge) -> None:
    """Nothing is left of it: cancelled. If our cancel gave money back, it was paid, and the ledger says both."""
    before = charge.state
    if not steps.move_charge(session, charge, "cancelled"):
        return
    if charge.cancel_action == "refund":
        report = Report(
            kind="sale",
            platform=charge.platform,
            amount_fen=charge.amount_fen,
            occurred_at=charge.begun_at,
            out_trade_no=charge.out_trade_no,
            lines=_lines(charge),
            operator=charge.operator,
        )
        _record(session, charge, report, "")
        _revoke(session, charge)
    charge.message_key = "payments.charge_cancelled" if before == "cancelling" else "payments.charge_closed"
    _settled(session, charge)


def _not_found(session: Session, charge: Charge, cancel: gateways.CancelAnswer | None) -> None:
    """Proves something only after the deadline, when the cancel was answered too and the call is long over."""
    if charge.state != "cancelling" or now() < call_end(charge) + NOT_FOUND_PROVES_AFTER:
        return
    if isinstance(cancel, Cancelled):
        _closed(session, charge)
    elif isinstance(cancel, NotFound):
        _ended(session, charge, "fail", "payments.never_arrived")


def _ended(session: Session, charge: Charge, verb: str, message_key: str, *, code: str = "") -> None:
    if steps.move_charge(session, charge, verb, why=code):
        charge.message_key, charge.answer_code = message_key, code[:64]
        _settled(session, charge)


def _lost(session: Session, charge: Charge, code: str) -> None:
    if charge.state == "calling":
        steps.move_charge(session, charge, "lose_answer", why=code)
    charge.answer_code = code[:64]


def _settled(session: Session, charge: Charge) -> None:
    charge.settled_at = now()
    task = _task(session, charge)
    if task is not None:
        tasks.close(session, task.id, by="system", outcome=charge.state)


def _record(session: Session, charge: Charge, report: Report, evidence: str) -> None:
    till = steps.till_of(session, charge.terminal_id)
    try:
        sale, _ = returns.record_sale(session, till, report, source="charged")
    except Differs as differs:
        session.add(returns.conflict(till, report, differs.number, failure_of=differs.transaction_id))
        _incident(session, charge, "ledger_differs", differs.number)
        charge.transaction_id = differs.transaction_id
        return
    charge.transaction_id = sale.id
    if evidence:
        files.keep(
            session,
            evidence,
            media_type="application/octet-stream",
            subject="terminal_transaction",
            subject_id=sale.id,
            role="payment",
        )


def _revoke(session: Session, charge: Charge) -> None:
    if charge.transaction_id is not None:
        sale = session.get_one(TerminalTransaction, charge.transaction_id)
        entries.revoke(session, sale, source="charged", at=now())


def _report(charge: Charge, paid: gateways.Paid) -> Report:
    parts = tuple(Part(part.kind, part.funder, part.amount_fen) for part in paid.tenders)
    if sum(part.amount_fen for part in parts) != charge.amount_fen:
        parts = ()
    return Report(
        kind="sale",
        platform=charge.platform,
        amount_fen=charge.amount_fen,
        occurred_at=paid.paid_at or now(),
        out_trade_no=charge.out_trade_no,
        platform_trade_no=paid.platform_trade_no,
        tenders=parts,
        payer_app_id=paid.payer.app_id if paid.payer else "",
        payer_open_id=paid.payer.open_id if paid.payer else "",
        lines=_lines(charge),
        operator=charge.operator,
    )


def _lines(charge: Charge) -> tuple[Line, ...]:
    return tuple(Line(**line) for line in charge.lines)


def _incident(session: Session, charge: Charge, what: str, detail: str) -> None:
    till = steps.till_of(session, charge.terminal_id)
    tasks.open_once(
        session,
        "incident",
        f"charge:{charge.id}:{what}",
        store_id=till.store_id,
        company_id=till.company_at(charge.begun_at),
        what=what,
        number=charge.out_trade_no,
        detail=detail,
    )


def _task(session: Session, charge: Charge) -> Task | None:
    return session.scalar(
        select(Task).where(Task.kind == "unknown_charge", Task.key == str(charge.id), Task.state == "open")
    )


def _lock(session: Session, charge_id: int) -> Charge:
    return session.get_one(Charge, charge_id, with_for_update=True, populate_existing=True)


def _written(answer: object) -> str:
    """Keep the bytes that prove a payment, before the row that names them."""
    evidence = getattr(answer, "evidence", b"")
    proves = isinstance(answer, gateways.Paid | PartlyRefunded)
    return files.write(evidence) if proves and evidence else ""
