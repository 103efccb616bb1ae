"""Issue an approved request: begin (serial and last look) | hand to the channel | settle | ask until known.

The number is committed at once; files follow by their own work. A late, double or missing notice of the channel ends
in the same ``settle``.
"""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from miniapp import db
from miniapp.core import audit, codes, failpoints, files, tasks, vault
from miniapp.core.clock import now
from miniapp.core.errors import Missing
from miniapp.core.errors import Refused as RuleRefused
from miniapp.core.models import Task as PersonTask
from miniapp.invoices import channels, orders, steps
from miniapp.invoices.channels import (
    Accepted,
    Answer,
    ChannelSettings,
    Done,
    IssueOrder,
    NotFound,
    Refused,
    Unknown,
)
from miniapp.invoices.events import InvoiceIssued, IssuingFailed
from miniapp.invoices.models import Delivery, Invoice, InvoicePurchase, InvoiceRequest
from miniapp.invoices.models import IssueOrder as OrderRow
from miniapp.outbox import service as outbox
from miniapp.outbox.jobs import Done as Ended
from miniapp.outbox.jobs import Later, NeverArrived, Outcome, Task
from miniapp.payments import vouching
from miniapp.reconcile.queries import proofs_of
from miniapp.stores import service as stores

ASK_AGAIN = (timedelta(seconds=3), timedelta(seconds=5), timedelta(seconds=15), timedelta(seconds=30))
LONGEST = timedelta(minutes=10)
TELL_A_PERSON_AFTER = timedelta(minutes=15)
PROOF_MAX_AGE = timedelta(minutes=60)
CALLBACK_PATH = "/notify/channel"


@dataclass(frozen=True)
class Begun:
    """An order that may be handed over: its row id, its channel, and what to send."""

    order_id: int
    channel: ChannelSettings
    order: IssueOrder


def issue(task: Task, *, public_base: str = "") -> Outcome | None:
    """Work, first time: make the order, call the channel, file its answer."""
    request_id = task.payload["request_id"]
    refresh_proof(request_id)
    begun = begin(request_id, public_base=public_base)
    if begun is None:
        return Ended("sent back or ended")
    if not task.is_current():
        return Later("lease ran out before the call")
    return settle(begun.order_id, channels.of(begun.channel).issue(begun.order))


def find(task: Task, *, public_base: str = "") -> Outcome | None:
    """Work, every other time: a call may have gone out, so ask by the serial."""
    order_id = order_of(task.payload["request_id"])
    if order_id is None:
        return NeverArrived("no order was made")
    begun = _begun(order_id, public_base)
    if begun is None:
        return Ended("ended")
    return settle(order_id, channels.of(begun.channel).find(begun.order.serial))


def refresh_proof(request_id: int) -> None:
    """Where the youngest proof of payment is older than the setting, ask the platform first, outside any transaction."""
    with db.reading() as session:
        request = session.get_one(InvoiceRequest, request_id)
        if request.state != "approved":
            return
        proofs = proofs_of(session, [row.transaction_id for row in request.purchases])
        stale = [
            sale_id
            for sale_id, proof in proofs.items()
            if proof.kind == "vouched" and (proof.at is None or now() - proof.at > PROOF_MAX_AGE)
        ]
    for sale_id in stale:
        vouching.vouch(sale_id)


@db.retried
def begin(request_id: int, *, public_base: str = "") -> Begun | None:
    """The last look, and the serial: committed before the first byte goes out. None: the request went back or has ended.

    For a request that is issuing already (a call that is proved never to have arrived) it answers the same serial.
    """
    with db.transaction() as session:
        request = steps.lock_whole(session, request_id)
        if request.state in ("issuing", "unknown"):
            row = session.scalar(select(OrderRow).where(OrderRow.request_id == request_id))
            if row is None or row.state != "open" or row.acknowledged_at is not None:
                return None
            row.sent_at = now()
            return _port_order(row, public_base)
        if request.state != "approved" or not _last_look(session, request):
            return None
        row = _new_order(session, request)
        steps.move(session, request, "begin_issuing")
        return _port_order(row, public_base)


