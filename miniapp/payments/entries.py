"""Writing the ledger: one row a sale or refund, complete, once. All steps in the caller's transaction.

The same report is the same row; the same number with other content raises ``Differs``. A refund or revocation whose
sale is not here waits, and counts in the transaction that records the sale.
"""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from miniapp.core import clock, codes
from miniapp.core.clock import now
from miniapp.core.errors import Refused
from miniapp.outbox import service as outbox
from miniapp.payments import balances, composition, rules
from miniapp.payments.events import TransactionRecorded
from miniapp.payments.models import (
    RefundOrder,
    SlipCode,
    Tender,
    TerminalTransaction,
    TransactionLine,
    TransactionState,
)
from miniapp.payments.reports import Report
from miniapp.payments.rules import Part
from miniapp.payments.steps import Till

AfterRecord = Callable[[Session, TerminalTransaction], None]


class Differs(Exception):
    """A known number came with other content; ``transaction_id`` is the row that keeps it."""

    def __init__(self, transaction_id: int | None, number: str) -> None:
        super().__init__(number)
        self.transaction_id, self.number = transaction_id, number


_after_record: AfterRecord | None = None


def listen(after_record: AfterRecord | None) -> None:
    """Called with each new ledger row, in its own transaction (reconcile writes late differences). Set by ``wiring``."""
    global _after_record
    _after_record = after_record


def sale_number(till: Till, report: Report) -> str:
    """The report's own ``out_trade_no``, or one made of terminal, batch, trace, RRN and date."""
    return report.out_trade_no or _made_number("S", till, report)


def refund_number(till: Till, report: Report) -> str:
    """The report's own ``out_refund_no``, or one made of what else names it."""
    return report.out_refund_no or _made_number("R", till, report)


def enter_sale(
    session: Session, till: Till, report: Report, *, source: str = "reported"
) -> tuple[TerminalTransaction, bool]:
    """Record a sale with its claim code and balance; answers (row, is it new). Raises Differs, Refused."""
    account_id, number = till.account(report.platform), sale_number(till, report)
    known = find_sale(session, account_id, number)
    if known is not None:
        _check_same(known, report, source)
        return known, False
    sale = _row(till, report, source, kind="sale", account_id=account_id, out_trade_no=number)
    session.add(sale)
    session.flush()
    code = _new_code(session, till.store_code)
    parts = report.tenders or (Part("wallet", "customer", report.amount_fen),)
    _add_tenders(session, sale, parts)
    _add_lines(session, sale, report)
    session.add(
        SlipCode(
            code=code,
            transaction_id=sale.id,
            expires_at=now() + composition.current().slip_life,
        )
    )
    balances.open(session, sale, parts, platform_discount=till.platform_discount)
    session.flush()
    _recorded(session, sale)
    return sale, True


def enter_refund(
    session: Session, till: Till, report: Report, sale: TerminalTransaction, *, source: str = "reported"
) -> tuple[TerminalTransaction, bool]:
    """Record a refund of a sale and lower its limit. Raises Differs, and for a till's word Refused (more than is left).

    What the platform itself says is recorded whatever it adds up to: the limit must know it.
    """
    number = refund_number(till, report)
    balances.lock(session, sale.id)
    known = session.scalar(
        select(TerminalTransaction).where(
            TerminalTransaction.merchant_account_id == sale.merchant_account_id,
            TerminalTransaction.kind == "refund",
            TerminalTransaction.out_trade_no == sale.out_trade_no,
            TerminalTransaction.out_refund_no == number,
        )
    )
    if known is not None:
        _check_same(known, report, source)
        return known, False
    if source == "reported" and _is_our_order(session, sale, number, report.amount_fen):
        return sale, False
    if source == "reported" and report.amount_fen > refundable_fen(session, sale, but_for=number):
        raise Refused("payments.over_refund")
    refund = _row(
        till,
        report,
        source,
        kind="refund",
        account_id=sale.merchant_account_id,
        out_trade_no=sale.out_trade_no,
        out_refund_no=number,
        original=sale,
    )
    if not report.tenders:
        own_fen = balances.own_money_of(session, sale)
        refund.paid_fen = rules.share(report.amount_fen, paid_fen=own_fen, amount_fen=sale.amount_fen)
    session.add(refund)
    session.flush()
    _add_tenders(session, refund, report.tenders)
    balances.recompute(session, sale.id, cause="refund")
    _recorded(session, refund)
    return refund, True


def revoke(session: Session, sale: TerminalTransaction, *, source: str, at: datetime) -> bool:
    """Take a whole sale back: a state row of its own, limit 0. False: it had been revoked already."""
    balances.lock(session, sale.id)
    if is_revoked(session, sale.id):
        return False
    session.add(
        TransactionState(transaction_id=sale.id, state="revoked", source=source, at=at, recorded_at=now())
    )
    session.flush()
    balances.recompute(session, sale.id, cause="revoked")
    return True


def is_revoked(session: Session, sale_id: int) -> bool:
    """Has the sale been taken back as a whole?"""
    found = session.scalar(
        select(TransactionState.id).where(
            TransactionState.transaction_id == sale_id, TransactionState.state == "revoked"
        )
    )
    return found is not None


