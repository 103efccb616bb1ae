"""Random operations against real processes, with random kills and faults; then hours pass, and the judge looks.

    python -m tests.crash.campaign --engine sqlite|postgresql [--operations 500] [--kills 30] [--seed N] [--plant NAME]

``--plant`` puts a bug into the program's processes (``tests/crash/plants``): the campaign must find it.
"""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from tests import databases
from tests.crash.judge import Verdict, judge
from tests.crash.operations import KILL_DOORS, WEIGHTS, Players
from tests.crash.shop import LiveShop, open_doors, open_shop
from tests.installations import Installation
from tests.processes import Processes

HANDS = 3
"""So many things happen at the same time."""

SLOW_SECONDS = 30.0


@dataclass
class Campaign:
    """One run: the shop, its players, the dice, and what was killed."""

    shop: LiveShop
    seed: int
    operations: int
    kills: int
    killed: Counter[str] = field(default_factory=Counter)

    def run(self) -> Verdict:
        """Play, kill, let time pass, judge."""
        dice = random.Random(self.seed)
        players = Players(self.shop, dice)
        places = set(dice.sample(range(5, self.operations), self.kills))
        names, weights = list(WEIGHTS), list(WEIGHTS.values())
        with ThreadPoolExecutor(HANDS) as pool:
            under_way: set[Future[None]] = set()
            for turn in range(self.operations):
                if turn in places:
                    self._kill(dice, players)
                (name,) = dice.choices(names, weights)
                under_way.add(pool.submit(players.act, name, dice.getrandbits(40)))
                if len(under_way) >= HANDS:
                    _, under_way = wait(under_way, return_when="FIRST_COMPLETED", timeout=SLOW_SECONDS)
            wait(under_way)
        self.shop.heal()
        self.shop.wait_until_up()
        players.finish()
        self.shop.settle()
        players.finish()  # what was refused while a refund of ours was open
        self.shop.settle((5, 30, 300))
        verdict = judge(self.shop.ledger(), promised=players.told)
        verdict.counts = {
            "operations": sum(players.acts.values()),
            "kills": sum(self.killed.values()),
            **{f"  {name}": count for name, count in sorted(self.killed.items())},
            "promises": len(players.told),
            **verdict.counts,
        }
        verdict.counts |= {f"trouble {name}": count for name, count in sorted(players.trouble.items())}
        return verdict

    def _kill(self, dice: random.Random, players: Players) -> None:
        """A power cut, the working process alone, or at a moment on the wire."""
        how = dice.choice(("power", "process", "before", "after", "after"))
        if how == "power":
            self.shop.kill()
            self.shop.wait_until_up()
        elif how == "process":
            self.shop.kill_inner()
            self.shop.wait_until_up()
        else:
            how = self._kill_on_the_wire(dice, players, how)
        self.killed[how] += 1

    def _kill_on_the_wire(self, dice: random.Random, players: Players, how: str) -> str:
        """The sandbox kills the process when its next call of a kind arrives; if none does soon, it is killed anyhow."""
        pid, doors = self.shop.inner_pid(), dice.sample(KILL_DOORS, 4)
        for door in doors:
            self.shop.fault(door, f"kill_{how}:{pid}")
        until = time.monotonic() + 3
        while self.shop.inner_pid() == pid and time.monotonic() < until:
            players.act(dice.choice(("charge", "ask", "refund")), dice.getrandbits(40))
            self.shop.forward(2)
        on_the_wire = self.shop.inner_pid() != pid
        if not on_the_wire:
            self.shop.kill_inner()
        for door in doors:
            self.shop.world.call("DELETE", f"faults?door={door}")
        self.shop.wait_until_up()
        return f"{how} a call" if on_the_wire else "process"


def play(
    engine: str, *, operations: int, kills: int, seed: int, plant: str = "", folder: Path | None = None
) -> Verdict:
    """One campaign on a fresh installation of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="campaign-", dir=databases.memory()) as made,
        databases.fresh_database(engine) as database,
    ):
        processes = Processes(folder or Path(made))
        try:
            installation = Installation(folder or Path(made), database, processes)
            installation.move_clock(seconds=0)
            shop = open_shop(installation, plant=plant)
            open_doors(shop)
            return Campaign(shop, seed, operations, kills).run()
        except BaseException:
            for process in processes.started:
                print(f"--- {process.name}\n{process.said[-4000:]}", file=sys.stderr)
            raise
        finally:
            for process in reversed(processes.started):
                process.stop()


def main() -> int:
    """Read the words of the command line, play, print the table; 1 when something is double, lost or stuck."""
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    words.add_argument("--engine", choices=databases.KINDS, default="sqlite")
    words.add_argument("--operations", type=int, default=500)
    words.add_argument("--kills", type=int, default=30)
    words.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    words.add_argument("--plant", default="")
    given = words.parse_args()
    began = time.monotonic()
    try:
        verdict = play(
            given.engine,
            operations=given.operations,
            kills=given.kills,
            seed=given.seed,
            plant=given.plant,
        )
    finally:
        databases.pytest_sessionfinish(None)  # type: ignore[arg-type]
    print(f"{'engine':<28}{given.engine:>10}\n{'seed':<28}{given.seed:>10}\n{verdict}")
    print(f"{'seconds':<28}{time.monotonic() - began:>6.0f}")
    return 0 if verdict.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
