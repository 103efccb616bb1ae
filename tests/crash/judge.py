"""What must hold after any crash, judged from the sandbox's own ledger and our database.

I1 never invoiced above what was paid and kept, or an open task says so; one live invoice per purchase. I2 every
invoice of the channel is in our archive, equal, with its file. I3 nothing hangs: each request has ended or stands in
a list. I4 one unmarked sheet of paper. I5 one payment per number, platform money = ledger. I6 one message per event.
I7 the audit follows the table of states.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from miniapp import db
from miniapp.core import files
from miniapp.core.models import AuditLine, FileLink, StoredFile, Task
from miniapp.invoices.models import (
    AmountClaim,
    Invoice,
    InvoicePurchase,
    InvoiceRequest,
    IssueOrder,
)
from miniapp.invoices.states import REQUEST
from miniapp.outbox.models import Work
from miniapp.payments.models import (
    Charge,
    PurchaseBalance,
    RefundOrder,
    TerminalTransaction,
    TransactionState,
    Vouch,
)
from miniapp.printing.models import PrintJob

ENDS = ("issued", "failed", "cancelled", "rejected", "expired")
OPEN_CHARGE = ("calling", "paying", "unknown", "cancelling")
OPEN_REFUND = ("asked", "refunding", "unknown")


@dataclass
class Verdict:
    """What was found: sentences in three lists, and how much there was of everything."""

    double: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def is_clean(self) -> bool:
        """Nothing double, lost or stuck."""
        return not (self.double or self.lost or self.stuck)

    def __str__(self) -> str:
        rows = [f"{name:<28}{count:>6}" for name, count in self.counts.items()]
        for name in ("double", "lost", "stuck"):
            found: list[str] = getattr(self, name)
            rows.append(f"{name:<28}{len(found):>6}")
            rows += [f"    {one}" for one in found[:20]]
        return "\n".join(rows)


def judge(ledger: dict[str, Any], *, promised: Iterable[tuple[str, str]] = ()) -> Verdict:
    """Compare. ``promised``: (number, refund number or '') that a till was told is recorded."""
    verdict = Verdict()
    with db.reading() as session:
        _invoices(session, ledger["issues"], verdict)
        _payments(session, ledger["payments"], verdict)
        _limits(session, ledger["payments"], verdict)
        _requests(session, ledger["payments"], verdict)
        _work(session, verdict)
        _paper(session, ledger["prints"], verdict)
        _audit(session, verdict)
        _promises(session, promised, verdict)
    _messages(ledger["messages"], verdict)
    return verdict


def _invoices(session: Session, issues: list[dict[str, Any]], verdict: Verdict) -> None:
    """I2, and one issue per request, whatever the channel would have taken."""
    issued = [row for row in issues if row["invoice_no"] and row["kind"] == "blue"]
    ours = {row.number: row for row in session.scalars(select(Invoice))}
    serials = dict(session.execute(select(IssueOrder.serial, IssueOrder.request_id)).all())
    known = set(session.scalars(select(FileLink.subject_id).where(FileLink.subject == "invoice")))
    by_request = Counter(serials.get(row["serial"], row["serial"]) for row in issued)
    verdict.double += [f"request {key}: {n} issues" for key, n in by_request.items() if n > 1]
    for row in issued:
        invoice = ours.get(row["invoice_no"])
        if invoice is None:
            verdict.lost.append(f"issue {row['serial']} {row['invoice_no']} is not in the archive")
        elif (invoice.total_fen, invoice.buyer["name"]) != (row["total_fen"], row["buyer_name"]):
            verdict.lost.append(f"issue {row['serial']} differs from the archive")
        elif invoice.id not in known:
            verdict.stuck.append(f"invoice {invoice.number} has no file")
    strangers = set(ours) - {row["invoice_no"] for row in issued}
    verdict.lost += [f"invoice {number} is unknown to the channel" for number in strangers]
    verdict.counts["issued by the channel"] = len(issued)
    digests = session.scalars(
        select(StoredFile.sha256)
        .join(FileLink, FileLink.file_id == StoredFile.id)
        .where(FileLink.subject == "invoice", FileLink.role == "pdf")
    )
    verdict.lost += [f"file {one} is damaged" for one in digests if not _is_whole(one)]


def _is_whole(digest: str) -> bool:
    try:
        files.read(digest)
    except (OSError, ValueError):
        return False
    return True


def _payments(session: Session, payments: list[dict[str, Any]], verdict: Verdict) -> None:
    """I5: every paid number is one row of the same amount; every refund of the platform is one row."""
    table = TerminalTransaction
    sales: dict[str, list[TerminalTransaction]] = defaultdict(list)
    refunds: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row in session.scalars(select(table)):
        if row.kind == "sale":
            sales[row.out_trade_no].append(row)
        else:
            refunds[row.out_trade_no, row.out_refund_no].append(row.amount_fen)
    revoked = set(
        session.scalars(select(TransactionState.transaction_id).where(TransactionState.state == "revoked"))
    )
    charges = {row.out_trade_no: row for row in session.scalars(select(Charge))}
    verdict.counts |= {"sales": len(sales), "refunds": len(refunds), "charges": len(charges)}
    verdict.double += [f"number {no}: {len(rows)} sales" for no, rows in sales.items() if len(rows) > 1]
    verdict.double += [f"refund {no}: {len(rows)} rows" for no, rows in refunds.items() if len(rows) > 1]
    paid = Counter(one["out_trade_no"] for one in payments if one["state"] in ("paid", "revoked"))
    verdict.double += [f"number {no}: paid {n} times" for no, n in paid.items() if n > 1]
    for one in payments:
        number, known = one["out_trade_no"], sales.get(one["out_trade_no"])
        if one["state"] == "paid" and (not known or known[0].amount_fen != one["amount_fen"]):
            verdict.lost.append(f"payment {number} of {one['amount_fen']} is not in the ledger")
        if one["state"] == "paid" and known and known[0].id in revoked:
            verdict.lost.append(f"payment {number} is revoked here and paid there")
        if one["state"] in ("closed", "failed") and known:
            verdict.double.append(f"payment {number} is in the ledger and {one['state']} there")
        if one["state"] == "revoked" and known and known[0].id not in revoked:
            verdict.lost.append(f"payment {number} was taken back there only")
        for refund in one["refunds"]:
            is_ours = refund["kind"] == "refund" and refund["state"] == "success"
            if is_ours and refunds.get((number, refund["refund_no"])) != [refund["amount_fen"]]:
                verdict.lost.append(f"refund {refund['refund_no']} of {number} is not in the ledger")
    there = {row["out_trade_no"]: row for row in payments}
    strangers = [number for number in sales if there.get(number, {}).get("state") not in ("paid", "revoked")]
    verdict.double += [f"sale {number} is no payment of the platform" for number in strangers]
    for charge in charges.values():
        one = there.get(charge.out_trade_no)
        if charge.state == "paid" and (one is None or one["state"] != "paid"):
            verdict.double.append(f"charge {charge.out_trade_no} paid here, {one and one['state']} there")
        if charge.state in ("failed", "cancelled") and one is not None and one["state"] == "paid":
            verdict.lost.append(f"charge {charge.out_trade_no} {charge.state} here, paid there")
    _refund_orders(session, there, verdict)


def _refund_orders(session: Session, there: dict[str, dict[str, Any]], verdict: Verdict) -> None:
    for order in session.scalars(select(RefundOrder)):
        one = there.get(order.sale.out_trade_no, {"refunds": []})
        moved = [row for row in one["refunds"] if row["refund_no"] == order.out_refund_no]
        moved = [row for row in moved if row["state"] == "success"]
        if order.state == "refunded" and len(moved) != 1:
            verdict.lost.append(f"refund order {order.out_refund_no} is refunded here only")
        if order.state == "failed" and moved:
            verdict.lost.append(f"refund order {order.out_refund_no} failed here, done there")


def _limits(session: Session, payments: list[dict[str, Any]], verdict: Verdict) -> None:
    """I1, with the limit worked out from the platform's own rows, not from ours."""
    issued: dict[int, int] = defaultdict(int)
    for sale_id, amount_fen in session.execute(
        select(InvoicePurchase.transaction_id, InvoicePurchase.amount_fen)
    ):
        issued[sale_id] += amount_fen
    tasks = set(session.scalars(select(Task.key).where(Task.kind == "reversal", Task.state == "open")))
    there = {row["out_trade_no"]: row for row in payments}
    live = session.execute(
        select(AmountClaim.transaction_id, func.count())
        .where(AmountClaim.is_live)
        .group_by(AmountClaim.transaction_id)
    )
    verdict.double += [f"sale {sale}: {n} live claims" for sale, n in live if n > 1]
    for balance in session.scalars(select(PurchaseBalance)):
        sale = session.get_one(TerminalTransaction, balance.transaction_id)
        one = there.get(sale.out_trade_no)
        if one is None:
            continue
        given_fen = sum(row["amount_fen"] for row in one["refunds"] if row["state"] == "success")
        own_fen = one["amount_fen"] - one["merchant_discount_fen"] - one["platform_discount_fen"]
        left_fen = max(0, own_fen - given_fen) if one["state"] == "paid" else 0
        invoiced_fen = issued.get(sale.id, 0)
        # A refund of a discounted sale gives back own money in part only.
        above = invoiced_fen > left_fen and own_fen == one["amount_fen"]
        if above and not (balance.excess_fen and f"sale:{sale.id}" in tasks):
            verdict.double.append(f"sale {sale.out_trade_no}: {invoiced_fen} invoiced, {left_fen} left")
        if balance.excess_fen and f"sale:{sale.id}" not in tasks:
            verdict.stuck.append(f"sale {sale.out_trade_no}: excess without a task")
    verdict.counts["reversal tasks"] = len(tasks)


