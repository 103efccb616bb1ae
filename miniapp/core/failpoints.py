"""Named places where a test may kill, stop, delay or break the program.

``MINIAPP_FAILPOINTS="outbox.after_call=kill@2,print.first_byte=raise"``: action ``kill | raise | stop | sleep:ms``,
``@n`` the n-th time the place is reached, ``~p`` with probability p from ``MINIAPP_FAILPOINTS_SEED``.
Refused unless ``MINIAPP_ENV`` is ``test``.
"""

import os
import random
import signal
import threading
import time
from dataclasses import dataclass

NAMES = (
    "inbox.stored",
    "claim.taken",
    "approve.committed",
    "outbox.leased",
    "outbox.before_call",
    "outbox.after_call",
    "outbox.before_record",
    "outbox.recorded",
    "issue.number_recorded",
    "issue.file_saved",
    "charge.before_call",
    "charge.after_call",
    "refund.after_call",
    "print.sending_committed",
    "print.first_byte",
    "recon.file_stored",
    "recon.written",
    "day.closed",
)


@dataclass
class _Point:
    action: str
    nth: int | None
    chance: float | None
    reached: int = 0


class FailpointReached(RuntimeError):
    """What ``raise`` raises."""


_points: dict[str, _Point] = {}
_dice = random.Random(0)  # noqa: S311
_lock = threading.Lock()


def arm(text: str, *, environment: str, seed: int = 0) -> None:
    """Read the setting. Raises ValueError for an unknown name or outside the test environment."""
    _points.clear()
    if not text:
        return
    if environment != "test":
        raise ValueError("MINIAPP_FAILPOINTS is refused unless MINIAPP_ENV is test")
    _dice.seed(seed)
    for part in text.split(","):
        name, _, action = part.strip().partition("=")
        if name not in NAMES:
            raise ValueError(f"MINIAPP_FAILPOINTS: unknown place {name}")
        action, _, chance = action.partition("~")
        action, _, nth = action.partition("@")
        _points[name] = _Point(action, int(nth) if nth else None, float(chance) if chance else None)


def hit(name: str) -> None:
    """The program has come to this place."""
    point = _points.get(name)
    if point is None:
        return
    with _lock:
        point.reached += 1
        due = point.nth in (None, point.reached)
        due = due and (point.chance is None or _dice.random() < point.chance)
    if due:
        _act(point.action, name)


def _act(action: str, name: str) -> None:
    kind, _, milliseconds = action.partition(":")
    if kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif kind == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif kind == "sleep":
        time.sleep(int(milliseconds) / 1000)
    elif kind == "raise":
        raise FailpointReached(name)
    else:
        raise ValueError(f"MINIAPP_FAILPOINTS: unknown action {action}")
