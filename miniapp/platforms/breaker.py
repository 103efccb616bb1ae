"""A breaker for each target: after a run of silence it rests a while, then lets one call through to try.

A call that it holds back was never sent, and says so.
"""

import threading
import time

FAILURES_TO_OPEN = 8
REST_SECONDS = 5.0


class Breaker:
    """The breaker of one target; counts silence and 5xx in a row."""

    _all: dict[str, "Breaker"] = {}  # noqa: RUF012 - one table for the process
    _guard = threading.Lock()

    def __init__(self) -> None:
        self._failures = 0
        self._rests_until = 0.0

    @classmethod
    def of(cls, target: str) -> "Breaker":
        with cls._guard:
            return cls._all.setdefault(target, cls())

    @classmethod
    def forget_all(cls) -> None:
        """Close every breaker (an operator's button, and tests)."""
        with cls._guard:
            cls._all.clear()

    def lets_through(self) -> bool:
        with self._guard:
            if self._failures < FAILURES_TO_OPEN:
                return True
            if time.monotonic() < self._rests_until:
                return False
            self._rests_until = time.monotonic() + REST_SECONDS  # this caller tries, the others go on resting
            return True

    def failed(self) -> None:
        with self._guard:
            self._failures += 1
            if self._failures >= FAILURES_TO_OPEN:
                self._rests_until = time.monotonic() + REST_SECONDS

    def worked(self) -> None:
        with self._guard:
            self._failures = 0
