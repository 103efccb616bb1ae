"""Port to whoever makes invoices. One file here is one kind of channel.

Rules: the serial is committed before ``issue``; all that is not understood is ``Unknown`` and leads to ``find`` with
the same serial; a serial that exists already is ``Accepted``; a notice is a hint that leads to ``find``; a file that
cannot be had never changes an invoice that was issued. Amounts are fen, rates and quantities text as on the wire.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from miniapp.core import kinds
from miniapp.core.kinds import Setting as Setting


@dataclass(frozen=True)
class ChannelSettings:
    """One channel of a company: the kind's own SETTINGS by name, secrets decrypted."""

    code: str
    kind: str
    values: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class Seller:
    taxpayer_no: str
    name: str
    address: str = ""
    phone: str = ""
    bank_account: str = field(default="", repr=False)


@dataclass(frozen=True)
class Buyer:
    """``title_type`` company | personal | natural_person | government | other; ``taxpayer_no`` empty for a person."""

    title_type: str
    name: str = field(repr=False)
    taxpayer_no: str = field(default="", repr=False)
    address: str = field(default="", repr=False)
    phone: str = field(default="", repr=False)
    bank: str = field(default="", repr=False)
    account: str = field(default="", repr=False)


@dataclass(frozen=True)
class Line:
    """One row of the invoice. ``row`` normal | discount | discounted; net + tax = total; price and quantity may be ''.

    ``price`` is without tax, up to 8 decimals, and follows from net and quantity where it is ''.
    """

    name: str
    tax_category_code: str
    tax_rate: str
    net_fen: int
    tax_fen: int
    total_fen: int
    row: str = "normal"
    unit: str = ""
    quantity: str = ""
    price: str = ""
    specification: str = ""


@dataclass(frozen=True)
class IssueOrder:
    """An invoice to be made. ``invoice_kind`` ordinary | special; ``serial`` at most 20 characters, used once."""

    serial: str
    seller: Seller
    buyer: Buyer
    invoice_kind: str
    lines: tuple[Line, ...]
    net_fen: int
    tax_fen: int
    total_fen: int
    ordered_at: datetime
    clerk: str = ""
    remark: str = ""
    callback_url: str = ""


@dataclass(frozen=True)
class Accepted:
    """The channel has it and works on it: find. After this the serial is never sent again."""

    channel_ref: str = ""
    reason: str = ""
    evidence: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class Done:
    """Issued. What the answer says, not what we asked for; file addresses may still be missing.

    ``other_numbers``: further invoices under the same serial. The first is kept, an incident raised, nothing reversed.
    """

    serial: str
    invoice_no: str
    issued_at: datetime | None
    buyer_name: str = field(repr=False)
    buyer_taxpayer_no: str = field(repr=False)
    seller_taxpayer_no: str
    total_fen: int
    tax_fen: int | None
    files: Mapping[str, str] = field(default_factory=dict, repr=False)  # pdf | ofd | xml -> address
    channel_ref: str = ""
    other_numbers: tuple[str, ...] = ()
    evidence: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class Refused:
    """``final`` always: nothing was issued under this serial. ``alarm``: our settings or sums are wrong, not the buyer's."""

    code: str
    message_key: str
    words: str = ""
    alarm: bool = False
    evidence: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class NotFound:
    """The channel does not know the serial; proves nothing before ``not_found_is_final_after``."""

    evidence: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class Unknown:
    """No answer, or none to believe. ``sent`` False is proof that no byte of the order left us."""

    reason: str
    code: str = ""
    sent: bool = True
    evidence: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class File:
    """Bytes of a document and its kind as recognised by content: pdf | ofd | xml."""

    kind: str
    content: bytes = field(repr=False)


@dataclass(frozen=True)
class NoFile:
    """Not to be had now. ``again`` False: this channel or answer has no such file."""

    reason: str
    again: bool


@dataclass(frozen=True)
class Readiness:
    """Can the channel issue now; ``reason`` is a message key when it cannot."""

    ready: bool
    reason: str = ""


Answer = Accepted | Done | Refused | NotFound | Unknown


class Channel(Protocol):
    """One company's way to invoices."""

    SETTINGS: tuple[Setting, ...]
    not_found_is_final_after: timedelta
    makes_real_invoices: bool  # False: 样票 across the page, never 20 digits
    can_reverse: bool
    file_kinds: tuple[str, ...]

    def __init__(self, settings: ChannelSettings) -> None: ...

    def issue(self, order: IssueOrder) -> Answer: ...

    def find(self, serial: str) -> Answer: ...

    def file(self, kind: str, done: Done) -> File | NoFile:
        """One document of an issued invoice: size-capped, recognised by its content."""

    def ready(self) -> Readiness: ...

    def parse_notice(self, raw: bytes) -> str | None:
        """The serial a notice speaks of, or None if it is none. Believed by nobody: find follows."""

    def notice_reply(self) -> tuple[str, bytes]:
        """Content type and body that tell the channel that its notice has come."""


def of(settings: ChannelSettings) -> Channel:
    """The channel of an order. Raises LookupError for a kind without a file here."""
    channel: Channel = kinds.one(__name__, settings.kind)(settings)
    return channel


def all_kinds() -> Mapping[str, type[Channel]]:
    """Kind -> class, for setup's check and the tests that run over each."""
    return kinds.find(__name__)


def answers_ours(order: IssueOrder, done: Done) -> list[str]:
    """What of an answer is not ours; empty: it is. Anything else: stop, alarm, deliver nothing.

    A channel that names no seller or tax in its answer ('' or None) is bound to one seller by its account.
    """
    pairs = {
        "serial": (order.serial, done.serial),
        "buyer_name": (order.buyer.name, done.buyer_name),
        "buyer_taxpayer_no": (order.buyer.taxpayer_no, done.buyer_taxpayer_no),
        "seller_taxpayer_no": (order.seller.taxpayer_no, done.seller_taxpayer_no or order.seller.taxpayer_no),
        "total_fen": (order.total_fen, done.total_fen),
    }
    wrong = [name for name, (ours, theirs) in pairs.items() if ours != theirs]
    if done.tax_fen is not None and done.tax_fen != order.tax_fen:
        wrong.append("tax_fen")
    return wrong
