"""One turn: a person and a text in, a reply out. The same message again gets the stored reply and does nothing."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import delete
from sqlalchemy.orm import Session

from miniapp import db
from miniapp.chat import intents, statements
from miniapp.chat.models import SeenMessage
from miniapp.chat.turns import Reply, Turn
from miniapp.core import failpoints
from miniapp.core.clock import now
from miniapp.customers import service as customers
from miniapp.customers.service import CustomerView
from miniapp.stores import service as stores
from miniapp.stores.rules import Person

FORGET_TABLE = timedelta(minutes=10)
LONGEST = 600
SILENCE = ""


def answer(
    *, account: str, platform: str, app_id: str, open_id: str, text: str, key: str, public_base: str
) -> str:
    """The reply to one text. ``key`` is the message's own identity, the same for every delivery of it."""
    with db.reading() as session:
        met = _meet(session, account, key, app_id, open_id)
        if met.reply is not None:
            return met.reply
        staff = None if met.staff_id is None else stores.person_in(session, met.staff_id)
    if met.customer_id is None:
        customer = customers.recognise(platform=platform, app_id=app_id, open_id=open_id)
    else:
        customer = CustomerView(met.customer_id, platform, app_id, open_id)
    topic, state = _table(met)
    turn = Turn(
        account, platform, app_id, open_id, text[:LONGEST], key, public_base, customer, staff, topic, state
    )
    reply = intents.reply(turn)
    return _remember(turn, reply)


def note_event(*, account: str, key: str, reply: str = SILENCE) -> str:
    """An event that needs no conversation: stored once, answered alike each time."""
    with db.reading() as session:
        known = statements.seen(session, account, key[:200])
    if known is not None:
        return known
    with db.transaction() as session:
        return _store(session, account, key, reply)


def staff_of(app_id: str, open_id: str) -> Person | None:
    """The staff member who speaks, if it is one."""
    with db.reading() as session:
        return stores.person_of_identity(session, app_id, open_id)


def forget_old(*, older_than: timedelta = timedelta(days=8)) -> int:
    """Remove messages seen long ago; WeChat never repeats one after minutes."""
    with db.transaction() as session:
        gone = session.execute(delete(SeenMessage).where(SeenMessage.at < now() - older_than))
        return int(gone.rowcount)  # type: ignore[attr-defined]


def _remember(turn: Turn, reply: Reply) -> str:
    """Store the answer, the table and the time of speaking in one transaction."""
    with db.transaction() as session:
        text = _store(session, turn.account, turn.key, reply.text)
        customers.heard_from(session, turn.app_id, turn.open_id)
        if reply.topic is not None and (reply.topic or turn.topic):
            statements.lay(
                session,
                app_id=turn.app_id,
                open_id=turn.open_id,
                topic=reply.topic,
                state=dict(reply.state),
                at=now(),
            )
    failpoints.hit("inbox.stored")
    return text


def _store(session: Session, account: str, key: str, reply: str) -> str:
    if statements.see(session, account=account, key=key[:200], reply=reply, at=now()):
        return reply
    known = statements.seen(session, account, key[:200])
    return reply if known is None else known


def _meet(session: Session, account: str, key: str, app_id: str, open_id: str) -> statements.Met:
    return statements.meet(session, account=account, key=key[:200], app_id=app_id, open_id=open_id)


def _table(met: statements.Met) -> tuple[str, Mapping[str, Any]]:
    if met.at is None or met.at < now() - FORGET_TABLE:
        return "", {}
    return met.topic or "", met.state or {}
