"""Give a customer's money back: the order is committed and counts as refunded, then the platform is asked.

What the platform refuses is given back to the limit; what it does not answer stays counted until it is known.
"""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from miniapp import db
from miniapp.core import audit, failpoints, files, tasks
from miniapp.core.clock import now
from miniapp.core.errors import Missing, Refused
from miniapp.core.text import say
from miniapp.outbox import service as outbox
from miniapp.outbox.jobs import Done, Later, NeverArrived, Outcome, Outside, Task
from miniapp.payments import balances, charging, entries, gateways, returns, steps
from miniapp.payments.entries import Differs
from miniapp.payments.gateways import Failed, NotFound, Refunded, Refunding
from miniapp.payments.models import RefundOrder, TerminalTransaction
from miniapp.payments.reports import Report
from miniapp.payments.rules import Part
from miniapp.payments.steps import Till
from miniapp.stores.models import MerchantAccount

WAIT_SECONDS = 2.4
LOOK_EVERY = 0.15
NOT_FOUND_PROVES_AFTER = timedelta(seconds=30)
"""A platform that does not know a refund so long after it was asked never got the call."""

OPEN = ("asked", "refunding", "unknown")


@dataclass(frozen=True)
class RefundAsked:
    """What a till asks for."""

    out_trade_no: str
    out_refund_no: str
    refund_fen: int
    reason: str = ""
    operator: str = ""


@dataclass(frozen=True)
class RefundView:
    """How a refund stands: ``state`` refunded | refunding | failed | unknown."""

    out_trade_no: str
    out_refund_no: str
    state: str
    refund_fen: int
    message: str

    @property
    def is_settled(self) -> bool:
        """Will nothing change any more?"""
        return self.state in ("refunded", "failed")


def refund(terminal_id: int, asked: RefundAsked, *, wait_seconds: float = WAIT_SECONDS) -> RefundView:
    """Ask for a refund once for a number, and answer how it stands after at most ``wait_seconds``.

    Raises Missing (no such sale in this till's store), Refused (more than is left, revoked, the number has other
    content, charged elsewhere). The same order again answers its state.
    """
    order_id = _begin(terminal_id, asked)
    with charging.waits() as may_wait:
        until = time.monotonic() + (wait_seconds if may_wait else 0)
        while True:
            found = _view(order_id)
            if found.is_settled or time.monotonic() + LOOK_EVERY > until:
                return found
            time.sleep(LOOK_EVERY)


def send(task: Task) -> Outcome:
    """Work: ask the platform for the refund. Its number is the same for ever, so a repeat moves no money twice."""
    order = _open(task.payload["refund_id"])
    if order is None:
        return Done()
    gateway = gateways.of(steps.settings_of(order.account_id))
    answer = gateway.refund(order.wire)
    failpoints.hit("refund.after_call")
    return settle(order.id, answer)


def ask(task: Task) -> Outcome:
    """Work: ask how the refund stands, in place of sending it again."""
    order = _open(task.payload["refund_id"])
    if order is None:
        return Done()
    gateway = gateways.of(steps.settings_of(order.account_id))
    answer = gateway.query_refund(order.wire.out_trade_no, order.wire.out_refund_no)
    if isinstance(answer, NotFound) and order.may_never_have_arrived:
        return NeverArrived("not found at the platform")
    return settle(order.id, answer)


SEND = Outside(call=send, query=ask, first_delay=timedelta(seconds=2))


