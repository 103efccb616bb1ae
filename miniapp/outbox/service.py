"""Recorded work: put in the caller's transaction, claimed in batches, settled under a fence.

Claiming is one UPDATE of at most ``limit`` due rows (``SKIP LOCKED`` on PostgreSQL, BEGIN IMMEDIATE on SQLite).
Leases run on the machine's clock, due times on the program's: moving the program's clock ends no lease.
"""

import random
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict, is_dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import Integer, Table, bindparam, func, insert, or_, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from miniapp import db
from miniapp.core import audit
from miniapp.core.clock import now, real_now
from miniapp.core.errors import Missing, Refused
from miniapp.outbox.jobs import Task
from miniapp.outbox.models import Attempt, Beat, Event, Work

CHANNEL = "miniapp_outbox"
wake = threading.Event()
"""Set when work was committed in this process."""


def _table(model: Any) -> Table:
    found: Table = model.__table__
    return found


# The statements, made once: making them anew for each work costs more than running them.
_work, _event, _attempt = _table(Work), _table(Event), _table(Attempt)
_IS_NEW = text(
    "NOT outbox_event.is_fanned"
)  # in the words of its partial index, which SQLite compares as text
_NOTE = insert(_attempt)
_NEWS = select(_event.c.id).where(_IS_NEW).limit(1)
_NOTIFY = select(func.pg_notify(CHANNEL, ""))
_NEW_EVENTS = (
    select(_event.c.id)
    .where(_IS_NEW)
    .order_by(_event.c.id)
    .limit(bindparam("most", type_=Integer))
    .with_for_update(skip_locked=True)
)
_TAKE_EVENTS = (
    update(_event)
    .where(_event.c.id.in_(_NEW_EVENTS.scalar_subquery()))
    .values(is_fanned=True)
    .returning(_event.c.id, _event.c.name, _event.c.facts)
)
_PUT_COLUMNS = ("job", "key", "payload", "state", "due_at", "attempts", "fence", "called", "created_at")


def _put(dialect: Any) -> Any:
    values: dict[str, Any] = {name: bindparam(name) for name in _PUT_COLUMNS}
    once = dialect.insert(_work).values(values).on_conflict_do_nothing(index_elements=["job", "key"])
    return once.returning(_work.c.id)


_PUT = {"sqlite": _put(sqlite), "postgresql": _put(postgresql)}


def _claim(*more: Any) -> Any:
    due = (
        select(_work.c.id)
        .where(
            or_(
                (_work.c.state == "ready") & (_work.c.due_at <= bindparam("moment")),
                (_work.c.state == "leased") & (_work.c.lease_until < bindparam("machine")),
            ),
            *more,
        )
        .order_by(_work.c.due_at, _work.c.id)
        .limit(bindparam("most", type_=Integer))
        .with_for_update(skip_locked=True)
    )
    return (
        update(_work)
        .where(_work.c.id.in_(due.scalar_subquery()))
        .values(
            state="leased",
            fence=_work.c.fence + 1,
            attempts=_work.c.attempts + 1,
            lease_until=bindparam("until"),
        )
        .returning(
            *(_work.c[name] for name in ("id", "job", "key", "payload", "fence", "attempts", "called"))
        )
    )


_CLAIM = _claim()
_CLAIM_SOME = _claim(_work.c.job.in_(bindparam("jobs", expanding=True)))


@lru_cache(maxsize=32)
def _changing(names: frozenset[str]) -> Any:
    """``back`` is no column: it is how many attempts are given back."""
    values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in names - {"back"}}
    if "back" in names:
        values["attempts"] = _work.c.attempts - bindparam("new_back")
    return (
        update(_work)
        .where(
            _work.c.id == bindparam("of_work"),
            _work.c.fence == bindparam("of_fence"),
            _work.c.state == "leased",
        )
        .values(values)
    )


