"""Facts about requests and invoices that others may hear."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ConfirmationNeeded:
    """A request (in this version) waits for a cashier."""

    request_id: int
    version: int


@dataclass(frozen=True)
class RequestChanged:
    """A request moved to another state; ``verb`` says by what."""

    request_id: int
    state: str
    verb: str


@dataclass(frozen=True)
class InvoiceIssued:
    """The channel has given the number."""

    invoice_id: int
    request_id: int


@dataclass(frozen=True)
class DocumentReady:
    """The invoice's file and its picture are kept: it can be shown, sent and printed."""

    invoice_id: int


@dataclass(frozen=True)
class DeliveryChanged:
    """A delivery of an invoice moved on."""

    delivery_id: int
    state: str


@dataclass(frozen=True)
class IssuingFailed:
    """The channel refused for good; the claim is free again."""

    request_id: int