def _requests(session: Session, payments: list[dict[str, Any]], verdict: Verdict) -> None:
    """I3: ended, or in a list where somebody or something will take it up."""
    there = {row["out_trade_no"]: row for row in payments}
    keys = {(kind, key) for kind, key in session.execute(select(Task.kind, Task.key))}
    dead = {
        row.payload.get("request_id") for row in session.scalars(select(Work).where(Work.state == "dead"))
    }
    rows = session.scalars(select(InvoiceRequest)).all()
    verdict.counts |= {"requests": len(rows)}
    verdict.counts |= {f"  {state}": n for state, n in sorted(Counter(row.state for row in rows).items())}
    for row in rows:
        if row.state in ENDS or row.state == "awaiting_confirmation" or row.id in dead:
            continue
        order_id = session.scalar(select(IssueOrder.id).where(IssueOrder.request_id == row.id))
        if row.state == "unknown" and ("unknown_invoice", f"order:{order_id}") in keys:
            verdict.counts["unknown with a task"] = verdict.counts.get("unknown with a task", 0) + 1
            continue
        if row.state == "waiting_reconciliation" and not all(
            _is_provable(there.get(one.transaction.out_trade_no)) for one in row.purchases
        ):
            continue
        verdict.stuck.append(f"request {row.id} {row.code} is {row.state}{_answers(session, row)}")


