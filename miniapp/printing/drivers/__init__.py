"""Port to a printer. One file here is one kind. Paper cannot be called back, so the driver says what it knows.

``send`` calls ``before_first_byte`` after its own last check and right before byte one: the spool commits SENDING
there; if that raises, nothing is sent. ``Refused`` is proof that nothing was printed, ``Uncertain`` is everything else.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from miniapp.core import kinds
from miniapp.core.kinds import Setting as Setting


@dataclass(frozen=True)
class PrinterSettings:
    """One printer of a store; ``values`` are the kind's own SETTINGS beyond the address."""

    code: str
    kind: str
    uri: str
    values: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class PrinterState:
    """What the printer said within 2 s. ``obstacle`` is a message key, '' when it can print.

    ``reasons`` and ``warnings`` are stems without severity: ``media-empty``, ``marker-supply-low``.
    """

    obstacle: str = ""
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    busy: bool = False

    @property
    def ready(self) -> bool:
        return not self.obstacle


@dataclass(frozen=True)
class Sent:
    """Every byte accepted; ``device_ref`` is the printer's own job number."""

    device_ref: str


@dataclass(frozen=True)
class Refused:
    """Proved: nothing was printed. ``again`` when it may go later (busy)."""

    code: str
    message_key: str
    again: bool


@dataclass(frozen=True)
class Uncertain:
    """May have been printed: ask by name, then a person."""

    reason: str


@dataclass(frozen=True)
class Printed:
    evidence: str = ""


@dataclass(frozen=True)
class Printing:
    """Has it and is at it; ``reasons`` says why it takes time (paper out)."""

    device_ref: str = ""
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class NotPrinted:
    """Proved: the printer ended the job before it began."""

    evidence: str = ""


@dataclass(frozen=True)
class Unknown:
    """No answer, no such job, or one that was ended midway: a person looks at the paper."""

    reason: str
    device_ref: str = ""


SendAnswer = Sent | Refused | Uncertain
AskAnswer = Printed | Printing | NotPrinted | Unknown


class Driver(Protocol):
    """One printer."""

    SETTINGS: tuple[Setting, ...]
    formats: tuple[str, ...]  # media types it takes, best first

    def __init__(self, settings: PrinterSettings) -> None: ...

    def check(self) -> PrinterState: ...

    def send(self, document: bytes, name: str, before_first_byte: Callable[[], None]) -> SendAnswer:
        """``name`` is unique for job and copy; after a lost reply the job is found by it."""

    def ask(self, name: str, device_ref: str = "") -> AskAnswer: ...


def of(settings: PrinterSettings) -> Driver:
    """The driver of a printer. Raises LookupError for a kind without a file here."""
    driver: Driver = kinds.one(__name__, settings.kind)(settings)
    return driver


def all_kinds() -> Mapping[str, type[Driver]]:
    """Kind -> class, for setup's check and the tests that run over each."""
    return kinds.find(__name__)