@db.retried
def settle(order_id: int, answer: Answer) -> Outcome:
    """File what the channel said. Only Done and Refused end it; everything else plans the next question."""
    digest = files.write(answer.evidence) if answer.evidence else None
    with db.transaction() as session:
        request = steps.lock_whole(session, session.get_one(OrderRow, order_id).request_id)
        row = session.get_one(OrderRow, order_id, with_for_update=True, populate_existing=True)
        if digest is not None:
            files.keep(
                session,
                digest,
                media_type="application/json",
                subject="issue_order",
                subject_id=row.id,
                role="answer",
            )
        row.last_asked_at = now()
        if isinstance(answer, Done):
            outcome = _settle_done(session, row, request, answer)
        elif row.state != "open":
            outcome = Ended(row.state)
        elif isinstance(answer, Refused):
            outcome = _settle_refused(session, row, request, answer)
        else:
            outcome = _settle_open(session, row, request, answer)
    failpoints.hit("issue.number_recorded")
    return outcome


def order_of(request_id: int) -> int | None:
    """The order that a request has made, if any."""
    with db.reading() as session:
        return session.scalar(select(OrderRow.id).where(OrderRow.request_id == request_id))


def hint(serial: str) -> None:
    """A channel's notice names a serial: record that it be asked about now. Raises Missing for one that is not ours."""
    with db.transaction() as session:
        row = session.scalar(select(OrderRow).where(OrderRow.serial == serial))
        if row is None:
            raise Missing("core.not_found")
        if row.state in ("open", "done"):
            outbox.put(
                session, "invoices.ask_channel", key=f"{row.id}:{codes.short_code(8)}", order_id=row.id
            )


def ask_channel(task: Task) -> Outcome | None:
    """Work: one question about an order, after a notice; a done one too, because a second number would show then."""
    with db.reading() as session:
        row = session.get_one(OrderRow, task.payload["order_id"])
        asked = _port_order(row, "") if row.state in ("open", "done") else None
    if asked is not None:
        settle(asked.order_id, channels.of(asked.channel).find(asked.order.serial))
    return None


def _last_look(session: Session, request: InvoiceRequest) -> bool:
    """Proof still there and this version approved, else the request goes back; balances within their limits."""
    balances = steps.lock_purchases(session, [row.transaction_id for row in request.purchases])
    if any(balance.excess_fen for balance in balances.values()):
        raise RuleRefused("invoices.obstacle.under_review")
    return not steps.advance(session, request)


def _new_order(session: Session, request: InvoiceRequest) -> OrderRow:
    channel = stores.channel_in_use(session, request.company)
    clerk = str(channel.settings.get("clerk", "")) if channel else ""
    if not clerk and request.decided_by is not None:
        clerk = request.decided_by.name
    row = OrderRow(
        request_id=request.id,
        channel_id=channel.id if channel else None,
        channel_kind=channel.kind if channel else "specimen",
        serial=codes.serial(),
        content=orders.content(session, request, clerk=clerk),
        begun_at=now(),
        sent_at=now(),
        state="open",
    )
    session.add(row)
    session.flush()
    return row


def _begun(order_id: int, public_base: str) -> Begun | None:
    with db.reading() as session:
        row = session.get_one(OrderRow, order_id)
        return _port_order(row, public_base) if row.state == "open" else None


def _port_order(row: OrderRow, public_base: str) -> Begun:
    settings = ChannelSettings(code="specimen", kind="specimen", values={})
    if row.channel_id is not None:
        view = stores.channel(row.channel_id)
        settings = ChannelSettings(view.code, view.kind, {**view.settings, **view.secrets})
    callback = (
        f"{public_base}{CALLBACK_PATH}/{row.channel_kind}/{notice_token(row.channel_id)}"
        if public_base
        else ""
    )
    order = orders.order(row.serial, row.content, ordered_at=row.begun_at, callback_url=callback)
    return Begun(row.id, settings, order)


def notice_token(channel_id: int | None) -> str:
    """The secret part of the address that a channel sends its notices to."""
    return vault.sign("channel_notice", str(channel_id))[:32]


def _settle_done(session: Session, row: OrderRow, request: InvoiceRequest, answer: Done) -> Outcome:
    known = session.scalar(select(Invoice).where(Invoice.order_id == row.id))
    first = known.number if known is not None else answer.invoice_no
    others = {answer.invoice_no, *answer.other_numbers} - {first}
    if others:
        _incident(session, row, request, "two_numbers", first=first, others=sorted(others))
    if known is not None:
        return Ended("known")
    wrong = channels.answers_ours(orders.order(row.serial, row.content, ordered_at=row.begun_at), answer)
    if wrong:
        _incident(session, row, request, "foreign_answer", fields=wrong, number=answer.invoice_no)
        row.state, row.detail = "stopped", ", ".join(wrong)
        if request.state == "issuing":
            steps.move(session, request, "lose_answer", why="foreign answer")
        return Ended("stopped")
    row.state, row.acknowledged_at = "done", row.acknowledged_at or now()
    _close_task(session, row)
    invoice = _record(session, row, request, answer)
    steps.move(session, request, "issued")
    outbox.announce(session, InvoiceIssued(invoice.id, request.id))
    return Ended(answer.invoice_no)


