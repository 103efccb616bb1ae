"""Clock work: each slot of time is one recorded work, put by whichever worker comes first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select

from miniapp import db
from miniapp.core.clock import now
from miniapp.outbox import service
from miniapp.outbox.models import Attempt, Work

KEEP = timedelta(days=7)


@dataclass(frozen=True)
class Every:
    """A job without payload that runs once in each slot of ``period``."""

    job: str
    period: timedelta

    def slot(self, moment: datetime) -> int:
        """The number of the slot that a moment lies in."""
        return int(moment.timestamp() // self.period.total_seconds())


class Clockwork:
    """Remembers the slots that this process has seen, so that most rounds ask nothing of the database."""

    def __init__(self, schedule: Sequence[Every]) -> None:
        self.schedule = schedule
        self._seen: dict[str, int] = {}

    def tick(self) -> int:
        """Record the work of every slot that has begun since the last tick; answers how many were new."""
        moment = now()
        due = [one for one in self.schedule if self._seen.get(one.job) != one.slot(moment)]
        if not due:
            return 0
        with db.transaction() as session:
            new = sum(service.put(session, one.job, key=f"slot:{one.slot(moment)}") for one in due)
        for one in due:
            self._seen[one.job] = one.slot(moment)
        return new


def forget_done(schedule: Sequence[Every]) -> int:
    """Remove clock work that is long done; intentions stay for ever, because their keys keep them from coming twice."""
    with db.transaction() as session:
        old = session.scalars(
            select(Work.id)
            .where(
                Work.job.in_([one.job for one in schedule]),
                Work.state == "done",
                Work.created_at < now() - KEEP,
            )
            .limit(1000)
        ).all()
        session.execute(delete(Attempt).where(Attempt.work_id.in_(old)))
        session.execute(delete(Work).where(Work.id.in_(old)))
        return len(old)
