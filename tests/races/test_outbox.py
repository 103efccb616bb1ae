"""Workers beside each other: a row is leased by one, and a worker that came too late records nothing."""

import threading
from collections import Counter
from datetime import timedelta
from functools import partial

from sqlalchemy import select, update

from miniapp import db
from miniapp.outbox import service
from miniapp.outbox.jobs import Done, Local, NeverArrived, Outside, Task
from miniapp.outbox.models import Attempt, Work
from miniapp.outbox.worker import Worker
from tests.clocks import Clock
from tests.databases import Database
from tests.races.running import ROUNDS, together, unexpected

LEASE = timedelta(seconds=60)


def put_many(count: int, *, job: str = "count", prefix: str = "") -> None:
    with db.transaction() as session:
        for at in range(count):
            service.put(session, job, key=f"{prefix}{at}", at=at)


def lapse(work_id: int) -> None:
    """The lease of a work runs out."""
    with db.transaction() as session:
        session.execute(
            update(Work)
            .where(Work.id == work_id)
            .values(lease_until=service.real_now() - timedelta(seconds=1))
        )


def test_two_workers_never_lease_the_same_row(database: Database, clock: Clock) -> None:
    for turn in range(ROUNDS):
        put_many(30, prefix=f"{turn}:")
        seen: list[int] = []
        found = True
        while found:
            batches = together([partial(service.claim, limit=7, lease=LEASE)] * 4)
            assert not unexpected(batches), batches
            seen += [task.work_id for batch in batches for _, _, task in batch]
            found = any(batches)
        assert len(seen) == len(set(seen)) == 30, Counter(seen).most_common(3)


def test_two_workers_run_each_work_once(database: Database, clock: Clock) -> None:
    ran: Counter[int] = Counter()
    lock = threading.Lock()

    def count(task: Task) -> Done:
        with lock:
            ran[task.payload["at"]] += 1
        return Done()

    put_many(120)
    results = together([Worker({"count": Local(count)}, {}).drain] * 3)
    assert sum(results) == 120
    assert set(ran.values()) == {1} and len(ran) == 120


def test_the_same_intention_recorded_at_once_is_one_work(database: Database, clock: Clock) -> None:
    def put(key: str) -> bool:
        with db.transaction() as session:
            return service.put(session, "count", key=key)

    for turn in range(ROUNDS):
        assert sum(together([partial(put, f"one:{turn}")] * 6)) == 1


def test_two_workers_turn_an_event_into_one_work(database: Database, clock: Clock) -> None:
    from miniapp.invoices.events import DocumentReady

    with db.transaction() as session:
        for invoice_id in range(60):
            service.announce(session, DocumentReady(invoice_id))

    results = together([partial(service.fan_out, {"DocumentReady": ("tell", "print")})] * 4)

    assert sum(results) == 60
    with db.reading() as session:
        assert len(session.scalars(select(Work.id)).all()) == 120


def test_a_stale_fence_writes_only_its_evidence(database: Database, clock: Clock) -> None:
    put_many(1)
    ((_, _, first),) = service.claim(limit=1, lease=LEASE)
    lapse(first.work_id)
    ((_, _, second),) = service.claim(limit=1, lease=LEASE)
    assert (second.work_id, second.fence) == (first.work_id, first.fence + 1)

    assert not service.mark_called(first.work_id, fence=first.fence)
    assert not service.finish(first.work_id, fence=first.fence)
    assert not service.bury(first.work_id, fence=first.fence, reason="late")
    assert not service.postpone(first.work_id, fence=first.fence, after=timedelta(0), reason="late")
    assert service.finish(second.work_id, fence=second.fence)

    with db.reading() as session:
        work = session.get_one(Work, first.work_id)
        results = list(session.scalars(select(Attempt.result).order_by(Attempt.id)))
    assert (work.state, work.called) == ("done", False)
    assert results == ["stale"] * 4


def test_who_wakes_up_after_the_lease_calls_nobody(database: Database, clock: Clock) -> None:
    """A worker that slept over its lease must not send: the next one has asked already."""
    calls: list[str] = []
    job = Outside(
        call=lambda task: calls.append(f"call {task.fence}"),  # type: ignore[func-returns-value]
        query=lambda task: calls.append(f"query {task.fence}") or NeverArrived(),  # type: ignore[func-returns-value]
    )
    put_many(1, job="out")
    worker = Worker({"out": job}, {})
    ((name, called, late),) = service.claim(limit=1, lease=LEASE)
    lapse(late.work_id)
    worker.round()
    worker.run_one(name, called, late)
    assert calls == ["call 2"]


def test_a_call_that_may_have_gone_out_is_asked_about_first(database: Database, clock: Clock) -> None:
    calls: list[str] = []

    def die(task: Task) -> None:
        calls.append("call")
        raise SystemExit

    asked = Outside(call=die, query=lambda task: calls.append("query") or Done())  # type: ignore[func-returns-value]
    put_many(1, job="out")
    worker = Worker({"out": asked}, {})
    for _ in range(2):
        try:
            worker.round()
        except SystemExit:
            with db.reading() as session:
                lapse(session.scalars(select(Work.id)).one())
    assert calls == ["call", "query"]
