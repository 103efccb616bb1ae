"""The outbox against a loop that does one row per commit: claim 20, run each, settle each under its fence.

    python -m benchmarks.outbox_work [--kind sqlite] [--works 2000] [--rounds 3] [--workers 4]

The floor takes a row of a bare table by the driver itself and marks it done, one commit a row. SQLite: workers are threads of
one process behind its write lock; PostgreSQL: workers are processes. Works are local jobs that do nothing, so that what is
measured is the outbox. Limit: 0.5 of the floor's rows a second; the best of the rounds counts. Exits 1 below it.
"""

import argparse
import multiprocessing
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.stage.databases import KINDS, durable
from miniapp import db
from miniapp.migrations import running
from miniapp.outbox import service
from miniapp.outbox.jobs import Local
from miniapp.outbox.worker import BATCH, Worker

LEAST_RATIO = 0.5
JOB = "bench.nothing"
Loop = Callable[[str, Any], None]


def fill(round_no: int, works: int) -> None:
    """Record so many works."""
    for start in range(0, works, 500):
        with db.transaction() as session:
            for number in range(start, min(works, start + 500)):
                service.put(session, JOB, key=f"{round_no}:{number}", number=number)


def work_ours(_url: str, start: Any) -> None:
    """One worker until nothing is due: claim a batch, run it, settle each."""
    worker = Worker({JOB: Local(lambda _task: None)}, {}, lease=timedelta(seconds=60))
    start.wait()
    while claimed := service.claim(limit=BATCH, lease=worker.lease):
        for job, called, task in claimed:
            worker.run_one(job, called, task)


def work_ours_apart(url: str, start: Barrier) -> None:
    """The same in a process of its own."""
    db.configure(url)
    work_ours(url, start)


def fill_floor(url: str, works: int) -> None:
    """A bare table with so many rows to do."""
    rows = [(number,) for number in range(works)]
    if url.startswith("sqlite"):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("DROP TABLE IF EXISTS work")
            connection.execute("CREATE TABLE work (id INTEGER PRIMARY KEY, done INTEGER NOT NULL DEFAULT 0)")
            connection.execute("CREATE INDEX todo ON work (id) WHERE done = 0")
            connection.executemany("INSERT INTO work (id) VALUES (?)", rows)
        return
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        connection.execute("DROP TABLE IF EXISTS work")
        connection.execute("CREATE TABLE work (id BIGINT PRIMARY KEY, done INTEGER NOT NULL DEFAULT 0)")
        connection.execute("CREATE INDEX todo ON work (id) WHERE done = 0")
        connection.cursor().executemany("INSERT INTO work (id) VALUES (%s)", rows)


_one_writer = threading.Lock()


def work_floor_sqlite(url: str, start: Any) -> None:
    """One row, one commit, until nothing is left."""
    connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    connection.execute("PRAGMA synchronous=FULL")
    take = "UPDATE work SET done = 1 WHERE id = (SELECT id FROM work WHERE done = 0 ORDER BY id LIMIT 1)"
    start.wait()
    left = True
    while left:
        with _one_writer:
            left = connection.execute(take).rowcount == 1
    connection.close()


def work_floor_postgresql(url: str, start: Any) -> None:
    """The same with SKIP LOCKED."""
    take = (
        "UPDATE work SET done = 1 WHERE id = "
        "(SELECT id FROM work WHERE done = 0 ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)"
    )
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        start.wait()
        while connection.execute(take).rowcount == 1:
            pass


def rate(kind: str, url: str, loop: Loop, *, workers: int, works: int) -> float:
    """Rows a second of so many workers, from the moment when all are ready."""
    runner: Any = threading if kind == "sqlite" else multiprocessing.get_context("spawn")
    start = runner.Barrier(workers + 1)
    make = runner.Thread if kind == "sqlite" else runner.Process
    all_of_them = [make(target=loop, args=(url, start)) for _ in range(workers)]
    for one in all_of_them:
        one.start()
    start.wait()
    began = time.perf_counter()
    for one in all_of_them:
        one.join()
    return works / (time.perf_counter() - began)


def measure(kind: str, rounds: int, works: int, workers: int) -> bool:
    """Print the rates of one kind of database; answers whether the limit is kept."""
    ours, floor = [], []
    with (
        tempfile.TemporaryDirectory(prefix="miniapp-bench-", dir="/tmp") as folder,
        durable(kind, Path(folder), ("ours", "floor")) as urls,
    ):
        db.configure(urls["ours"])
        running.upgrade(db.engine())
        bare = work_floor_sqlite if kind == "sqlite" else work_floor_postgresql
        mine = work_ours if kind == "sqlite" else work_ours_apart
        for round_no in range(rounds):
            fill_floor(urls["floor"], works)
            floor.append(rate(kind, urls["floor"], bare, workers=workers, works=works))
            fill(round_no, works)
            ours.append(rate(kind, urls["ours"], mine, workers=workers, works=works))
            with db.reading() as session:
                if service.count_by_state(session):
                    raise SystemExit("some work was left undone")
        db.engine().dispose()
    ratio = max(ours) / max(floor)
    print(
        f"{kind}: {max(ours):.0f} works/s, floor {max(floor):.0f} rows/s, ratio {ratio:.2f}, limit {LEAST_RATIO}",
        flush=True,
    )
    return ratio >= LEAST_RATIO


def main() -> int:
    """Both kinds of database, or one."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--kind", choices=KINDS)
    options.add_argument("--works", type=int, default=2000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--workers", type=int, default=4)
    given = options.parse_args()
    kinds = [given.kind] if given.kind else KINDS
    kept = [measure(kind, given.rounds, given.works, given.workers) for kind in kinds]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    raise SystemExit(main())
