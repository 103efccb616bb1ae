"""What this room needs from the settings of the process; set once, by composition."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Composition:
    """``public_base`` without trailing slash; ``charge_threads`` charges at once; ``web_threads`` of this process."""

    public_base: str = "http://127.0.0.1:8000"
    slip_days: int = 30
    charge_threads: int = 8
    web_threads: int = 8

    @property
    def slip_life(self) -> timedelta:
        """How long a slip's code and QR code may be claimed."""
        return timedelta(days=self.slip_days)


_current = Composition()


def use(composition: Composition) -> None:
    """Take the settings of this process, before its first request."""
    global _current
    _current = composition


def current() -> Composition:
    """The settings in use."""
    return _current
