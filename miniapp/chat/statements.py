"""The statements of every turn, put together once: making them anew for each message costs more than running them."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import BindParameter, Table, bindparam, literal, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from miniapp.chat.models import Conversation, SeenMessage
from miniapp.customers.models import Identity
from miniapp.stores.models import StaffIdentity


class Met(NamedTuple):
    """Who speaks and what is known of it: the stored reply of a repeated message, the ids, the table."""

    reply: str | None
    customer_id: int | None
    staff_id: int | None
    topic: str | None
    state: dict[str, Any] | None
    at: datetime | None


def _table(model: Any) -> Table:
    found: Table = model.__table__
    return found


_message, _conversation = _table(SeenMessage), _table(Conversation)
_identity, _staff = _table(Identity), _table(StaffIdentity)
_account: BindParameter[str] = bindparam("account")
_key: BindParameter[str] = bindparam("key")
_app_id: BindParameter[str] = bindparam("app_id")
_open_id: BindParameter[str] = bindparam("open_id")
_SEEN = select(_message.c.reply).where(_message.c.account == _account, _message.c.key == _key)
_one = select(literal(1).label("one")).subquery()
_MEET = select(
    _message.c.reply,
    _identity.c.customer_id,
    _staff.c.staff_id,
    _conversation.c.topic,
    _conversation.c.state,
    _conversation.c.at,
).select_from(
    _one.outerjoin(_message, (_message.c.account == _account) & (_message.c.key == _key))
    .outerjoin(_identity, (_identity.c.app_id == _app_id) & (_identity.c.open_id == _open_id))
    .outerjoin(_staff, (_staff.c.app_id == _app_id) & (_staff.c.open_id == _open_id))
    .outerjoin(_conversation, (_conversation.c.app_id == _app_id) & (_conversation.c.open_id == _open_id))
)


def _see(dialect: Any) -> Any:
    insert = dialect.insert(_message).on_conflict_do_nothing(index_elements=["account", "key"])
    return insert.values(_parameters("account", "key", "reply", "at")).returning(_message.c.id)


def _lay(dialect: Any) -> Any:
    insert = dialect.insert(_conversation).values(_parameters("app_id", "open_id", "topic", "state", "at"))
    changed = {name: insert.excluded[name] for name in ("topic", "state", "at")}
    return insert.on_conflict_do_update(index_elements=["app_id", "open_id"], set_=changed)


def _parameters(*names: str) -> dict[str, Any]:
    return {name: bindparam(name) for name in names}


_SEE = {"sqlite": _see(sqlite), "postgresql": _see(postgresql)}
_LAY = {"sqlite": _lay(sqlite), "postgresql": _lay(postgresql)}


def meet(session: Session, *, account: str, key: str, app_id: str, open_id: str) -> Met:
    """Everything that a turn begins with, in one statement."""
    values = {"account": account, "key": key, "app_id": app_id, "open_id": open_id}
    return Met(*session.execute(_MEET, values).one())


def seen(session: Session, account: str, key: str) -> str | None:
    """The reply that was stored for a message, or None for a new one."""
    found: str | None = session.scalar(_SEEN, {"account": account, "key": key})
    return found


def see(session: Session, *, account: str, key: str, reply: str, at: datetime) -> bool:
    """Store a message with its reply; False: it was there already, and stays as it was."""
    values = {"account": account, "key": key, "reply": reply, "at": at}
    return session.execute(_SEE[_dialect(session)], values).first() is not None


def lay(
    session: Session, *, app_id: str, open_id: str, topic: str, state: dict[str, Any], at: datetime
) -> None:
    """Put something on a person's table in place of what lay there."""
    values = {"app_id": app_id, "open_id": open_id, "topic": topic, "state": state, "at": at}
    session.execute(_LAY[_dialect(session)], values)


def _dialect(session: Session) -> str:
    return session.get_bind().dialect.name
