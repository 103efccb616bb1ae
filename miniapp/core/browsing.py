"""Sessions as doors use them: whole transactions around ``core.sessions``."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from miniapp import db
from miniapp.core import sessions
from miniapp.core.clock import now

TOUCH_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class Browser:
    """A live session: whose it is and what it remembers."""

    id: int
    subject_id: int | None
    data: dict[str, Any]


def sign_in(side: str, *, subject_id: int, lifetime: timedelta, old: str | None = None, **data: Any) -> str:
    """A new token at every sign-in; the old one ends. Answers the token for the cookie."""
    with db.transaction() as session:
        if old:
            sessions.end(session, old)
        return sessions.begin(session, side, lifetime=lifetime, subject_id=subject_id, **data)


def look(side: str, token: str, *, idle: timedelta | None = None) -> Browser | None:
    """The live session of a token, or None. Writes at most once a minute."""
    with db.reading() as session:
        row = sessions.find(session, side, token, idle=idle)
        if row is None:
            return None
        found, seen_at = Browser(row.id, row.subject_id, row.data), row.seen_at
    if idle is not None and now() - seen_at > TOUCH_EVERY:
        with db.transaction() as session:
            sessions.touch(session, found.id)
    return found


def sign_out(token: str) -> None:
    """End one session."""
    with db.transaction() as session:
        sessions.end(session, token)


def remember_state(token: str, *, minutes: int, **data: Any) -> None:
    """Keep what a login must find again when the browser comes back (``state``), once."""
    with db.transaction() as session:
        sessions.begin_with(session, "oauth", token, lifetime=timedelta(minutes=minutes), **data)


def take_state(token: str) -> dict[str, Any] | None:
    """The data of a state, which is used up by this; None for an unknown, old or used one."""
    with db.transaction() as session:
        row = sessions.find(session, "oauth", token)
        if row is None:
            return None
        data = dict(row.data)
        sessions.end(session, token)
        return data
