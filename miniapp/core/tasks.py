"""Work for a person: opened by the program in the transaction that finds it, closed by a person. All have a deadline."""

from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from miniapp.core import audit
from miniapp.core.clock import now
from miniapp.core.errors import Again, Missing
from miniapp.core.models import Task

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
