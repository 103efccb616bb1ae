"""Limits on guessing, kept in the database so that several processes share them."""

from datetime import timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from miniapp.core.clock import now
from miniapp.core.errors import TooOften
from miniapp.core.models import LimitHit

HOUR = timedelta(hours=1)


def check(session: Session, scope: str, *, at_most: int, within: timedelta = HOUR, key: str) -> None:
    """Raise TooOften (message ``key``) once ``at_most`` hits lie within the window."""
    since = now() - within
    hits, first = session.execute(
        select(func.count(), func.min(LimitHit.at)).where(LimitHit.scope == scope, LimitHit.at > since)
    ).one()
    if hits >= at_most:
        wait = first.replace(tzinfo=since.tzinfo) + within - now()
        raise TooOften(key, retry_after=max(1, int(wait.total_seconds())))


def hit(session: Session, scope: str) -> None:
    """Count one attempt."""
    session.add(LimitHit(scope=scope[:160], at=now()))


def take_back(session: Session, scope: str) -> None:
    """The newest counted attempt was a right one after all."""
    newest = select(func.max(LimitHit.id)).where(LimitHit.scope == scope[:160]).scalar_subquery()
    session.execute(
        delete(LimitHit).where(LimitHit.id == newest).execution_options(synchronize_session=False)
    )


def forget(session: Session, *, older_than: timedelta = timedelta(days=2)) -> None:
    """Remove counts that no window can see any more."""
    session.execute(delete(LimitHit).where(LimitHit.at < now() - older_than))