def put(session: Session, job: str, *, key: str, delay: timedelta | None = None, **payload: Any) -> bool:
    """Record one intention in the caller's transaction. The same (job, key) again is nothing; answers if new.

    Payloads hold ids and numbers only: never a payment code, a key or what a customer typed.
    """
    moment = now()
    row = {
        "job": job,
        "key": key,
        "payload": payload,
        "state": "ready",
        "due_at": moment + (delay or timedelta()),
        "attempts": 0,
        "fence": 0,
        "called": False,
        "created_at": moment,
    }
    # Not rowcount, which is -1 on PostgreSQL for such an insert.
    is_new = session.execute(_PUT[session.get_bind().dialect.name], row).first() is not None
    _wake_later(session)
    return is_new


def announce(session: Session, event: Any) -> None:
    """Record a fact (a frozen dataclass of plain values) in the caller's transaction."""
    if not is_dataclass(event) or isinstance(event, type):
        raise TypeError("an event is a frozen dataclass")
    session.add(Event(name=type(event).__name__, facts=asdict(event), at=now(), is_fanned=False))
    _wake_later(session)


def fan_out(after: Mapping[str, Iterable[str]], *, limit: int = 100) -> int:
    """Turn announced events into work, one work per listening job; answers how many events."""
    with db.transaction() as session:
        events = sorted(session.execute(_TAKE_EVENTS, {"most": limit}), key=lambda event: event.id)
        for event in events:
            for job in after.get(event.name, ()):
                put(session, job, key=f"event:{event.id}", **event.facts)
        return len(events)


def has_news() -> bool:
    """Is there an event that nobody has turned into work yet?"""
    with db.reading() as session:
        return session.scalar(_NEWS) is not None


def claim(*, limit: int, lease: timedelta, jobs: Iterable[str] | None = None) -> list[tuple[str, bool, Task]]:
    """Lease up to ``limit`` due rows: (job, may a call have gone out unrecorded, task) each."""
    moment, machine = now(), real_now()
    values: dict[str, Any] = {"moment": moment, "machine": machine, "until": machine + lease, "most": limit}
    statement = _CLAIM
    if jobs is not None:
        statement, values = _CLAIM_SOME, {**values, "jobs": list(jobs)}
    with db.transaction() as session:
        rows = session.execute(statement, values).all()
    return [
        (row.job, row.called, Task(row.id, row.key, row.payload, row.fence, row.attempts, machine + lease))
        for row in rows
    ]


def mark_called(work_id: int, *, fence: int) -> bool:
    """Commit that a call is about to go out. False: the lease was lost, so do not call."""
    return _settle(work_id, fence, called=True)


def mark_uncalled(work_id: int, *, fence: int) -> bool:
    """A query has proved that the call never arrived."""
    return _settle(work_id, fence, called=False)


def finish(work_id: int, *, fence: int, detail: str = "") -> bool:
    """Done; ``detail`` stays on the row itself. False: the fence was stale, and only that is noted."""
    kept = {"reason": detail[:2000]} if detail else {}
    return _settle(work_id, fence, state="done", ended_at=now(), **kept)


def finish_many(ended: Iterable[tuple[int, int]]) -> int:
    """Finish several (work id, fence) at once; answers how many fences were good."""
    good = 0
    with db.transaction() as session:
        for work_id, fence in ended:
            changed = _change(session, work_id, fence, state="done", ended_at=now(), lease_until=None)
            good += changed
            if not changed:
                session.add(Attempt(work_id=work_id, fence=fence, at=now(), result="stale"))
    return good


def postpone(work_id: int, *, fence: int, after: timedelta, reason: str, counts: bool = True) -> bool:
    """Try again later. ``counts`` False gives the attempt back (waiting for somebody is no failure)."""
    values: dict[str, Any] = {"state": "ready", "due_at": now() + after, "reason": reason[:2000]}
    if not counts:
        values["back"] = 1
    return _settle(work_id, fence, result="later", detail=reason, **values)


