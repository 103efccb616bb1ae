"""What pages and the chat read of requests and invoices: plain frozen rows."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class PurchaseRow:
    """A sale of a customer as C2 shows it. ``obstacle`` is a message key, None: it can be picked."""

    public_id: str
    company: str
    company_name: str
    store_name: str
    terminal: str
    out_trade_no: str
    occurred_at: datetime
    paid_fen: int
    amount_fen: int
    merchant_discount_fen: int
    platform_discount_fen: int
    refunded_fen: int
    left_fen: int
    obstacle: str | None
    waits_for_bill: bool
    request: str | None = None


@dataclass(frozen=True)
class RequestRow:
    """A request in a list."""

    id: int
    public_id: str
    code: str
    state: str
    version: int
    confirm_code: str | None
    amount_fen: int
    store_name: str
    store_code: str
    company_code: str
    buyer_name: str
    asked_at: datetime
    changed_at: datetime
    waits_for: str
    invoice: str | None
    invoice_no: str | None


@dataclass(frozen=True)
class Step:
    """One line of a request's timeline."""

    state: str
    verb: str
    at: datetime
    who: str
    why: str


@dataclass(frozen=True)
class RequestView:
    """A request with its purchases, timeline and what is missing."""

    row: RequestRow
    buyer: dict[str, Any]
    purchases: tuple[PurchaseRow, ...]
    steps: tuple[Step, ...]
    missing_proof: str | None
    reason_key: str | None
    reason: str | None
    delivery: tuple[str, ...]
    is_title_changed: bool
    store_phone: str
    service_hours: str
    customer_id: int
    decided_by: str
    decided_at: datetime | None


@dataclass(frozen=True)
class DeliveryRow:
    """One way of delivery and its state."""

    way: str
    state: str
    detail: str
    changed_at: datetime


@dataclass(frozen=True)
class InvoiceView:
    """An invoice as its owner and the console see it. ``files``: role → SHA-256."""

    id: int
    public_id: str
    number: str
    state: str
    kind: str
    is_specimen: bool
    issued_at: datetime
    buyer: dict[str, Any]
    seller: dict[str, Any]
    lines: tuple[dict[str, Any], ...]
    total_fen: int
    net_fen: int
    tax_fen: int
    store_name: str
    store_id: int
    request: str
    request_code: str
    customer_id: int
    deliveries: tuple[DeliveryRow, ...]
    files: dict[str, str]
    out_trade_nos: tuple[str, ...]


@dataclass(frozen=True)
class DeliveryFound:
    """A delivery by its own id."""

    id: int
    invoice_id: int
    way: str
    state: str