@db.retried
def settle(order_id: int, answer: gateways.RefundAnswer) -> Outcome:
    """File what the platform said about a refund; the ledger row is written once, by the transaction that learns it."""
    evidence = files.write(answer.evidence) if isinstance(answer, Refunded) and answer.evidence else ""
    with db.transaction() as session:
        order = session.get_one(RefundOrder, order_id, with_for_update=True, populate_existing=True)
        if isinstance(answer, Refunded):
            return _refunded(session, order, answer, evidence)
        if isinstance(answer, Refunding):
            order.platform_refund_no = answer.platform_refund_no or order.platform_refund_no
            steps.move_refund(session, order, "accept")
            return Later("refunding", after=_pause(order), counts=False)
        if isinstance(answer, Failed) and answer.final:
            return _failed(session, order, answer)
        if isinstance(answer, Failed) and answer.alarm:
            order.message_key = answer.message_key
            _incident(session, order, answer.code)
        steps.move_refund(session, order, "lose_answer")
        return Later("unknown")


@dataclass(frozen=True)
class _Order:
    id: int
    account_id: int
    wire: gateways.RefundOrder
    was_accepted: bool
    asked_at: datetime

    @property
    def may_never_have_arrived(self) -> bool:
        """Never accepted, and long enough ago: the number may be sent again."""
        return not self.was_accepted and now() >= self.asked_at + NOT_FOUND_PROVES_AFTER


def _begin(terminal_id: int, asked: RefundAsked) -> int:
    try:
        return _begin_once(terminal_id, asked)
    except IntegrityError:
        return _begin_once(terminal_id, asked)  # somebody else's order of this number can be seen now


@db.retried
def _begin_once(terminal_id: int, asked: RefundAsked) -> int:
    with db.transaction() as session:
        till = steps.till_of(session, terminal_id)
        sale = _sale(session, till, asked.out_trade_no)
        balances.lock(session, sale.id)
        known = session.scalar(
            select(RefundOrder).where(
                RefundOrder.merchant_account_id == sale.merchant_account_id,
                RefundOrder.out_refund_no == asked.out_refund_no,
            )
        )
        if known is not None:
            if (known.sale_id, known.refund_fen) != (sale.id, asked.refund_fen):
                raise Refused("payments.refund_number_used")
            return known.id
        _check_may_refund(session, sale, asked)
        return _order(session, till, sale, asked)


def _sale(session: Session, till: Till, out_trade_no: str) -> TerminalTransaction:
    sale = session.scalar(
        select(TerminalTransaction).where(
            TerminalTransaction.out_trade_no == out_trade_no,
            TerminalTransaction.kind == "sale",
            TerminalTransaction.store_id == till.store_id,
            TerminalTransaction.merchant_account_id.in_(set(till.wallets.values())),
        )
    )
    if sale is None:
        raise Missing("payments.no_such_sale")
    return sale


def _check_may_refund(session: Session, sale: TerminalTransaction, asked: RefundAsked) -> None:
    reported = session.scalar(
        select(TerminalTransaction.id).where(
            TerminalTransaction.merchant_account_id == sale.merchant_account_id,
            TerminalTransaction.out_refund_no == asked.out_refund_no,
        )
    )
    if reported is not None:
        raise Refused("payments.refund_number_used")
    if session.get_one(MerchantAccount, sale.merchant_account_id).platform not in gateways.all_kinds():
        raise Refused("payments.refunded_elsewhere")
    if entries.is_revoked(session, sale.id):
        raise Refused("payments.revoked_already")
    if asked.refund_fen > entries.refundable_fen(session, sale):
        raise Refused("payments.over_refund")


def _order(session: Session, till: Till, sale: TerminalTransaction, asked: RefundAsked) -> int:
    order = RefundOrder(
        sale_id=sale.id,
        merchant_account_id=sale.merchant_account_id,
        terminal_id=till.id,
        out_refund_no=asked.out_refund_no,
        refund_fen=asked.refund_fen,
        reason=asked.reason,
        operator=asked.operator,
        state="asked",
        asked_at=now(),
    )
    session.add(order)
    session.flush()
    balances.recompute(session, sale.id, cause="refund_asked")
    outbox.put(session, "payments.refund", key=f"refund:{order.id}", refund_id=order.id)
    audit.note(session, "refund_order", order.id, "ask", by=f"terminal:{till.code}", after="asked")
    return order.id


