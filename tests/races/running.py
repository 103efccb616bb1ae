"""Several acts at the same moment, in threads of this process; what each answered or raised."""

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

ROUNDS = int(os.environ.get("RACE_ROUNDS", "12"))
"""How often each race is run; ``RACE_ROUNDS=200`` is the full number."""

Act = Callable[[], Any]


def together(acts: Sequence[Act]) -> list[Any]:
    """Run all acts as nearly at once as threads can; answers results, or the exceptions that were raised."""
    gate = threading.Barrier(len(acts))

    def run(act: Act) -> Any:
        gate.wait(timeout=30)
        try:
            return act()
        except Exception as raised:
            return raised

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


def good(results: Sequence[Any]) -> list[Any]:
    """Those that were not raised."""
    return [one for one in results if not isinstance(one, Exception)]


def unexpected(results: Sequence[Any], *kinds: type[Exception]) -> list[Any]:
    """Those that were raised and are none of these kinds."""
    return [one for one in results if isinstance(one, Exception) and not isinstance(one, kinds)]
