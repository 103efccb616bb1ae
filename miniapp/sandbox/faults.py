"""Faults by switch: what goes wrong at which door, how often, for which calls."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Fault:
    """One switch. `kind` is a word, with `:argument` where it takes one.

    Applied around every door by `doors.py`:
      drop                 nothing is done, the connection closes without an answer
      commit_then_drop     done, then the connection closes
      http_<status>        nothing is done, that status (http_500, http_429, ...)
      http_<status>_but_done
      cut_reply:K          done, K bytes of the answer's body, then the connection closes
      delay:MS             done, answered MS later
      wait:MS              done MS later, then answered
      silence[:MS]         nothing is done, no answer for MS (600 000)
      silence_but_done[:MS]
      kill_before:PID      nothing is done, that process of the program is killed in its call
      kill_after:PID       done, then the same
      garbage              done, an unreadable answer
    All other kinds are left to the door (see README.md).
    """

    door: str
    kind: str
    times: int | None = 1  # None: until removed
    match: dict[str, str] = field(default_factory=dict)
    taken: int = 0

    @property
    def word(self) -> str:
        """The kind without its argument."""
        return self.kind.partition(":")[0]

    @property
    def argument(self) -> str:
        """What stands after the colon; empty without one."""
        return self.kind.partition(":")[2]

    def number(self, default: int) -> int:
        """The argument as a number."""
        return int(self.argument) if self.argument else default


class Faults:
    """The switches that are on. The first that fits is taken; others wait."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, document: dict[str, Any]) -> Fault:
        """Set a switch. Raises ValueError for unknown fields or a missing door or kind."""
        unknown = set(document) - {"door", "kind", "times", "match"}
        if unknown or not document.get("door") or not document.get("kind"):
            raise ValueError(f"a fault has door, kind, times, match; not {sorted(unknown)}")
        fault = Fault(**document)
        with self._lock:
            self._faults.append(fault)
        return fault

    def take(self, door: str, fields: dict[str, str] | None = None) -> Fault | None:
        """The fault for this call, counted down; None if it shall go well. `*` at the end of a door fits all below."""
        given = fields or {}
        with self._lock:
            for fault in self._faults:
                fits = door == fault.door or (fault.door.endswith("*") and door.startswith(fault.door[:-1]))
                if fits and all(given.get(name) == str(want) for name, want in fault.match.items()):
                    if fault.times is not None and fault.taken >= fault.times:
                        continue
                    fault.taken += 1
                    return fault
        return None

    def on(self, door: str, word: str) -> Fault | None:
        """A lasting switch that a door looks at without using it up (`times` null)."""
        with self._lock:
            return next(
                (f for f in self._faults if f.door == door and f.word == word and f.times is None), None
            )

    def lasting(self, door: str) -> Sequence[Fault]:
        """All lasting switches of a door, in the order they were set."""
        with self._lock:
            return [f for f in self._faults if f.door == door and f.times is None]

    def list(self) -> list[dict[str, Any]]:
        """All switches with how often each was taken."""
        with self._lock:
            return [asdict(fault) for fault in self._faults]

    def clear(self, door: str | None = None) -> None:
        """Take switches out: of one door, or all."""
        with self._lock:
            self._faults = [f for f in self._faults if door is not None and f.door != door]