def refundable_fen(session: Session, sale: TerminalTransaction, *, but_for: str = "") -> int:
    """The gross that may still be given back: the sale less its refunds and open orders (``but_for``: a number)."""
    recorded = session.scalars(
        select(TerminalTransaction.amount_fen).where(
            TerminalTransaction.original_id == sale.id, TerminalTransaction.kind == "refund"
        )
    )
    asked = session.scalars(
        select(RefundOrder.refund_fen).where(
            RefundOrder.sale_id == sale.id,
            RefundOrder.state.not_in(("refunded", "failed")),
            RefundOrder.out_refund_no != but_for,
        )
    )
    return sale.amount_fen - sum(recorded) - sum(asked)


def find_sale(session: Session, account_id: int, out_trade_no: str) -> TerminalTransaction | None:
    """A sale by its number at its account."""
    return session.scalar(
        select(TerminalTransaction).where(
            TerminalTransaction.merchant_account_id == account_id,
            TerminalTransaction.kind == "sale",
            TerminalTransaction.out_trade_no == out_trade_no,
        )
    )


def _check_same(known: TerminalTransaction, report: Report, source: str) -> None:
    if known.fingerprint == report.fingerprint:
        return
    told_by_two = (
        known.source != source
    )  # charged here and reported as well: the words differ, the money must not
    numbers_agree = "" in (known.platform_trade_no, report.platform_trade_no) or (
        known.platform_trade_no == report.platform_trade_no
    )
    if not (told_by_two and known.amount_fen == report.amount_fen and numbers_agree):
        raise Differs(known.id, known.out_refund_no or known.out_trade_no)


def _is_our_order(session: Session, sale: TerminalTransaction, number: str, amount_fen: int) -> bool:
    """A refund that we ask for ourselves is recorded by its own answer, not by the till's word."""
    asked_fen = session.scalar(
        select(RefundOrder.refund_fen).where(
            RefundOrder.merchant_account_id == sale.merchant_account_id,
            RefundOrder.out_refund_no == number,
            RefundOrder.state != "failed",
        )
    )
    if asked_fen is not None and asked_fen != amount_fen:
        raise Differs(sale.id, number)
    return asked_fen is not None


def _row(
    till: Till,
    report: Report,
    source: str,
    *,
    kind: str,
    account_id: int,
    out_trade_no: str,
    out_refund_no: str = "",
    original: TerminalTransaction | None = None,
) -> TerminalTransaction:
    parts = report.tenders or (Part("wallet", "customer", report.amount_fen),)
    if sum(part.amount_fen for part in parts) != report.amount_fen:
        raise Refused("payments.tenders_do_not_add_up")
    at = report.occurred_at
    return TerminalTransaction(
        public_id=codes.public_id(),
        merchant_account_id=account_id,
        company_id=original.company_id if original else till.company_at(at),
        store_id=till.store_id,
        terminal_id=till.id,
        kind=kind,
        platform=report.platform,
        out_trade_no=out_trade_no,
        out_refund_no=out_refund_no,
        platform_trade_no=report.platform_trade_no,
        platform_refund_no=report.platform_refund_no,
        rrn=report.rrn,
        terminal_batch_no=report.terminal_batch_no,
        trace_no=report.trace_no,
        amount_fen=report.amount_fen,
        paid_fen=rules.funded_by(parts, "customer"),
        merchant_discount_fen=rules.funded_by(parts, "merchant"),
        platform_discount_fen=rules.funded_by(parts, "platform"),
        occurred_at=at,
        bill_date=clock.bill_date(at),
        business_date=clock.business_date(at, till.cut_off),
        payer_app_id=report.payer_app_id,
        payer_open_id=report.payer_open_id,
        original_id=original.id if original else None,
        source=source,
        operator=report.operator,
        fingerprint=report.fingerprint,
        recorded_at=now(),
    )


def _add_tenders(session: Session, row: TerminalTransaction, parts: tuple[Part, ...]) -> None:
    session.add_all(
        Tender(
            transaction_id=row.id,
            position=position,
            kind=part.kind,
            funder=part.funder,
            amount_fen=part.amount_fen,
        )
        for position, part in enumerate(parts)
    )


def _add_lines(session: Session, sale: TerminalTransaction, report: Report) -> None:
    session.add_all(
        TransactionLine(
            transaction_id=sale.id,
            position=position,
            item_code=line.item_code,
            name=line.name,
            quantity=line.quantity,
            unit=line.unit,
            amount_fen=line.amount_fen,
            tax_category_code=line.tax_category_code,
            tax_rate=line.tax_rate,
        )
        for position, line in enumerate(report.lines)
    )


def _recorded(session: Session, row: TerminalTransaction) -> None:
    if _after_record is not None:
        _after_record(session, row)
    outbox.announce(session, TransactionRecorded(transaction_id=row.id, kind=row.kind))


def _new_code(session: Session, store_code: str) -> str:
    for _ in range(20):
        code = codes.claim_code(store_code)
        if session.scalar(select(SlipCode.transaction_id).where(SlipCode.code == code)) is None:
            return code
    raise RuntimeError("no free claim code was found")


def _made_number(prefix: str, till: Till, report: Report) -> str:
    day = clock.bill_date(report.occurred_at).isoformat()
    device = (report.terminal_batch_no, report.trace_no, report.rrn)
    if any(device):
        return rules.own_number(prefix, till.code, *device, day)
    moment = report.occurred_at.isoformat()
    return rules.own_number(prefix, till.code, report.out_trade_no, str(report.amount_fen), moment)
