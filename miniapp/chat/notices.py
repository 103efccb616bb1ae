"""Which event is told to whom, in which words. Notices are recorded first, once per event and person, then sent."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from miniapp import db
from miniapp.chat.models import Notice
from miniapp.core import codes
from miniapp.core.clock import beijing, now
from miniapp.core.money import show
from miniapp.core.text import one_line, say
from miniapp.customers import service as customers
from miniapp.invoices import queries
from miniapp.invoices.queries import RequestView
from miniapp.outbox import service as outbox
from miniapp.outbox.jobs import Done, Outcome, Task
from miniapp.stores import service as stores
from miniapp.stores.models import Store

THING, TITLE = 20, 20
ENDS = ("rejected", "failed", "cancelled", "expired")
ENDED_BY_CUSTOMER = "cancel"


def ask_cashiers(task: Task, *, public_base: str, remind: timedelta, pass_on: timedelta) -> Outcome | None:
    """A request waits for a cashier: tell the one on duty longest; nobody on duty: the managers at once."""
    view = queries.request_by_id(task.payload["request_id"])
    version = task.payload["version"]
    if not _still_waits(view, version):
        return Done("answered already")
    with db.transaction() as session:
        people = _first(session, view)
        _tell_staff(session, view, people[:1] or people, say("chat.notice.confirm"), "ask", public_base)
        for step, delay in enumerate((remind, pass_on, pass_on * 2)):
            outbox.put(
                session,
                "chat.escalate",
                key=f"{view.row.id}:{version}:{step}",
                delay=delay,
                request_id=view.row.id,
                version=version,
                step=step,
            )
    return Done(str(len(people)))


def escalate(task: Task, *, public_base: str) -> Outcome | None:
    """Nobody has answered: remind, then the next on duty, then the managers."""
    view = queries.request_by_id(task.payload["request_id"])
    step = task.payload["step"]
    if not _still_waits(view, task.payload["version"]):
        return Done("answered")
    with db.transaction() as session:
        on_duty = _first(session, view)
        if step == 0:
            _tell_staff(session, view, on_duty[:1], say("chat.notice.reminder"), "remind", public_base)
        elif step == 1:
            _tell_staff(session, view, on_duty[1:], say("chat.notice.passed_on"), "next", public_base)
        else:
            managers = stores.managers_of(session, _store(session, view))
            _tell_staff(session, view, managers, say("chat.notice.passed_on"), "manager", public_base)
    return Done(str(step))


def tell_outcome(task: Task, *, public_base: str) -> Outcome | None:
    """A request has ended without an invoice: the customer hears why, and what to do next."""
    state = task.payload["state"]
    if state not in ENDS or task.payload["verb"] == ENDED_BY_CUSTOMER:
        return None
    view = queries.request_by_id(task.payload["request_id"])
    reason = say(view.reason_key) if view.reason_key else (view.reason or say("chat.notice.next"))
    row = view.row
    heading = say(f"chat.notice.{state}")
    text = say(
        "chat.notice.ended_text", code=row.code, amount=show(row.amount_fen), reason=one_line(reason, 60)
    )
    with db.transaction() as session:
        _tell_customer(
            session,
            view,
            f"ended:{row.id}",
            heading,
            text,
            f"requests/{row.public_id}",
            public_base,
            number=row.code,
        )
    return None


def tell_issued(task: Task, *, public_base: str) -> Outcome | None:
    """The document is here: a picture and a link where the quota allows, else a template message."""
    invoice = queries.invoice_by_id(task.payload["invoice_id"])
    view = queries.request_by_id(_request_id(invoice.request))
    text = say(
        "chat.notice.issued_text",
        amount=show(invoice.total_fen),
        title=one_line(invoice.buyer["name"], 40),
        number=invoice.number,
    )
    with db.transaction() as session:
        _tell_customer(
            session,
            view,
            f"issued:{invoice.id}",
            say("chat.notice.issued"),
            text,
            f"invoices/{invoice.public_id}",
            public_base,
            number=invoice.number,
            picture=invoice.files.get("png", ""),
            invoice_id=invoice.id,
        )
    return None


def tell_delivery(task: Task, *, public_base: str) -> Outcome | None:
    """Paper has come out, or somebody must look at the printer."""
    found = queries.delivery(task.payload["delivery_id"])
    words = {"delivered": "chat.notice.printed", "unknown": "chat.notice.print_uncertain"}
    key = words.get(found.state)
    if found.way != "printer" or key is None:
        return None
    invoice = queries.invoice_by_id(found.invoice_id)
    view = queries.request_by_id(_request_id(invoice.request))
    with db.transaction() as session:
        _tell_customer(
            session,
            view,
            f"{found.state}:{found.id}",
            say(key),
            f"{show(invoice.total_fen)} {invoice.number}",
            f"invoices/{invoice.public_id}",
            public_base,
            number=invoice.number,
        )
    return None


def _tell_staff(
    session: Session, view: RequestView, staff: Sequence[int], heading: str, step: str, public_base: str
) -> None:
    row = view.row
    sale = view.purchases[0] if view.purchases else None
    fields = {
        "thing1": f"{heading}·{sale.terminal if sale else row.store_name}"[:THING],
        "amount2": show(row.amount_fen).replace(",", ""),
        "thing3": _cut(row.buyer_name),
        "character_string4": row.confirm_code or row.code,
        "time5": f"{beijing(row.asked_at):%Y-%m-%d %H:%M}",
    }
    for person in staff:
        for app_id, open_id in stores.identities_of_staff(session, person)[:1]:
            content = {
                "template": "template_confirm",
                "fields": fields,
                "heading": heading,
                "text": say(
                    "chat.request_card",
                    code=row.confirm_code or "",
                    amount=show(row.amount_fen),
                    title=one_line(row.buyer_name, 60),
                    number=view.buyer.get("taxpayer_no", ""),
                    store=row.store_name,
                    time="",
                    state=say(f"invoices.state.{row.state}"),
                ),
                "url": f"{public_base}/c/duty/{row.public_id}",
            }
            key = f"confirm:{row.id}:{row.version}:{step}:{person}"
            _record(session, key, app_id, open_id, "request", row.id, content)


def _tell_customer(
    session: Session,
    view: RequestView,
    key: str,
    heading: str,
    text: str,
    path: str,
    public_base: str,
    *,
    number: str,
    picture: str = "",
    invoice_id: int | None = None,
) -> None:
    for app_id, open_id in customers.identities(session, view.customer_id)[:1]:
        account = stores.chat_account_of_app(app_id)
        content: dict[str, Any] = {
            "template": "template_result",
            "fields": {
                "thing1": heading[:THING],
                "amount2": show(view.row.amount_fen).replace(",", ""),
                "thing3": _cut(view.row.buyer_name),
                "character_string4": number,
                "time5": f"{beijing(now()):%Y-%m-%d %H:%M}",
            },
            "heading": heading,
            "text": text,
            "url": f"{public_base}/c/{path}?account={account.code}",
            "picture": picture,
        }
        subject, subject_id = ("invoice", invoice_id) if invoice_id is not None else ("request", view.row.id)
        _record(session, key, app_id, open_id, subject, subject_id, content)


def _record(
    session: Session,
    key: str,
    app_id: str,
    open_id: str,
    subject: str,
    subject_id: int,
    content: dict[str, Any],
) -> None:
    if session.scalar(select(Notice.id).where(Notice.key == key)) is not None:
        return
    notice = Notice(
        key=key,
        app_id=app_id,
        open_id=open_id,
        subject=subject,
        subject_id=subject_id,
        content={**content, "client_id": codes.serial()},
        state="waiting",
        created_at=now(),
    )
    session.add(notice)
    session.flush()
    outbox.put(session, "chat.send", key=str(notice.id), notice_id=notice.id)


def _first(session: Session, view: RequestView) -> list[int]:
    """On duty there, the longest first, without the customer; nobody: the managers."""
    store = _store(session, view)
    customer = set(customers.identities(session, view.customer_id))
    people = [
        person
        for person in stores.on_duty(session, store.id)
        if not customer & set(stores.identities_of_staff(session, person))
    ]
    return people or stores.managers_of(session, store)


def _store(session: Session, view: RequestView) -> Store:
    return session.scalars(select(Store).where(Store.code == view.row.store_code)).one()


def _still_waits(view: RequestView, version: int) -> bool:
    return view.row.state == "awaiting_confirmation" and view.row.version == version


def _request_id(public_id: str) -> int:
    return queries.request(public_id).row.id


def _cut(name: str) -> str:
    return name if len(name) <= TITLE else name[: TITLE - 1] + "…"
