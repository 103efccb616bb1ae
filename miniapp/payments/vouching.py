"""Ask the platform about a sale, so that it need not wait for tomorrow's bill. What it says is kept as evidence.

Only "paid, this account, this number, this amount" vouches; refunds that the question finds are recorded first.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from miniapp import db
from miniapp.core import codes, files
from miniapp.core.clock import now
from miniapp.core.errors import Missing, Refused
from miniapp.outbox import service as outbox
from miniapp.outbox.jobs import Done, Later, Outcome, Outside, Task
from miniapp.payments import entries, gateways, refunding, returns, steps
from miniapp.payments.entries import Differs
from miniapp.payments.events import Vouched
from miniapp.payments.gateways import Failed, Gateway, NotFound, Paid, PartlyRefunded, Refunded, Refunding
from miniapp.payments.models import RefundOrder, TerminalTransaction, Vouch

NOT_FOUND_PROVES_AFTER = timedelta(minutes=10)
"""A platform that does not know the number of a sale so young may know it a moment later: it is asked again."""


@dataclass(frozen=True)
class _Sale:
    """What is asked about."""

    id: int
    account_id: int
    out_trade_no: str
    amount_fen: int
    refund_numbers: tuple[str, ...]
    recorded_at: datetime


@dataclass
class _Found:
    """What the questions found: ``answer`` in a word, the refunds that happened, the bytes that say so."""

    is_good: bool
    answer: str
    evidence: bytes = b""
    refunds: list[Refunded] = field(default_factory=list)
    is_revoked: bool = False
    is_silent: bool = False
    is_early: bool = False


def vouch(transaction_id: int) -> bool:
    """Ask the platform about a sale and keep what it says; True where that proves the payment. Raises Missing.

    Where it does not answer, the proof is gone until it does: the work of asking again is recorded with that.
    """
    return _vouch(transaction_id, ask_again=True).is_good


def look(task: Task) -> Outcome:
    """Work: vouch for a sale; comes back while the platform does not answer."""
    found = _vouch(task.payload["transaction_id"])
    return Later(found.answer) if found.is_silent or found.is_early else Done(found.answer)


def look_again(task: Task) -> Outcome:
    """The same question again: a question changes nothing at the platform."""
    return look(task)


VOUCH = Outside(call=look, query=look_again, max_attempts=20, first_delay=timedelta(seconds=2))


def _vouch(transaction_id: int, *, ask_again: bool = False) -> _Found:
    sale, settings = _read(transaction_id)
    found = _ask(gateways.of(settings), settings, sale)
    digest = files.write(found.evidence) if found.evidence else ""
    _record(sale.id, found, digest, ask_again=ask_again and (found.is_silent or found.is_early))
    return found


def _ask(gateway: Gateway, settings: gateways.MerchantSettings, sale: _Sale) -> _Found:
    answer = gateway.query(sale.out_trade_no)
    paid = answer.payment if isinstance(answer, PartlyRefunded) else answer
    evidence: bytes = getattr(answer, "evidence", b"")
    if not isinstance(paid, Paid):
        return _Found(
            False,
            type(answer).__name__.lower(),
            evidence,
            is_revoked=isinstance(answer, gateways.Revoked),
            is_silent=isinstance(answer, gateways.Unknown),
            is_early=isinstance(answer, NotFound) and now() < sale.recorded_at + NOT_FOUND_PROVES_AFTER,
        )
    wrong = gateways.disagreements(
        paid,
        merchant_no=settings.merchant_no,
        out_trade_no=sale.out_trade_no,
        amount_fen=sale.amount_fen,
    )
    if wrong:
        return _Found(False, "differs:" + ",".join(wrong), evidence)
    found = _Found(True, paid.state.lower(), evidence)
    if gateway.hides_partial_refunds or isinstance(answer, PartlyRefunded):
        refunds = _refunds(gateway, sale)
        _judge(refunds, sale, found, must_find=isinstance(answer, PartlyRefunded))
    return found


def _refunds(gateway: Gateway, sale: _Sale) -> dict[str, gateways.RefundAnswer] | gateways.Unknown:
    """Every refund that the platform lists, and every number that we know besides."""
    listed = gateway.refunds_of(sale.out_trade_no)
    if isinstance(listed, gateways.Unknown):
        return listed
    unlisted = [number for number in sale.refund_numbers if number not in listed]
    return listed | {number: gateway.query_refund(sale.out_trade_no, number) for number in unlisted}


def _judge(
    refunds: dict[str, gateways.RefundAnswer] | gateways.Unknown,
    sale: _Sale,
    found: _Found,
    *,
    must_find: bool,
) -> None:
    """What happened is recorded, then the rest is vouched for; what nobody can tell vouches for nothing.

    ``must_find``: the platform says that there are refunds.
    """
    answers = {} if isinstance(refunds, gateways.Unknown) else refunds
    found.refunds = [answer for answer in answers.values() if isinstance(answer, Refunded)]
    unclear = [
        number
        for number, answer in answers.items()
        if isinstance(answer, gateways.Unknown)
        or (number not in sale.refund_numbers and not isinstance(answer, Refunded | Failed | NotFound))
    ]
    if unclear or isinstance(refunds, gateways.Unknown):
        found.is_good, found.answer, found.is_silent = False, "refund_unknown", True
    elif must_find and not any(isinstance(answer, Refunded | Refunding) for answer in answers.values()):
        found.is_good, found.answer = False, "refunds_not_known"


@db.retried
def _record(sale_id: int, found: _Found, digest: str, *, ask_again: bool) -> None:
    with db.transaction() as session:
        sale = session.get_one(TerminalTransaction, sale_id)
        for refund in found.refunds:
            _record_refund(session, sale, refund)
        if found.is_revoked:
            entries.revoke(session, sale, source="query", at=now())
        session.add(
            Vouch(
                transaction_id=sale_id,
                at=now(),
                is_good=found.is_good,
                answer=found.answer[:40],
                evidence_sha256=digest,
            )
        )
        if digest:
            files.keep(
                session,
                digest,
                media_type="application/octet-stream",
                subject="terminal_transaction",
                subject_id=sale_id,
                role="order_query",
            )
        if ask_again:
            key = f"again:{sale_id}:{codes.serial()}"
            outbox.put(session, "payments.vouch", key=key, transaction_id=sale_id)
        outbox.announce(session, Vouched(transaction_id=sale_id, is_good=found.is_good))


def _record_refund(session: Session, sale: TerminalTransaction, refund: Refunded) -> None:
    """What the query found enters the ledger, unless an order of ours is about to settle it itself."""
    till = steps.till_of(session, sale.terminal_id)
    report = refunding.report_of(sale, refund)
    ours = session.scalar(
        select(RefundOrder.id).where(
            RefundOrder.sale_id == sale.id,
            RefundOrder.out_refund_no == refund.out_refund_no,
            RefundOrder.state != "failed",
        )
    )
    if ours is not None:
        return
    try:
        entries.enter_refund(session, till, report, sale, source="supplemented")
    except (Differs, Refused):
        session.add(returns.conflict(till, report, refund.out_refund_no, failure_of=sale.id))


def _read(transaction_id: int) -> tuple[_Sale, gateways.MerchantSettings]:
    with db.reading() as session:
        row = session.get(TerminalTransaction, transaction_id)
        if row is None or row.kind != "sale":
            raise Missing("payments.not_found")
        recorded = session.scalars(
            select(TerminalTransaction.out_refund_no).where(
                TerminalTransaction.original_id == row.id, TerminalTransaction.kind == "refund"
            )
        )
        asked = session.scalars(
            select(RefundOrder.out_refund_no).where(
                RefundOrder.sale_id == row.id, RefundOrder.state != "failed"
            )
        )
        numbers = tuple(dict.fromkeys([*recorded, *asked]))
        sale = _Sale(
            row.id, row.merchant_account_id, row.out_trade_no, row.amount_fen, numbers, row.recorded_at
        )
    return sale, steps.settings_of(sale.account_id)
