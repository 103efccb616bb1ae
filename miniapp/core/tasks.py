"""Work for a person: opened by the program in the transaction that finds it, closed by a person. All have a deadline."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, case, func, or_, select, true
from sqlalchemy.orm import Session

from miniapp import db
from miniapp.core import audit
from miniapp.core.clock import now
from miniapp.core.errors import Again, Missing, Refused
from miniapp.core.models import Task
from miniapp.core.reach import Reach
from miniapp.core.text import say

OUTCOME_LENGTH = 200

DEADLINES = {
    "reversal": timedelta(days=1),
    "check_invoice": timedelta(days=1),
    "orphan_refund": timedelta(days=3),
    "incident": timedelta(hours=4),
    "unknown_invoice": timedelta(hours=24),
    "unknown_charge": timedelta(hours=4),
    "late_request": timedelta(days=3),
    "revised_bill": timedelta(days=1),
    "uncertain_print": timedelta(hours=4),
    "wrong_document": timedelta(hours=8),
}


def open_once(
    session: Session,
    kind: str,
    key: str,
    *,
    store_id: int | None = None,
    company_id: int | None = None,
    **values: Any,
) -> Task:
    """Open a task, or find the open one of the same kind and key. ``values`` fill its sentence ``tasks.<kind>``."""
    task = session.scalar(select(Task).where(Task.kind == kind, Task.key == key, Task.state == "open"))
    if task is None:
        opened = now()
        task = Task(
            kind=kind,
            key=key,
            store_id=store_id,
            company_id=company_id,
            values=values,
            state="open",
            opened_at=opened,
            deadline_at=opened + DEADLINES[kind],
        )
        session.add(task)
        session.flush()
    else:
        task.values = {**task.values, **values}
    return task


def close(session: Session, task_id: int, *, by: str, outcome: str, state: str = "done") -> None:
    """A person has done it (``done``) or found it needless (``dropped``). Raises Missing, Again."""
    task = session.get(Task, task_id, with_for_update=True)
    if task is None:
        raise Missing("core.not_found")
    if task.state != "open":
        raise Again("core.task_closed", by=task.closed_by)
    task.state, task.closed_at, task.closed_by, task.outcome = state, now(), by, outcome
    audit.note(session, "task", task.id, "close", by=by, before="open", after=state, why=outcome)


@dataclass(frozen=True)
class TaskRow:
    """A task as the console shows it. ``values`` are those of its sentence."""

    id: int
    kind: str
    sentence: str
    values: dict[str, Any]
    state: str
    store_id: int | None
    opened_at: datetime
    deadline_at: datetime
    closed_at: datetime | None
    closed_by: str
    outcome: str


@dataclass(frozen=True)
class Count:
    """How many open tasks there are, how many are past their deadline, and the next deadline."""

    open: int
    overdue: int
    next_deadline_at: datetime | None


def listed(
    *, reach: Reach, state: str = "open", kind: str = "", page: int = 1, size: int = 50
) -> list[TaskRow]:
    """Tasks within a person's reach: open ones by deadline, ended ones the newest first."""
    with db.reading() as session:
        query = select(Task).where(_within(reach), Task.state == state)
        if kind:
            query = query.where(Task.kind == kind)
        order = (Task.deadline_at, Task.id) if state == "open" else (Task.closed_at.desc(), Task.id.desc())
        rows = session.scalars(query.order_by(*order).offset((page - 1) * size).limit(size))
        return [_row(row) for row in rows]


def counted(*, reach: Reach) -> Count:
    """Open tasks within a person's reach, in numbers."""
    with db.reading() as session:
        late = case((Task.deadline_at < now(), 1), else_=0)
        count, overdue, following = session.execute(
            select(func.count(), func.coalesce(func.sum(late), 0), func.min(Task.deadline_at)).where(
                _within(reach), Task.state == "open"
            )
        ).one()
    return Count(count, overdue, following)


def end(task_id: int, *, reach: Reach, by: str, outcome: str, state: str = "done") -> None:
    """A person ends a task within their reach, in words. Raises Missing, Again, Refused (no words)."""
    words = outcome.strip()[:OUTCOME_LENGTH]
    if not words:
        raise Refused("core.outcome_needed")
    with db.transaction() as session:
        if session.scalar(select(Task.id).where(Task.id == task_id, _within(reach))) is None:
            raise Missing("core.not_found")
        close(session, task_id, by=by, outcome=words, state=state)


def _within(reach: Reach) -> ColumnElement[bool]:
    if reach.is_everywhere:
        return true()
    return or_(Task.store_id.in_(reach.store_ids), Task.company_id.in_(reach.company_ids))


def _row(row: Task) -> TaskRow:
    return TaskRow(
        row.id,
        row.kind,
        _sentence(row),
        row.values,
        row.state,
        row.store_id,
        row.opened_at,
        row.deadline_at,
        row.closed_at,
        row.closed_by or "",
        row.outcome or "",
    )


def _sentence(row: Task) -> str:
    """Its sentence; an old row whose values no longer fill it still names itself."""
    try:
        return say(f"tasks.{row.kind}", **row.values)
    except KeyError:
        return f"{row.kind} {row.key}"
