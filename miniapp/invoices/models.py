"""Requests, claims on amounts, issue orders, invoices, deliveries."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from miniapp.customers.models import Customer
from miniapp.db import Base, BigId, Fen
from miniapp.invoices.states import DELIVERY, INVOICE, REQUEST
from miniapp.payments.models import TerminalTransaction
from miniapp.stores.models import Company, IssuingChannel, Staff, Store


class InvoiceRequest(Base):
    """A customer asks for one invoice over one or several purchases of one company.

    ``buyer`` is a frozen copy of the title. ``version`` grows with every change of amount; a confirm code names
    (request, version).
    """

    __tablename__ = "invoice_request"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    public_id: Mapped[str] = mapped_column(String(32), unique=True)
    code: Mapped[str] = mapped_column(String(8), unique=True)
    form_key: Mapped[str] = mapped_column(String(80), unique=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    app_id: Mapped[str] = mapped_column(String(40))
    company_id: Mapped[int] = mapped_column(ForeignKey("company.id"))
    store_id: Mapped[int] = mapped_column(ForeignKey("store.id"))
    state: Mapped[str] = mapped_column(String(24))
    version: Mapped[int] = mapped_column(default=1)
    approved_version: Mapped[int | None]
    approvals: Mapped[int] = mapped_column(default=0)
    confirm_code: Mapped[str | None] = mapped_column(String(8), index=True)
    amount_fen: Mapped[int] = mapped_column(Fen)
    kind: Mapped[str] = mapped_column(String(20), default="ordinary")
    buyer: Mapped[dict[str, Any]] = mapped_column(JSON)
    title_id: Mapped[int | None] = mapped_column(BigId)
    delivery: Mapped[list[str]] = mapped_column(JSON)
    printer_id: Mapped[int | None] = mapped_column(BigId)
    asked_at: Mapped[datetime]
    changed_at: Mapped[datetime]
    confirm_since: Mapped[datetime | None]
    decided_at: Mapped[datetime | None]
    decided_by_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    reason_key: Mapped[str | None] = mapped_column(String(80))
    reason: Mapped[str | None] = mapped_column(Text)
    customer: Mapped[Customer] = relationship()
    company: Mapped[Company] = relationship()
    store: Mapped[Store] = relationship()
    decided_by: Mapped[Staff | None] = relationship()
    purchases: Mapped[list["RequestPurchase"]] = relationship(order_by="RequestPurchase.id")
    __table_args__ = (
        CheckConstraint(REQUEST.check_sql(), name="state"),
        Index(None, "store_id", "state"),
        Index(None, "state", "changed_at"),
        Index(
            "ux_invoice_request_confirm",
            "confirm_code",
            unique=True,
            sqlite_where=text("state = 'awaiting_confirmation'"),
            postgresql_where=text("state = 'awaiting_confirmation'"),
        ),
    )


class ConfirmCode(Base):
    """Every confirm code ever given: an old one still names its request, so that the answer can say what became of it."""

    __tablename__ = "confirm_code"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    code: Mapped[str] = mapped_column(String(8), index=True)
    request_id: Mapped[int] = mapped_column(ForeignKey("invoice_request.id"))
    version: Mapped[int]
    at: Mapped[datetime]
    request: Mapped[InvoiceRequest] = relationship()


class RequestPurchase(Base):
    """A purchase of a request and the amount asked of it now."""

    __tablename__ = "request_purchase"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    request_id: Mapped[int] = mapped_column(ForeignKey("invoice_request.id"), index=True)
    transaction_id: Mapped[int] = mapped_column(ForeignKey("terminal_transaction.id"), index=True)
    amount_fen: Mapped[int] = mapped_column(Fen)
    transaction: Mapped[TerminalTransaction] = relationship()
    __table_args__ = (UniqueConstraint("request_id", "transaction_id"),)


class AmountClaim(Base):
    """Money kept for a request. One live claim per (purchase, part), by the database."""

    __tablename__ = "amount_claim"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    transaction_id: Mapped[int] = mapped_column(ForeignKey("terminal_transaction.id"))
    part: Mapped[str] = mapped_column(String(20), default="all")
    amount_fen: Mapped[int] = mapped_column(Fen)
    request_id: Mapped[int] = mapped_column(ForeignKey("invoice_request.id"), index=True)
    is_live: Mapped[bool] = mapped_column(default=True)
    taken_at: Mapped[datetime]
    released_at: Mapped[datetime | None]
    request: Mapped[InvoiceRequest] = relationship()
    __table_args__ = (
        CheckConstraint("amount_fen > 0", name="amount"),
        Index(
            "ux_amount_claim_live",
            "transaction_id",
            "part",
            unique=True,
            sqlite_where=text("is_live"),
            postgresql_where=text("is_live"),
        ),
    )


class IssueOrder(Base):
    """What was handed, or is about to be handed, to the channel: serial and content frozen before the call.

    ``sent_at``: when the last call was allowed out; a channel's "not found" proves nothing before some time after it.
    """

    __tablename__ = "issue_order"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    request_id: Mapped[int] = mapped_column(ForeignKey("invoice_request.id"), unique=True)
    channel_id: Mapped[int | None] = mapped_column(ForeignKey("issuing_channel.id"))
    channel_kind: Mapped[str] = mapped_column(String(20))
    serial: Mapped[str] = mapped_column(String(20), unique=True)
    content: Mapped[dict[str, Any]] = mapped_column(JSON)
    begun_at: Mapped[datetime]
    sent_at: Mapped[datetime]
    acknowledged_at: Mapped[datetime | None]
    last_asked_at: Mapped[datetime | None]
    state: Mapped[str] = mapped_column(String(12), default="open")
    detail: Mapped[str | None] = mapped_column(Text)
    request: Mapped[InvoiceRequest] = relationship()
    channel: Mapped[IssuingChannel | None] = relationship()
    __table_args__ = (CheckConstraint("state IN ('open', 'done', 'refused', 'stopped')", name="state"),)


class Invoice(Base):
    """An issued document. Everything on its face is a column of its own: later edits elsewhere change nothing."""

    __tablename__ = "invoice"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    public_id: Mapped[str] = mapped_column(String(32), unique=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("issue_order.id"), unique=True)
    request_id: Mapped[int] = mapped_column(ForeignKey("invoice_request.id"))
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    company_id: Mapped[int] = mapped_column(ForeignKey("company.id"))
    store_id: Mapped[int] = mapped_column(ForeignKey("store.id"))
    kind: Mapped[str] = mapped_column(String(20))
    is_specimen: Mapped[bool] = mapped_column(default=False)
    number: Mapped[str] = mapped_column(String(40), unique=True)
    state: Mapped[str] = mapped_column(String(20))
    issued_at: Mapped[datetime]
    buyer: Mapped[dict[str, Any]] = mapped_column(JSON)
    seller: Mapped[dict[str, Any]] = mapped_column(JSON)
    lines: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    total_fen: Mapped[int] = mapped_column(Fen)
    net_fen: Mapped[int] = mapped_column(Fen)
    tax_fen: Mapped[int] = mapped_column(Fen)
    issuer_name: Mapped[str] = mapped_column(String(20), default="")
    remark: Mapped[str] = mapped_column(String(230), default="")
    file_urls: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    order: Mapped[IssueOrder] = relationship()
    request: Mapped[InvoiceRequest] = relationship()
    store: Mapped[Store] = relationship()
    company: Mapped[Company] = relationship()
    deliveries: Mapped[list["Delivery"]] = relationship(order_by="Delivery.id")
    __table_args__ = (CheckConstraint(INVOICE.check_sql(), name="state"), Index(None, "issued_at"))


class InvoicePurchase(Base):
    """How much of a purchase an invoice covers."""

    __tablename__ = "invoice_purchase"
    invoice_id: Mapped[int] = mapped_column(ForeignKey("invoice.id"), primary_key=True)
    transaction_id: Mapped[int] = mapped_column(
        ForeignKey("terminal_transaction.id"), primary_key=True, index=True
    )
    amount_fen: Mapped[int] = mapped_column(Fen)
    transaction: Mapped[TerminalTransaction] = relationship()
    invoice: Mapped[Invoice] = relationship()


class Delivery(Base):
    """One way in which an invoice reaches the customer: chat, page, printer, mail, wallet."""

    __tablename__ = "delivery"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    invoice_id: Mapped[int] = mapped_column(ForeignKey("invoice.id"))
    way: Mapped[str] = mapped_column(String(10))
    state: Mapped[str] = mapped_column(String(12))
    detail: Mapped[str] = mapped_column(String(200), default="")
    changed_at: Mapped[datetime]
    invoice: Mapped[Invoice] = relationship(back_populates="deliveries")
    __table_args__ = (
        UniqueConstraint("invoice_id", "way"),
        CheckConstraint(DELIVERY.check_sql(), name="state"),
    )
