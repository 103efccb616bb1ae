"""Port to whoever holds the money: charge a payment code, ask, cancel, refund, fetch a day's bill.

One file here is one platform. A gateway never raises for what the other side says or does not say: each verb
answers one of the classes below, and ``Unknown`` is the default for all that is not understood. Amounts are fen,
times aware UTC. Nothing here is a decision: what an answer means for a charge is ``payments``' affair.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol

from miniapp.core import kinds
from miniapp.core.kinds import Setting as Setting


@dataclass(frozen=True)
class MerchantSettings:
    """One merchant account as the setup file describes it, keys decrypted (PEM text); secrets stay out of repr."""

    code: str
    platform: str
    merchant_no: str
    app_id: str
    api_base: str
    api_v2_key: str = field(default="", repr=False)
    api_v3_key: str = field(default="", repr=False)
    cert_serial: str = ""
    merchant_key: str = field(default="", repr=False)
    merchant_cert: str = field(default="", repr=False)
    platform_key: str = field(default="", repr=False)
    platform_key_id: str = ""
    app_key: str = field(default="", repr=False)
    account_no: str = ""


@dataclass(frozen=True)
class ChargeOrder:
    """What is asked of the customer. ``store`` and ``terminal`` come back in the bill's columns."""

    out_trade_no: str
    amount_fen: int
    subject: str
    store: str = ""
    terminal: str = ""
    operator: str = ""
    client_address: str = "127.0.0.1"


@dataclass(frozen=True)
class RefundOrder:
    """Give back ``refund_fen`` of a sale of ``total_fen``; ``out_refund_no`` is the idempotency key."""

    out_trade_no: str
    out_refund_no: str
    total_fen: int
    refund_fen: int
    reason: str = ""
    store: str = ""
    terminal: str = ""
    operator: str = ""


@dataclass(frozen=True)
class Tender:
    """A part of the amount: ``kind`` wallet | coupon | points | stored_value | other, and who funded it."""

    kind: str
    funder: str
    amount_fen: int


@dataclass(frozen=True)
class Payer:
    """The customer as this app id knows them; the pair is kept together always."""

    app_id: str
    open_id: str


@dataclass(frozen=True)
class Paid:
    """The money is there. ``merchant_no`` and ``out_trade_no`` are those of the answer, not of the question."""

    merchant_no: str
    out_trade_no: str
    platform_trade_no: str
    amount_fen: int
    tenders: tuple[Tender, ...]
    payer: Payer | None
    paid_at: datetime | None
    evidence: bytes = field(repr=False)
    state: str = "SUCCESS"


@dataclass(frozen=True)
class PartlyRefunded:
    """Paid, then refunded in part or whole: how much, only the refund queries tell (WeChat REFUND)."""

    payment: Paid
    evidence: bytes = field(repr=False)


@dataclass(frozen=True)
class Waiting:
    """The customer has to do something (password); ask again."""

    evidence: bytes = field(repr=False)
    again: bool = True


@dataclass(frozen=True)
class Closed:
    """Never paid and cannot be any more; or, at Alipay, paid and refunded in full (``may_be_refunded``)."""

    evidence: bytes = field(repr=False)
    may_be_refunded: bool = False


@dataclass(frozen=True)
class Revoked:
    """Taken back as a whole by a cancel (WeChat REVOKED)."""

    evidence: bytes = field(repr=False)


@dataclass(frozen=True)
class NotFound:
    """The other side does not know the number. Proves nothing while the call that made it may be on its way."""

    evidence: bytes = field(repr=False)


@dataclass(frozen=True)
class Failed:
    """Refused. ``final``: no money moved and none will under this number; else ask before believing it."""

    code: str
    message_key: str
    final: bool
    words: str = ""
    evidence: bytes = field(default=b"", repr=False)
    alarm: bool = False


@dataclass(frozen=True)
class Unknown:
    """No answer, or none to believe: query. ``sent`` False is proof that no byte of the request left us."""

    reason: str
    code: str = ""
    sent: bool = True
    evidence: bytes = field(default=b"", repr=False)
    again: bool = True