def _answers(session: Session, request: InvoiceRequest) -> str:
    """What the platform said when it was asked about each purchase."""
    said = [
        (
            one.transaction.source,
            one.transaction.out_trade_no,
            list(session.scalars(select(Vouch.answer).where(Vouch.transaction_id == one.transaction_id))),
        )
        for one in request.purchases
    ]
    return f", {request.approvals} approvals, asked: {said}"


def _is_provable(payment: dict[str, Any] | None) -> bool:
    """Paid, and nothing given back: an order query would vouch for it."""
    return payment is not None and payment["state"] == "paid" and not payment["refunds"]


def _work(session: Session, verdict: Verdict) -> None:
    """Nothing is leased for ever; what is open outside stands in a list."""
    states = session.execute(select(Work.state, func.count()).group_by(Work.state)).all()
    verdict.counts |= {f"work {state}": n for state, n in states}
    verdict.stuck += [
        f"work {row.job} {row.key} is leased"
        for row in session.scalars(select(Work).where(Work.state == "leased"))
    ]
    verdict.stuck += [
        f"work {row.job} {row.key} is dead: {row.reason}"
        for row in session.scalars(select(Work).where(Work.state == "dead"))
    ]
    told = set(session.scalars(select(Task.key).where(Task.kind == "unknown_charge", Task.state == "open")))
    for charge in session.scalars(select(Charge).where(Charge.state.in_(OPEN_CHARGE))):
        if str(charge.id) not in told:
            verdict.stuck.append(f"charge {charge.out_trade_no} is {charge.state}, nobody is told")
    for order in session.scalars(select(RefundOrder).where(RefundOrder.state.in_(OPEN_REFUND))):
        verdict.stuck.append(f"refund order {order.out_refund_no} is {order.state}")
    kinds = session.execute(select(Task.kind, func.count()).where(Task.state == "open").group_by(Task.kind))
    verdict.counts |= {f"task {kind}": n for kind, n in kinds}