def bury(work_id: int, *, fence: int, reason: str) -> bool:
    """No more tries: a person sees it, with the reason."""
    return _settle(
        work_id, fence, result="dead", detail=reason, state="dead", ended_at=now(), reason=reason[:2000]
    )


def dig_up(work_id: int, *, by: str, why: str = "") -> None:
    """A person wants a dead row tried again; ``called`` stays, so it is queried first. Raises Missing, Refused."""
    with db.transaction() as session:
        work = session.get(Work, work_id, with_for_update=True)
        if work is None:
            raise Missing("core.not_found")
        if work.state != "dead":
            raise Refused("outbox.not_dead")
        work.state, work.attempts, work.due_at, work.ended_at = "ready", 0, now(), None
        audit.note(session, "work", work.id, "retry", by=by, before="dead", after="ready", why=why)
        _wake_later(session)


def give_up(work_id: int, *, by: str, why: str) -> None:
    """A person ends a dead row for good, with a reason. Raises Missing, Refused."""
    with db.transaction() as session:
        work = session.get(Work, work_id, with_for_update=True)
        if work is None:
            raise Missing("core.not_found")
        if work.state != "dead":
            raise Refused("outbox.not_dead")
        work.state = "done"
        audit.note(session, "work", work.id, "give_up", by=by, before="dead", after="done", why=why)


def backoff(attempts: int, *, first: timedelta, longest: timedelta) -> timedelta:
    """Doubling from ``first`` up to ``longest``, ±20 % so that a crowd does not return at once."""
    seconds = min(first.total_seconds() * 2 ** min(attempts - 1, 20), longest.total_seconds())
    return timedelta(seconds=seconds * random.uniform(0.8, 1.2))  # noqa: S311


def beat(worker: str) -> None:
    """The worker is alive."""
    with db.transaction() as session:
        row = session.get(Beat, worker)
        if row is None:
            session.add(Beat(worker=worker, at=now()))
        else:
            row.at = now()


def _settle(work_id: int, fence: int, *, result: str | None = None, detail: str = "", **values: Any) -> bool:
    with db.transaction() as session:
        if "state" in values:
            values["lease_until"] = None
        changed = _change(session, work_id, fence, **values)
        if result is not None or not changed:
            found = result if changed else "stale"
            session.execute(
                _NOTE,
                {"work_id": work_id, "fence": fence, "at": now(), "result": found, "detail": detail[:2000]},
            )
        return bool(changed)


def _change(session: Session, work_id: int, fence: int, **values: Any) -> int:
    """Write to a leased row under its fence; answers how many rows that were: one, or none for a stale fence."""
    given = {f"new_{name}": value for name, value in values.items()}
    done = session.execute(_changing(frozenset(values)), {"of_work": work_id, "of_fence": fence, **given})
    return int(done.rowcount)  # type: ignore[attr-defined]


def _wake_later(session: Session) -> None:
    if session.get_bind().dialect.name == "postgresql" and not session.info.get("outbox_notified"):
        session.execute(_NOTIFY)
        session.info["outbox_notified"] = True
    db.after_commit(wake.set)


def listen(stop: threading.Event) -> None:
    """Set ``wake`` when another process commits work (PostgreSQL only); ends with ``stop``."""
    while not stop.is_set():
        connection = db.engine().raw_connection()
        try:
            driver: Any = connection.driver_connection
            driver.autocommit = True
            driver.execute(f"LISTEN {CHANNEL}")
            while not stop.is_set():
                for _ in driver.notifies(timeout=1.0, stop_after=1):
                    wake.set()
        except Exception:
            stop.wait(1.0)
        finally:
            connection.invalidate()


def count_by_state(session: Session) -> dict[str, int]:
    """How much work there is in each state that is not done."""
    rows = session.execute(select(Work.state, func.count()).where(Work.state != "done").group_by(Work.state))
    return dict(rows.all())


def check_connection(session: Session) -> None:
    """Raise if the database does not answer."""
    session.execute(text("SELECT 1"))
