"""The chat door under load: encrypted callbacks with the text 发票 of known customers, against a bare Flask view.

    python -m benchmarks.chat_callback [--kind sqlite] [--rounds 3] [--seconds 4]

The floor checks the signature and does one durable insert by the driver itself, into the same kind of database on the same
disk, behind the same server. All messages are distinct and made beforehand by wechatpy. Measured in turn: requests a second
on 32 connections (limit: 0.25 of the floor), then p99 in an open loop at half of our maximum, lateness counted (limit: 4
times the floor's at the same rate); then both again while 8 charges wait for their customer. The best of the rounds counts
on either side. Exits 1 when a limit is missed.
"""

import argparse
import json
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.stage import messages, shop
from benchmarks.stage.databases import KINDS, durable
from miniapp import db
from miniapp.config import Config
from tests import people
from tests.processes import ROOT, Processes, free_port

CONNECTIONS, CHARGES = 32, 8
CUSTOMERS, PURCHASES = 100, 3
LEAST_RATIO, MOST_P99 = 0.25, 4.0
TOKEN = "stationtoken"
AES_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
TEXT = "发票"
LIST_BYTES = 500  # an encrypted list of purchases is longer than this, "success" is not


@dataclass
class Bench:
    """Both servers of one kind of database, running."""

    folder: Path
    world: people.World
    ours: Config
    floor_port: int
    people: list[str]
    seconds: float
    groups: dict[int, int]
    most: int = 4000  # requests a second that a closed loop may need

    def floor(self, *, rate: float = 0) -> dict[str, Any]:
        """One run against the floor."""
        return self._run(self.floor_port, rate, shortest=0)

    def program(self, *, rate: float = 0) -> dict[str, Any]:
        """One run against ourselves; every answer must be a list of purchases."""
        return self._run(self.ours.port, rate, shortest=LIST_BYTES)

    def open_charges(self) -> None:
        """Eight charges at once, all left open by their customer (for about 50 s)."""
        with ThreadPoolExecutor(CHARGES) as pool:
            states = list(pool.map(lambda _: shop.open_charge(self.ours, self.world), range(CHARGES)))
        if set(states) != {"paying"}:
            raise SystemExit(f"the charges are not open: {states}")

    def _run(self, port: int, rate: float, *, shortest: int) -> dict[str, Any]:
        count = int((rate or self.most) * self.seconds) + 1
        made = messages.texts(
            count,
            text=TEXT,
            people=self.people,
            token=TOKEN,
            aes_key=AES_KEY,
            app_id=people.WECHAT_APP,
            to="gh_shop",
        )
        file = self.folder / "messages"
        file.write_bytes(pickle.dumps(made))
        command = [sys.executable, "-m", "benchmarks.stage.load", str(port), str(file)]
        options = [f"--connections={CONNECTIONS}", f"--seconds={self.seconds}", f"--rate={rate}"]
        before = processor_seconds(self.groups[port])
        done = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True)
        used = processor_seconds(self.groups[port]) - before
        if done.returncode:
            raise SystemExit(done.stderr)
        found: dict[str, Any] = json.loads(done.stdout)
        if found["bad"] or found["shortest_answer"] < shortest or found["ran_out"]:
            raise SystemExit(f"the run is worth nothing: {found}")
        return {**found, "processor_ms": used / found["count"] * 1000}


def processor_seconds(group: int) -> float:
    """What all processes of a group have used of the processor so far; it hardly depends on who else is on the machine."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if int(fields[2]) == group:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def measure(kind: str, rounds: int, seconds: float) -> bool:
    """Print the numbers of one kind of database; answers whether all limits are kept."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="miniapp-bench-", dir="/tmp")))
        processes = Processes(folder)
        stack.callback(_stop, processes)
        urls = stack.enter_context(durable(kind, folder, ("ours", "floor")))
        stack.callback(_stop, processes)  # before the databases go
        bench = _start(processes, folder, urls, seconds)
        bench.most = _probe(bench)
        kept = _report(kind, "", bench, rounds, before=lambda: None)
        return _report(kind, f", {CHARGES} charges open", bench, rounds, before=bench.open_charges) and kept


def _start(processes: Processes, folder: Path, urls: dict[str, str], seconds: float) -> Bench:
    world = shop.sandbox(processes, folder)
    ours = shop.config(urls["ours"], folder, port=free_port())
    terminal = shop.open_here(ours, world)
    customers = [f"oBench{at:04}" for at in range(CUSTOMERS)]
    shop.sell(terminal, customers, each=PURCHASES)
    db.engine().dispose()
    program = shop.serve(processes, ours)
    port = free_port()
    bare = processes.start(
        "floor",
        *("python", "-m", "benchmarks.stage.floor_app", urls["floor"], str(port), TOKEN),
        env={"PYTHONPATH": ""},
        port=port,
    )
    return Bench(folder, world, ours, port, customers, seconds, {ours.port: program.pid, port: bare.pid})


def _probe(bench: Bench) -> int:
    """How many messages a closed loop needs at most, and both sides warm."""
    long, bench.seconds = bench.seconds, 1.0
    bench.program()
    most = 3 * int(bench.floor()["per_second"]) + 200
    bench.seconds = long
    return most


def _report(kind: str, when: str, bench: Bench, rounds: int, *, before: Callable[[], None]) -> bool:
    closed: list[tuple[dict[str, Any], dict[str, Any]]] = []
    for _ in range(rounds):
        bare = bench.floor()
        before()
        closed.append((bare, bench.program()))
    floor, ours = (max(run["per_second"] for run in side) for side in zip(*closed, strict=True))
    floor_cpu, our_cpu = (min(run["processor_ms"] for run in side) for side in zip(*closed, strict=True))
    ratio, rate = ours / floor, ours / 2
    late: list[tuple[float, float]] = []
    for _ in range(rounds):
        quick = bench.floor(rate=rate)["p99_ms"]
        before()
        late.append((quick, bench.program(rate=rate)["p99_ms"]))
    floor_p99, our_p99 = (min(side) for side in zip(*late, strict=True))
    print(
        f"{kind}{when}: {ours:.0f} requests/s, floor {floor:.0f}, ratio {ratio:.2f}, limit {LEAST_RATIO};"
        f" at {rate:.0f}/s p99 {our_p99:.1f} ms, floor {floor_p99:.1f} ms, ratio {our_p99 / floor_p99:.2f}, limit {MOST_P99:.0f};"
        f" processor {our_cpu:.2f} ms a request, floor {floor_cpu:.2f} ms, ratio {floor_cpu / our_cpu:.2f}",
        flush=True,
    )
    return ratio >= LEAST_RATIO and our_p99 / floor_p99 <= MOST_P99


def _stop(processes: Processes) -> None:
    for process in reversed(processes.started):
        process.stop()
    processes.started.clear()


def main() -> int:
    """Both kinds of database, or one."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--kind", choices=KINDS)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=float, default=4)
    given = options.parse_args()
    kinds = [given.kind] if given.kind else KINDS
    kept = [measure(kind, given.rounds, given.seconds) for kind in kinds]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    raise SystemExit(main())
