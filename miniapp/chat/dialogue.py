"""One turn: a person and a text in, a reply out. The same message again gets the stored reply and does nothing."""

from datetime import timedelta

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from miniapp import db
from miniapp.chat import intents
from miniapp.chat.models import Conversation, SeenMessage
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
        known = _seen(session, account, key)
        if known is not None:
            return known
        customer_id = customers.find(session, app_id, open_id)
        staff = stores.person_of_identity(session, app_id, open_id)
        topic, state = _table(session, app_id, open_id)
    if customer_id is None:
        customer = customers.recognise(platform=platform, app_id=app_id, open_id=open_id)
    else:
        customer = CustomerView(customer_id, platform, app_id, open_id)
    turn = Turn(
        account, platform, app_id, open_id, text[:LONGEST], key, public_base, customer, staff, topic, state
    )
    reply = intents.reply(turn)
    return _remember(turn, reply)


def note_event(*, account: str, key: str, reply: str = SILENCE) -> str:
    """An event that needs no conversation: stored once, answered alike each time."""
    with db.reading() as session:
        known = _seen(session, account, key)
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
            session.merge(
                Conversation(
                    app_id=turn.app_id,
                    open_id=turn.open_id,
                    topic=reply.topic,
                    state=dict(reply.state),
                    at=now(),
                )
            )
    failpoints.hit("inbox.stored")
    return text


def _store(session: Session, account: str, key: str, reply: str) -> str:
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    row = {"account": account, "key": key[:200], "reply": reply, "at": now()}
    done = session.execute(
        dialect.insert(SeenMessage).values(row).on_conflict_do_nothing(index_elements=["account", "key"])
    )
    if done.rowcount == 1:  # type: ignore[attr-defined]
        return reply
    known = _seen(session, account, key)
    return reply if known is None else known


def _seen(session: Session, account: str, key: str) -> str | None:
    return session.scalar(
        select(SeenMessage.reply).where(SeenMessage.account == account, SeenMessage.key == key[:200])
    )


def _table(session: Session, app_id: str, open_id: str) -> tuple[str, dict[str, object]]:
    row = session.get(Conversation, (app_id, open_id))
    if row is None or row.at < now() - FORGET_TABLE:
        return "", {}
    return row.topic, row.state