def _record(session: Session, row: OrderRow, request: InvoiceRequest, answer: Done) -> Invoice:
    content = row.content
    invoice = Invoice(
        public_id=codes.public_id(),
        order_id=row.id,
        request_id=request.id,
        customer_id=request.customer_id,
        company_id=request.company_id,
        store_id=request.store_id,
        kind=content["kind"],
        is_specimen=row.channel_kind == "specimen",
        number=answer.invoice_no,
        state="issued",
        issued_at=answer.issued_at or now(),
        buyer=content["buyer"],
        seller=content["seller"],
        lines=content["lines"],
        total_fen=content["total_fen"],
        net_fen=content["net_fen"],
        tax_fen=content["tax_fen"],
        issuer_name=content["clerk"],
        remark=content["remark"],
        file_urls=dict(answer.files),
    )
    session.add(invoice)
    session.flush()
    for purchase in steps.purchase_rows(session, request.id):
        session.add(
            InvoicePurchase(
                invoice_id=invoice.id, transaction_id=purchase.transaction_id, amount_fen=purchase.amount_fen
            )
        )
    for way in dict.fromkeys([*request.delivery, "page"]):
        session.add(Delivery(invoice_id=invoice.id, way=way, state="waiting", changed_at=now()))
    audit.note(session, "invoice", invoice.id, "issue", after="issued", company_id=invoice.company_id)
    return invoice


def _settle_refused(session: Session, row: OrderRow, request: InvoiceRequest, answer: Refused) -> Outcome:
    row.state, row.detail = "refused", f"{answer.code} {answer.words}"[:500]
    _close_task(session, row)
    request.reason_key, request.reason = answer.message_key, answer.words[:200] or None
    if answer.alarm:
        _incident(session, row, request, "channel_settings", code=answer.code, words=answer.words[:200])
    steps.release_claims(session, request)
    steps.move(session, request, "fail", why=answer.code)
    outbox.announce(session, IssuingFailed(request.id))
    return Ended(f"refused {answer.code}")


def _settle_open(
    session: Session, row: OrderRow, request: InvoiceRequest, answer: Accepted | NotFound | Unknown
) -> Outcome:
    age = now() - row.begun_at
    if isinstance(answer, Accepted):
        row.acknowledged_at = row.acknowledged_at or now()
    elif request.state == "issuing":
        steps.move(session, request, "lose_answer", why=type(answer).__name__)
    is_final = now() - row.sent_at >= _final_after(row)
    if isinstance(answer, NotFound) and row.acknowledged_at is None and is_final:
        return NeverArrived("the channel has no such serial")
    if isinstance(answer, Unknown) and not answer.sent and row.acknowledged_at is None:
        return NeverArrived(answer.reason)
    if age >= TELL_A_PERSON_AFTER:
        tasks.open_once(
            session,
            "unknown_invoice",
            f"order:{row.id}",
            store_id=request.store_id,
            company_id=request.company_id,
            code=request.code,
            serial=row.serial,
        )
    return Later(type(answer).__name__, after=_pause(now() - row.sent_at), counts=False)


def _close_task(session: Session, row: OrderRow) -> None:
    """The answer is here after all: nobody need look for it any more."""
    found = session.scalar(
        select(PersonTask.id).where(
            PersonTask.kind == "unknown_invoice",
            PersonTask.key == f"order:{row.id}",
            PersonTask.state == "open",
        )
    )
    if found is not None:
        tasks.close(session, found, by=audit.SYSTEM, outcome=row.state)


def _final_after(row: OrderRow) -> timedelta:
    kind: timedelta = channels.all_kinds()[row.channel_kind].not_found_is_final_after
    return kind


def _pause(age: timedelta) -> timedelta:
    passed = timedelta()
    for pause in ASK_AGAIN:
        passed += pause
        if age < passed:
            return pause
    return min(age / 2, LONGEST)


def _incident(session: Session, row: OrderRow, request: InvoiceRequest, what: str, **values: object) -> None:
    tasks.open_once(
        session,
        "incident",
        f"{what}:order:{row.id}",
        store_id=request.store_id,
        company_id=request.company_id,
        what=what,
        code=request.code,
        serial=row.serial,
        **values,
    )
