"""The loop: fan events out, claim a batch, run each work, record it under its fence."""

import os
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import structlog

from miniapp import db
from miniapp.core import failpoints
from miniapp.core.errors import Failure
from miniapp.outbox import service
from miniapp.outbox.jobs import Dead, Done, Job, Later, Local, NeverArrived, Outcome, Outside, Task
from miniapp.outbox.schedule import Clockwork, Every

log = structlog.get_logger()
POLL_SECONDS = 1.0
BATCH = 20
LOCAL_FIRST = timedelta(seconds=1)
LOCAL_LONGEST = timedelta(minutes=10)


class Worker:
    """Runs jobs until stopped. ``jobs``: name → job; ``after``: event name → job names."""

    def __init__(
        self,
        jobs: Mapping[str, Job],
        after: Mapping[str, Sequence[str]],
        *,
        schedule: Sequence[Every] = (),
        lease: timedelta = timedelta(seconds=60),
        threads: int = 4,
    ) -> None:
        missing = {name for names in after.values() for name in names} - set(jobs)
        if missing:
            raise ValueError(f"events are wired to jobs that do not exist: {sorted(missing)}")
        unknown = {one.job for one in schedule} - set(jobs)
        if unknown:
            raise ValueError(f"the clock is wired to jobs that do not exist: {sorted(unknown)}")
        self.jobs, self.after = jobs, after
        self.clockwork = Clockwork(schedule)
        self.lease, self.threads = lease, threads
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        self._stop = threading.Event()
        self._running = 0
        self._count = threading.Lock()

    def start(self) -> threading.Thread:
        """Run in a thread of this process (the embedded form)."""
        thread = threading.Thread(target=self.run, name="outbox", daemon=True)
        thread.start()
        return thread

    def stop(self) -> None:
        """Finish what is being run and end."""
        self._stop.set()
        service.wake.set()

    def run(self) -> None:
        """Work until ``stop``."""
        if not db.is_sqlite():
            threading.Thread(target=service.listen, args=(self._stop,), daemon=True).start()
        last_beat = 0.0
        with ThreadPoolExecutor(self.threads, thread_name_prefix="work") as pool:
            while not self._stop.is_set():
                try:
                    if time.monotonic() - last_beat > 5:
                        service.beat(self.name)
                        last_beat = time.monotonic()
                    if not self.round(pool):
                        service.wake.wait(POLL_SECONDS)
                        service.wake.clear()
                except Exception:
                    log.exception("outbox_round_failed")
                    self._stop.wait(POLL_SECONDS)

    def round(self, pool: ThreadPoolExecutor | None = None) -> int:
        """One pass; answers how many events and works it met. Without a pool everything runs here (tests)."""
        self.clockwork.tick()
        fanned = service.fan_out(self.after) if service.has_news() else 0
        free = BATCH if pool is None else self.threads - self._running
        claimed = service.claim(limit=min(BATCH, free), lease=self.lease) if free > 0 else []
        for job, called, task in claimed:
            if pool is None:
                self.run_one(job, called, task)
            else:
                with self._count:
                    self._running += 1
                pool.submit(self.run_one, job, called, task).add_done_callback(self._one_ended)
        return fanned + len(claimed)

    def _one_ended(self, _future: object) -> None:
        with self._count:
            self._running -= 1
        service.wake.set()

    def drain(self, *, rounds: int = 200) -> int:
        """Work until nothing is due (commands and tests); answers how much was met."""
        total = 0
        for _ in range(rounds):
            met = self.round()
            if not met:
                break
            total += met
        return total

    def run_one(self, name: str, called: bool, task: Task) -> None:
        """Run one leased work and record what came of it."""
        failpoints.hit("outbox.leased")
        job = self.jobs.get(name)
        if job is None:
            service.bury(task.work_id, fence=task.fence, reason=f"no job is named {name}")
            return
        try:
            outcome = self._attempt(job, called, task)
        except Failure as failure:
            outcome = Later(f"{failure.code}: {failure.message}")
        except Exception as error:
            log.exception("work_failed", job=name, work_id=task.work_id)
            outcome = Later(f"{type(error).__name__}")
        failpoints.hit("outbox.before_record")
        self._record(job, task, outcome or Done())
        failpoints.hit("outbox.recorded")

    def _attempt(self, job: Job, called: bool, task: Task) -> Outcome | None:
        if isinstance(job, Local):
            return job.run(task)
        if called:
            outcome = job.query(task)
            if not isinstance(outcome, NeverArrived):
                return outcome
            if not service.mark_uncalled(task.work_id, fence=task.fence):
                return Later("stale")
        return self._call(job, task)

    def _call(self, job: Outside, task: Task) -> Outcome | None:
        if not service.mark_called(task.work_id, fence=task.fence):
            return Later("stale")
        failpoints.hit("outbox.before_call")
        outcome = job.call(task)
        failpoints.hit("outbox.after_call")
        return outcome

    def _record(self, job: Job, task: Task, outcome: Outcome) -> None:
        if isinstance(outcome, Done):
            service.finish(task.work_id, fence=task.fence, detail=outcome.detail)
        elif isinstance(outcome, Dead):
            service.bury(task.work_id, fence=task.fence, reason=outcome.reason)
        elif isinstance(outcome, NeverArrived):
            service.mark_uncalled(task.work_id, fence=task.fence)
            self._postpone(job, task, Later(outcome.reason or "never arrived"))
        elif task.attempts >= job.max_attempts and outcome.counts:
            service.bury(task.work_id, fence=task.fence, reason=outcome.reason)
        else:
            self._postpone(job, task, outcome)

    def _postpone(self, job: Job, task: Task, outcome: Later) -> None:
        first = job.first_delay if isinstance(job, Outside) else LOCAL_FIRST
        longest = job.longest_delay if isinstance(job, Outside) else LOCAL_LONGEST
        after = outcome.after or service.backoff(task.attempts, first=first, longest=longest)
        service.postpone(
            task.work_id, fence=task.fence, after=after, reason=outcome.reason, counts=outcome.counts
        )
