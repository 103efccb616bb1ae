"""What the terminal door remembers: nonces that were used, and the settled answers to Idempotency-Keys."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from miniapp import db
from miniapp.core.clock import now, real_now
from miniapp.outbox.jobs import Done, Outcome, Task
from miniapp.payments.models import KeyConflict, SettledReply, TerminalNonce
from miniapp.stores.models import Terminal

NONCE_LIVES = timedelta(minutes=11)
REPLY_LIVES = timedelta(hours=48)
RUNS_AT_MOST = timedelta(seconds=20)
"""A first call that is older and has not ended died with its process: the next one goes on with it."""


@dataclass(frozen=True)
class Mine:
    """Nobody has an answer yet: do the work, then ``settle``, ``leave_open`` or ``forget_key``."""

    reply_id: int


@dataclass(frozen=True)
class Settled:
    """The first settled answer, to be given again byte for byte."""

    status: int
    body: bytes


@dataclass(frozen=True)
class Running:
    """The first call with this key has not ended yet."""


@dataclass(frozen=True)
class OtherContent:
    """The key came before with another request; a conflict row was written."""


Begun = Mine | Settled | Running | OtherContent


@db.retried
def use_nonce(key_id: str, nonce: str) -> bool:
    """Use a nonce up; False: it was used before within ten minutes."""
    with db.transaction() as session:
        statement = (
            _insert(TerminalNonce)
            .values(key_id=key_id, nonce=nonce, at=now())
            .on_conflict_do_nothing(index_elements=["key_id", "nonce"])
            .returning(TerminalNonce.nonce)
        )
        return session.execute(statement).first() is not None


@db.retried
def begin(terminal_id: int, route: str, key: str, fingerprint: str) -> Begun:
    """Somebody calls with an Idempotency-Key: what is known of it."""
    with db.transaction() as session:
        statement = (
            _insert(SettledReply)
            .values(
                terminal_id=terminal_id,
                route=route,
                key=key,
                fingerprint=fingerprint,
                begun_at=now(),
                running_until=real_now() + RUNS_AT_MOST,
            )
            .on_conflict_do_nothing(index_elements=["terminal_id", "route", "key"])
            .returning(SettledReply.id)
        )
        is_new = session.execute(statement).first() is not None
        row = session.scalars(
            select(SettledReply)
            .where(
                SettledReply.terminal_id == terminal_id, SettledReply.route == route, SettledReply.key == key
            )
            .with_for_update()
        ).one()
        return Mine(row.id) if is_new else _again(session, row, fingerprint)


@db.retried
def settle(reply_id: int, *, status: int, body: bytes) -> None:
    """Keep the settled answer. The first one stays."""
    with db.transaction() as session:
        session.execute(
            update(SettledReply)
            .where(SettledReply.id == reply_id, SettledReply.status.is_(None))
            .values(status=status, body=body, settled_at=now(), running_until=None)
        )


@db.retried
def leave_open(reply_id: int) -> None:
    """The outcome is open: the next call with the key answers the state of then."""
    with db.transaction() as session:
        session.execute(update(SettledReply).where(SettledReply.id == reply_id).values(running_until=None))


@db.retried
def forget_key(reply_id: int) -> None:
    """The call was refused and nothing moved: nothing is kept."""
    with db.transaction() as session:
        session.execute(
            delete(SettledReply).where(SettledReply.id == reply_id, SettledReply.status.is_(None))
        )


@db.retried
def beat(terminal_id: int, report: dict[str, object]) -> None:
    """A terminal is alive and says how it is."""
    with db.transaction() as session:
        session.execute(
            update(Terminal).where(Terminal.id == terminal_id).values(last_beat_at=now(), last_beat=report)
        )


def forget(task: Task) -> Outcome:
    """Work: remove nonces and answers that nobody may ask for any more."""
    with db.transaction() as session:
        session.execute(delete(TerminalNonce).where(TerminalNonce.at < now() - NONCE_LIVES))
        session.execute(delete(SettledReply).where(SettledReply.begun_at < now() - REPLY_LIVES))
    return Done()


def _again(session: Session, row: SettledReply, fingerprint: str) -> Begun:
    if row.fingerprint != fingerprint:
        session.add(
            KeyConflict(
                terminal_id=row.terminal_id,
                route=row.route,
                key=row.key,
                fingerprint=fingerprint,
                at=now(),
            )
        )
        return OtherContent()
    if row.status is not None:
        return Settled(row.status, row.body or b"")
    if row.running_until is not None and row.running_until > real_now():
        return Running()
    row.running_until = real_now() + RUNS_AT_MOST
    return Mine(row.id)


def _insert(model: type[TerminalNonce] | type[SettledReply]) -> Any:
    dialect = sqlite if db.is_sqlite() else postgresql
    return dialect.insert(model)