def _paper(session: Session, prints: list[dict[str, Any]], verdict: Verdict) -> None:
    """I4: as many sheets of a document as copies; a print that nobody saw end stands in a list."""
    sheets = Counter(_name(row) for row in prints if row["state"] not in ("canceled", "aborted"))
    verdict.double += [f"paper {name}: {n} sheets" for name, n in sheets.items() if n > 1]
    told = set(session.scalars(select(Task.key).where(Task.kind == "uncertain_print")))
    for job in session.scalars(select(PrintJob)):
        name = f"{job.subject}-{job.subject_id}-{job.copy_no}"
        if job.state == "printed" and not sheets[name]:
            verdict.lost.append(f"paper {name} is printed here only")
        if job.state not in ("printed", "cancelled", "diverted") and f"job:{job.id}" not in told:
            verdict.stuck.append(f"print job {job.id} is {job.state}")
    verdict.counts["sheets"] = sum(sheets.values())


def _name(row: dict[str, Any]) -> str:
    detail = row["detail"]
    return str((json.loads(detail) if isinstance(detail, str) else detail).get("name"))


def _messages(messages: list[dict[str, Any]], verdict: Verdict) -> None:
    """I6: the news of one invoice reaches a person once as text or link, by whatever way."""
    told = Counter(
        (row["person"], row["kind"], json.dumps(row["body"], sort_keys=True, ensure_ascii=False))
        for row in messages
        if row["direction"] == "out" and row["via"] in ("custom", "template") and row["kind"] != "image"
    )
    verdict.counts["messages"] = sum(told.values())
    verdict.double += [f"message to {key[0]}: {n} times {key[2][:90]}" for key, n in told.items() if n > 1]


def _audit(session: Session, verdict: Verdict) -> None:
    """I7: each line of a request leaves from where the line before it arrived, by a move of the table."""
    last: dict[str, str] = {}
    for line in session.scalars(
        select(AuditLine).where(AuditLine.subject == "request").order_by(AuditLine.id)
    ):
        key = str(line.subject_id)
        if line.verb == "shrink":
            continue
        if REQUEST.next(line.before or "", line.verb) != line.after:
            verdict.lost.append(f"audit {line.id}: {line.before} {line.verb} {line.after}")
        if last.get(key, "draft") != line.before:
            verdict.lost.append(f"audit {line.id}: {last.get(key)} before, {line.before} now")
        last[key] = line.after or ""
    for row in session.scalars(select(InvoiceRequest)):
        if last.get(str(row.id)) != row.state:
            verdict.lost.append(f"request {row.id} is {row.state}, its audit says {last.get(str(row.id))}")


def _promises(session: Session, promised: Iterable[tuple[str, str]], verdict: Verdict) -> None:
    """What a till was told is recorded, is."""
    known = set(session.execute(select(TerminalTransaction.out_trade_no, TerminalTransaction.out_refund_no)))
    verdict.lost += [f"promised {one} is not in the ledger" for one in promised if one not in known]
