"""Signed-in browsers: a random token in the cookie, its hash and state in the database, so that any can be ended."""

import hashlib
import secrets
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from miniapp.core.clock import now
from miniapp.core.models import WebSession


def begin(
    session: Session, side: str, *, lifetime: timedelta, subject_id: int | None = None, **data: Any
) -> str:
    """A new session of a side (``customer`` or ``console``); answers the token for the cookie."""
    token = secrets.token_urlsafe(32)
    begin_with(session, side, token, lifetime=lifetime, subject_id=subject_id, **data)
    return token


def begin_with(
    session: Session,
    side: str,
    token: str,
    *,
    lifetime: timedelta,
    subject_id: int | None = None,
    **data: Any,
) -> None:
    """The same under a random token that the caller has made."""
    moment = now()
    session.add(
        WebSession(
            token_hash=_hash(token),
            side=side,
            subject_id=subject_id,
            data=data,
            created_at=moment,
            seen_at=moment,
            expires_at=moment + lifetime,
        )
    )


def find(session: Session, side: str, token: str, *, idle: timedelta | None = None) -> WebSession | None:
    """The live session of a token, or None."""
    row = session.scalar(
        select(WebSession).where(WebSession.token_hash == _hash(token), WebSession.side == side)
    )
    if row is None or row.expires_at <= now():
        return None
    return None if idle is not None and row.seen_at + idle <= now() else row


def touch(session: Session, row_id: int) -> None:
    """The person has just done something."""
    row = session.get(WebSession, row_id)
    if row is not None:
        row.seen_at = now()


def end(session: Session, token: str) -> None:
    """Sign out one browser."""
    session.execute(delete(WebSession).where(WebSession.token_hash == _hash(token)))


def end_all(session: Session, side: str, subject_id: int) -> None:
    """Sign out a person everywhere."""
    session.execute(delete(WebSession).where(WebSession.side == side, WebSession.subject_id == subject_id))


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