@dataclass(frozen=True)
class Cancelled:
    """The other side says so. It is believed after a query only (it says so for foreign numbers too)."""

    action: str  # close | refund | none | unsaid
    evidence: bytes = field(repr=False)


@dataclass(frozen=True)
class CancelAgain:
    """Not done yet, repeat the same cancel (WeChat recall, Alipay retry_flag)."""

    code: str
    evidence: bytes = field(repr=False)
    again: bool = True


@dataclass(frozen=True)
class Refunded:
    """The refund happened. ``tenders`` are the refund's own parts, empty when the platform does not tell."""

    out_refund_no: str
    platform_refund_no: str
    refund_fen: int
    tenders: tuple[Tender, ...]
    refunded_at: datetime | None
    evidence: bytes = field(repr=False)


@dataclass(frozen=True)
class Refunding:
    """Accepted, not done: query."""

    platform_refund_no: str
    evidence: bytes = field(repr=False)
    again: bool = True


@dataclass(frozen=True)
class FetchedBill:
    """A day's bill. ``content`` is unpacked text for WeChat, the zip as received for Alipay."""

    bill_date: date
    content: bytes = field(repr=False)
    file_name: str = ""
    hash_checked: bool = False


@dataclass(frozen=True)
class NotYet:
    """The bill is not made yet: come again after so many seconds."""

    reason: str
    wait_seconds: int = 1800
    again: bool = True


@dataclass(frozen=True)
class EmptyDay:
    """The platform says that there was no trade. ``proved``: by a document; else by its silence after its own hour."""

    reason: str
    proved: bool
    evidence: bytes = field(default=b"", repr=False)


ChargeAnswer = Paid | Waiting | Failed | Unknown
QueryAnswer = Paid | PartlyRefunded | Waiting | Closed | Revoked | NotFound | Failed | Unknown
CancelAnswer = Cancelled | CancelAgain | NotFound | Failed | Unknown
RefundAnswer = Refunded | Refunding | NotFound | Failed | Unknown
BillAnswer = FetchedBill | NotYet | EmptyDay | Failed | Unknown


class Gateway(Protocol):
    """One merchant account at its platform."""

    SETTINGS: tuple[Setting, ...]
    hides_partial_refunds: bool  # True: ask each refund number before the order vouches for anything

    def __init__(self, settings: MerchantSettings) -> None: ...

    def charge(self, order: ChargeOrder, payment_code: str) -> ChargeAnswer:
        """The one call with the code. Never repeated: whatever is not Paid or final is queried."""

    def query(self, out_trade_no: str) -> QueryAnswer: ...

    def cancel(self, out_trade_no: str) -> CancelAnswer: ...

    def refund(self, order: RefundOrder) -> RefundAnswer: ...

    def query_refund(self, out_trade_no: str, out_refund_no: str) -> RefundAnswer: ...

    def refunds_of(self, out_trade_no: str) -> dict[str, RefundAnswer] | Unknown:
        """Every refund of an order by its number, also those made elsewhere; where the platform hides them: none."""

    def fetch_bill(self, bill_date: date) -> BillAnswer: ...


def of(settings: MerchantSettings) -> Gateway:
    """The gateway of an account. Raises LookupError for a platform without a file here."""
    gateway: Gateway = kinds.one(__name__, settings.platform)(settings)
    return gateway


def all_kinds() -> Mapping[str, type[Gateway]]:
    """Platform -> class, for setup's check and the tests that run over each."""
    return kinds.find(__name__)


def disagreements(answer: Paid, *, merchant_no: str, out_trade_no: str, amount_fen: int) -> list[str]:
    """Which of account, number, amount the answer does not share with our row; empty: it vouches for the row."""
    ours = {"merchant_no": merchant_no, "out_trade_no": out_trade_no, "amount_fen": amount_fen}
    return [name for name, value in ours.items() if getattr(answer, name) != value]
