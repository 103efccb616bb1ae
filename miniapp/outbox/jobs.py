"""What a job is. A job that calls outside cannot be written without saying how it is queried before it is repeated."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from miniapp.core.clock import real_now


@dataclass(frozen=True)
class Task:
    """One leased work as its job sees it."""

    work_id: int
    key: str
    payload: Mapping[str, Any]
    fence: int
    attempts: int
    lease_until: datetime | None = None

    def is_current(self) -> bool:
        """Does the lease still run? Asked right before a call goes out: a worker that froze must not send late."""
        return self.lease_until is None or real_now() < self.lease_until


@dataclass(frozen=True)
class Done:
    """The work has ended; nothing more will be done for it."""

    detail: str = ""


@dataclass(frozen=True)
class Later:
    """Not known yet, or not possible now: come back. ``after`` None uses the job's back-off."""

    reason: str
    after: timedelta | None = None
    counts: bool = True


@dataclass(frozen=True)
class NeverArrived:
    """A query's proof that the call did not reach the other side: it may be made again."""

    reason: str = ""


@dataclass(frozen=True)
class Dead:
    """A person must look: the reason is shown on the console."""

    reason: str


Outcome = Done | Later | NeverArrived | Dead


@dataclass(frozen=True)
class Local:
    """A job that touches only our own database; its own guards make a repeat harmless."""

    run: Callable[[Task], Outcome | None]
    max_attempts: int = 30


@dataclass(frozen=True)
class Outside:
    """A job that calls somebody. ``call`` runs once; whenever a call may have gone out unrecorded, ``query``
    runs in its place, and only its ``NeverArrived`` lets ``call`` run again."""

    call: Callable[[Task], Outcome | None]
    query: Callable[[Task], Outcome | None]
    max_attempts: int = 60
    first_delay: timedelta = timedelta(seconds=2)
    longest_delay: timedelta = timedelta(minutes=15)

    def __post_init__(self) -> None:
        if self.query is None or self.query is self.call:
            raise ValueError("a job that calls outside must say how it is queried before it is repeated")


Job = Local | Outside
