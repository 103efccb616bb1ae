"""Recorded work: once per intention, leased under a fence, queried before it is repeated, dead where a person sees it."""

from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlalchemy import select

from miniapp import db
from miniapp.outbox import schedule, service, watching
from miniapp.outbox.jobs import Dead, Done, Later, Local, NeverArrived, Outside, Task
from miniapp.outbox.models import Attempt, Work
from miniapp.outbox.schedule import Every
from miniapp.outbox.worker import Worker
from tests.clocks import Clock
from tests.databases import Database

LEASE = timedelta(seconds=60)


@pytest.fixture(autouse=True)
def installation(database: Database, clock: Clock) -> None:
    """An empty outbox on each database."""


@dataclass(frozen=True)
class Happened:
    """A fact of the tests."""

    thing_id: int


def put(job: str = "job", key: str = "1", **payload: object) -> bool:
    with db.transaction() as session:
        return service.put(session, job, key=key, **payload)


def work() -> list[tuple[str, int, bool]]:
    with db.reading() as session:
        return [
            (one.state, one.attempts, one.called) for one in session.scalars(select(Work).order_by(Work.id))
        ]


def test_the_same_intention_is_recorded_once() -> None:
    assert [put(), put(), put(key="2")] == [True, False, True]


def test_nothing_is_recorded_when_the_decision_is_undone() -> None:
    with pytest.raises(RuntimeError), db.transaction() as session:
        service.put(session, "job", key="1")
        service.announce(session, Happened(1))
        raise RuntimeError
    assert work() == [] and not service.has_news()


def test_events_become_work_once_for_each_listener() -> None:
    with db.transaction() as session:
        service.announce(session, Happened(7))
    seen: list[tuple[str, object]] = []
    jobs = {
        name: Local(lambda task, name=name: seen.append((name, task.payload["thing_id"])))  # type: ignore[misc]
        for name in ("a", "b")
    }
    worker = Worker(jobs, {"Happened": ("a", "b")})
    worker.drain()
    worker.drain()
    assert sorted(seen) == [("a", 7), ("b", 7)]


def test_a_wire_without_a_job_stops_the_start() -> None:
    with pytest.raises(ValueError, match="nobody"):
        Worker({}, {"Happened": ("nobody",)})


def test_a_job_that_calls_outside_says_how_it_is_queried() -> None:
    with pytest.raises(TypeError):
        Outside(call=lambda task: None)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="queried"):
        same = lambda task: None  # noqa: E731
        Outside(call=same, query=same)


class Other:
    """The other side: counts calls, may fail after the call."""

    def __init__(self) -> None:
        self.calls = self.queries = 0
        self.crashes = 0
        self.knows = False

    def call(self, task: Task) -> Done:
        self.calls += 1
        self.knows = True
        if self.crashes:
            self.crashes -= 1
            raise ConnectionError("cut")
        return Done()

    def query(self, task: Task) -> Done | NeverArrived:
        self.queries += 1
        return Done("known") if self.knows else NeverArrived()

    @property
    def job(self) -> Outside:
        return Outside(self.call, self.query)


def test_a_lost_answer_is_queried_and_not_called_again(clock: Clock) -> None:
    other = Other()
    other.crashes = 1
    put()
    worker = Worker({"job": other.job}, {})
    worker.drain()
    clock.forward(minutes=1)
    worker.drain()
    assert (other.calls, other.queries) == (1, 1)
    assert work()[0][0] == "done"


def test_only_a_proof_that_it_never_arrived_lets_it_be_called_again(clock: Clock) -> None:
    other = Other()
    put()
    ((_, called, task),) = service.claim(limit=1, lease=timedelta(seconds=-1))
    assert not called and service.mark_called(task.work_id, fence=task.fence)
    Worker({"job": other.job}, {}).drain()
    assert (other.queries, other.calls) == (1, 1)


def test_a_stale_fence_settles_nothing_and_stays_as_evidence() -> None:
    put()
    ((_, _, old),) = service.claim(limit=1, lease=timedelta(seconds=-1))
    ((_, _, new),) = service.claim(limit=1, lease=LEASE)
    assert new.fence == old.fence + 1
    assert not service.mark_called(old.work_id, fence=old.fence)
    assert not service.finish(old.work_id, fence=old.fence)
    assert work() == [("leased", 2, False)]
    assert service.finish(new.work_id, fence=new.fence)
    with db.reading() as session:
        assert [one.result for one in session.scalars(select(Attempt))].count("stale") == 2


def test_a_leased_row_is_nobody_elses_until_the_lease_ends(clock: Clock) -> None:
    put()
    assert len(service.claim(limit=5, lease=LEASE)) == 1
    clock.forward(days=1)
    assert service.claim(limit=5, lease=LEASE) == []


def test_tries_back_off_and_end_dead_with_their_reason(clock: Clock) -> None:
    put()
    worker = Worker({"job": Local(lambda task: Later("no luck"), max_attempts=3)}, {})
    worker.drain()
    assert work() == [("ready", 1, False)]
    for _ in range(5):
        clock.forward(hours=1)
        worker.drain()
    assert work() == [("dead", 3, False)]
    (dead,) = watching.rows(state="dead")
    assert dead.reason == "no luck"
    service.dig_up(dead.id, by="staff:admin")
    assert work()[0][0] == "ready"


def test_waiting_for_somebody_is_no_failure(clock: Clock) -> None:
    put()
    worker = Worker(
        {"job": Local(lambda task: Later("waits", after=timedelta(seconds=1), counts=False), max_attempts=2)},
        {},
    )
    for _ in range(5):
        clock.forward(seconds=2)
        worker.drain(rounds=1)
    assert work() == [("ready", 0, False)]


def test_a_job_may_ask_for_a_person_at_once() -> None:
    put()
    Worker({"job": Local(lambda task: Dead("look here"))}, {}).drain()
    assert work()[0][0] == "dead"


def test_work_without_a_job_is_shown_and_not_lost() -> None:
    put(job="of-yesterday")
    Worker({}, {}).drain()
    assert work()[0][0] == "dead"


def test_clock_work_comes_once_in_each_slot(clock: Clock) -> None:
    every = (Every("tick", timedelta(minutes=10)),)
    seen: list[str] = []
    job = {"tick": Local(lambda task: seen.append(task.key))}
    for _ in range(3):
        Worker(job, {}, schedule=every).drain()
    clock.forward(minutes=10)
    Worker(job, {}, schedule=every).drain()
    assert len(seen) == len(set(seen)) == 2
    clock.forward(days=9)
    assert schedule.forget_done(every) == 2
