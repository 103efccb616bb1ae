"""The channel's own thread: moves invoices on by the clock and sends the notices that are due."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time

from miniapp.sandbox.channels import nuonuo_notices, nuonuo_walk
from miniapp.sandbox.world import World

TICK_SECONDS = 0.2


def start(world: World) -> None:
    """Starts the thread; it ends when the world's store is closed."""
    threading.Thread(target=_run, args=(world,), daemon=True, name="nuonuo").start()


def _run(world: World) -> None:
    # A closed store is how this world ends.
    with contextlib.suppress(sqlite3.ProgrammingError):
        while True:
            time.sleep(TICK_SECONDS)
            nuonuo_walk.advance_all(world)
            nuonuo_notices.send_all(world)
