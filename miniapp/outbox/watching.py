"""What the outbox looks like from outside: ready or not, how much waits, what is dead; and lists for the console."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from prometheus_client import Gauge
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from miniapp import db
from miniapp.core.clock import now
from miniapp.migrations import running
from miniapp.outbox import service
from miniapp.outbox.models import Attempt, Beat, Event, Work

_waiting = Gauge("miniapp_outbox_work", "Recorded work by state", ["state"])


@dataclass(frozen=True)
class WorkRow:
    """One work as the console shows it; payloads hold ids only."""

    id: int
    job: str
    key: str
    payload: dict[str, Any]
    state: str
    attempts: int
    due_at: datetime
    created_at: datetime
    reason: str


@dataclass(frozen=True)
class AttemptRow:
    """One try of a work."""

    at: datetime
    result: str
    detail: str


def readiness(*, beat_age: timedelta) -> dict[str, bool]:
    """Does the database answer, is it at our revision, has a worker beaten lately?"""
    try:
        with db.reading() as session:
            service.check_connection(session)
            last = session.scalar(select(func.max(Beat.at)))
        return {
            "database": True,
            "migrations": running.is_current(db.engine()),
            "worker": last is not None and now() - last < beat_age,
        }
    except SQLAlchemyError:
        return {"database": False, "migrations": False, "worker": False}


def refresh_metrics() -> None:
    """Put the numbers of now into the gauges."""
    with db.reading() as session:
        counts = service.count_by_state(session)
    for state in ("ready", "leased", "dead"):
        _waiting.labels(state).set(counts.get(state, 0))


def counts() -> dict[str, int]:
    """Work that is not done, by state, and events that nobody has turned into work yet."""
    with db.reading() as session:
        found = service.count_by_state(session)
        found["new_events"] = session.scalar(select(func.count()).where(Event.is_fanned.is_(False))) or 0
    return found


def rows(*, state: str = "dead", page: int = 1, size: int = 50) -> list[WorkRow]:
    """Work in one state, the newest first."""
    with db.reading() as session:
        query = select(Work).where(Work.state == state).order_by(Work.id.desc())
        found = session.scalars(query.offset((page - 1) * size).limit(size))
        return [
            WorkRow(
                one.id,
                one.job,
                one.key,
                one.payload,
                one.state,
                one.attempts,
                one.due_at,
                one.created_at,
                one.reason or "",
            )
            for one in found
        ]


def attempts(work_id: int) -> list[AttemptRow]:
    """Every try of one work, the newest first."""
    with db.reading() as session:
        found = session.scalars(
            select(Attempt).where(Attempt.work_id == work_id).order_by(Attempt.id.desc()).limit(50)
        )
        return [AttemptRow(one.at, one.result, one.detail or "") for one in found]
