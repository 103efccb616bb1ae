"""The clock of tests: it stands still until a test moves it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from miniapp.core import clock as program_clock


class Clock:
    """A fixed moment, aware UTC. Begins at 10:30 of a Tuesday morning in Beijing."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 11, 24, 2, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment

    def forward(self, **span: float) -> datetime:
        """Move on: ``clock.forward(minutes=5)``. Returns the new moment."""
        self.moment += timedelta(**span)
        return self.moment

    def set(self, moment: datetime) -> None:
        """Go to a moment (aware)."""
        self.moment = moment.astimezone(UTC)

    def set_beijing(self, text: str) -> None:
        """Go to a wall-clock time in Beijing: ``clock.set_beijing("2026-11-24 23:59:58")``."""
        self.set(program_clock.from_beijing(text))


@pytest.fixture
def clock() -> Iterator[Clock]:
    """The program's clock stands still and is moved by the test."""
    fixed = Clock()
    program_clock.set_clock(fixed)
    try:
        yield fixed
    finally:
        program_clock.set_clock(None)
