"""What becomes of each delivery of an invoice, and sending it again."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from miniapp import db
from miniapp.core import audit, files
from miniapp.core.clock import now
from miniapp.core.errors import Missing, Refused
from miniapp.invoices.events import DeliveryChanged
from miniapp.invoices.models import Delivery, Invoice, InvoiceRequest
from miniapp.invoices.states import DELIVERY
from miniapp.outbox import service as outbox
from miniapp.outbox.jobs import Done, Outcome, Task
from miniapp.printing import spool


def to_printer(task: Task) -> Outcome | None:
    """Work: the file is here; put a print job where the customer wants paper. One unmarked copy, by the database."""
    with db.transaction() as session:
        invoice = session.get_one(Invoice, task.payload["invoice_id"])
        request = session.get_one(InvoiceRequest, invoice.request_id)
        delivery = _delivery(session, invoice.id, "printer")
        if delivery is None or request.printer_id is None:
            return Done("no paper wanted")
        digest = files.linked(session, "invoice", invoice.id)["pdf"].sha256
        spool.enqueue(
            session, subject="invoice", subject_id=invoice.id, printer_id=request.printer_id, sha256=digest
        )
    return Done("queued")


def printed(task: Task) -> Outcome | None:
    """Work: a print job of an invoice has ended or needs somebody; the delivery follows it."""
    if task.payload["subject"] != "invoice":
        return None
    verbs = {"printed": "arrive", "uncertain": "lose_answer", "diverted": "fail", "cancelled": "fail"}
    verb = verbs.get(task.payload["state"])
    if verb is not None:
        record(task.payload["subject_id"], "printer", verb, detail=task.payload.get("reason", ""))
    return None


def record(invoice_id: int, way: str, verb: str, *, detail: str = "") -> bool:
    """Take one delivery along its table; a move that the table does not have changes nothing."""
    with db.transaction() as session:
        return record_in(session, invoice_id, way, verb, detail=detail)


def record_in(session: Session, invoice_id: int, way: str, verb: str, *, detail: str = "") -> bool:
    """The same as a step in the caller's transaction."""
    delivery = _delivery(session, invoice_id, way)
    after = DELIVERY.next(delivery.state, verb) if delivery is not None else None
    if delivery is None or after is None:
        return False
    before, delivery.state = delivery.state, after
    delivery.detail, delivery.changed_at = detail[:200], now()
    audit.note(session, "delivery", delivery.id, verb, before=before, after=after)
    outbox.announce(session, DeliveryChanged(delivery.id, after))
    return True


def print_for(customer_id: int, public_id: str, printer_id: int) -> None:
    """The customer wants paper after all. Raises Missing, Refused (asked for already)."""
    with db.transaction() as session:
        invoice = session.scalar(
            select(Invoice).where(Invoice.public_id == public_id, Invoice.customer_id == customer_id)
        )
        if invoice is None:
            raise Missing("core.not_found")
        if _delivery(session, invoice.id, "printer") is not None:
            raise Refused("invoices.printed_already")
        session.add(Delivery(invoice_id=invoice.id, way="printer", state="waiting", changed_at=now()))
        digest = files.linked(session, "invoice", invoice.id)["pdf"].sha256
        spool.enqueue(session, subject="invoice", subject_id=invoice.id, printer_id=printer_id, sha256=digest)


def _delivery(session: Session, invoice_id: int, way: str) -> Delivery | None:
    return session.scalar(
        select(Delivery).where(Delivery.invoice_id == invoice_id, Delivery.way == way).with_for_update()
    )