def _open(order_id: int) -> _Order | None:
    with db.reading() as session:
        row = session.get_one(RefundOrder, order_id)
        if row.state not in OPEN:
            return None
        sale, till = row.sale, steps.till_of(session, row.terminal_id)
        wire = gateways.RefundOrder(
            out_trade_no=sale.out_trade_no,
            out_refund_no=row.out_refund_no,
            total_fen=sale.amount_fen,
            refund_fen=row.refund_fen,
            reason=row.reason,
            store=till.store_code,
            terminal=till.code,
            operator=row.operator,
        )
        was_accepted = row.state == "refunding" or bool(row.platform_refund_no)
        return _Order(row.id, row.merchant_account_id, wire, was_accepted, row.asked_at)


def _pause(order: RefundOrder) -> timedelta:
    return min(timedelta(minutes=10), max(timedelta(seconds=1), (now() - order.asked_at) / 4))


def _refunded(session: Session, order: RefundOrder, answer: Refunded, evidence: str) -> Outcome:
    if (answer.out_refund_no, answer.refund_fen) != (order.out_refund_no, order.refund_fen):
        _incident(session, order, "foreign_answer")
        steps.move_refund(session, order, "lose_answer")
        return Later("foreign_answer")
    if not steps.move_refund(session, order, "refunded"):
        return Done("settled already")
    till = steps.till_of(session, order.terminal_id)
    report = report_of(order.sale, answer, operator=order.operator)
    order.settled_at, order.platform_refund_no = now(), answer.platform_refund_no
    session.flush()
    try:
        row, _ = entries.enter_refund(session, till, report, order.sale, source="charged")
    except (Differs, Refused):
        session.add(returns.conflict(till, report, order.out_refund_no, failure_of=order.sale_id))
        _incident(session, order, "ledger_differs")
        return Done("conflict")
    order.transaction_id = row.id
    if evidence:
        files.keep(
            session,
            evidence,
            media_type="application/octet-stream",
            subject="terminal_transaction",
            subject_id=row.id,
            role="refund",
        )
    return Done()


def report_of(sale: TerminalTransaction, answer: Refunded, *, operator: str = "") -> Report:
    """A refund that a platform told of, as a row for the ledger."""
    parts = tuple(Part(part.kind, part.funder, part.amount_fen) for part in answer.tenders)
    if sum(part.amount_fen for part in parts) != answer.refund_fen:
        parts = ()
    return Report(
        kind="refund",
        platform=sale.platform,
        amount_fen=answer.refund_fen,
        occurred_at=answer.refunded_at or now(),
        out_trade_no=sale.out_trade_no,
        out_refund_no=answer.out_refund_no,
        platform_refund_no=answer.platform_refund_no,
        tenders=parts,
        operator=operator,
    )


def _failed(session: Session, order: RefundOrder, answer: Failed) -> Outcome:
    if steps.move_refund(session, order, "fail", why=answer.code):
        order.settled_at, order.message_key = now(), answer.message_key
        session.flush()
        balances.recompute(session, order.sale_id, cause="refund_refused")
        if answer.alarm:
            _incident(session, order, answer.code)
    return Done(answer.code)


def _incident(session: Session, order: RefundOrder, what: str) -> None:
    tasks.open_once(
        session,
        "incident",
        f"refund:{order.id}:{what}",
        store_id=order.sale.store_id,
        company_id=order.sale.company_id,
        what=what,
        number=order.out_refund_no,
        detail=order.message_key,
    )


def _view(order_id: int) -> RefundView:
    with db.reading() as session:
        row = session.get_one(RefundOrder, order_id)
        state = "refunding" if row.state == "asked" else row.state
        return RefundView(
            out_trade_no=row.sale.out_trade_no,
            out_refund_no=row.out_refund_no,
            state=state,
            refund_fen=row.refund_fen,
            message=say(row.message_key or f"payments.refund_{state}"),
        )
