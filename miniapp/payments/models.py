"""The ledger of terminal transactions, charges and refunds that we make, claims of customers, the terminal door's memory."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    DDL,
    JSON,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    event,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from miniapp.core.models import AuditLine
from miniapp.customers.models import Customer
from miniapp.db import Base, BigId, Fen
from miniapp.payments.states import CHARGE, REFUND
from miniapp.stores.models import Company, MerchantAccount, Store, Terminal


class TerminalTransaction(Base):
    """One sale or refund as the terminal saw it. Append-only by trigger; what happens later is a row of its own."""

    __tablename__ = "terminal_transaction"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    public_id: Mapped[str] = mapped_column(String(32), unique=True)
    merchant_account_id: Mapped[int] = mapped_column(ForeignKey("merchant_account.id"))
    company_id: Mapped[int] = mapped_column(ForeignKey("company.id"))
    store_id: Mapped[int] = mapped_column(ForeignKey("store.id"))
    terminal_id: Mapped[int] = mapped_column(ForeignKey("terminal.id"))
    kind: Mapped[str] = mapped_column(String(10))
    platform: Mapped[str] = mapped_column(String(20))
    out_trade_no: Mapped[str] = mapped_column(String(64))
    out_refund_no: Mapped[str] = mapped_column(String(64), default="")
    platform_trade_no: Mapped[str] = mapped_column(String(64), default="")
    platform_refund_no: Mapped[str] = mapped_column(String(64), default="")
    rrn: Mapped[str] = mapped_column(String(20), default="")
    terminal_batch_no: Mapped[str] = mapped_column(String(12), default="")
    trace_no: Mapped[str] = mapped_column(String(12), default="")
    amount_fen: Mapped[int] = mapped_column(Fen)
    paid_fen: Mapped[int] = mapped_column(Fen)
    merchant_discount_fen: Mapped[int] = mapped_column(Fen, default=0)
    platform_discount_fen: Mapped[int] = mapped_column(Fen, default=0)
    fee_fen: Mapped[int | None] = mapped_column(Fen)
    occurred_at: Mapped[datetime]
    bill_date: Mapped[date]
    business_date: Mapped[date]
    payer_app_id: Mapped[str] = mapped_column(String(40), default="")
    payer_open_id: Mapped[str] = mapped_column(String(128), default="")
    original_id: Mapped[int | None] = mapped_column(ForeignKey("terminal_transaction.id"), index=True)
    source: Mapped[str] = mapped_column(String(12))
    operator: Mapped[str] = mapped_column(String(40), default="")
    fingerprint: Mapped[str] = mapped_column(String(64))
    recorded_at: Mapped[datetime]
    merchant_account: Mapped[MerchantAccount] = relationship()
    company: Mapped[Company] = relationship()
    store: Mapped[Store] = relationship()
    terminal: Mapped[Terminal] = relationship()
    original: Mapped["TerminalTransaction | None"] = relationship(remote_side=[id])
    lines: Mapped[list["TransactionLine"]] = relationship(order_by="TransactionLine.position")
    tenders: Mapped[list["Tender"]] = relationship(order_by="Tender.position")
    __table_args__ = (
        UniqueConstraint(
            "merchant_account_id", "kind", "out_trade_no", "out_refund_no", name="uq_ledger_number"
        ),
        CheckConstraint("kind IN ('sale', 'refund')", name="kind"),
        CheckConstraint("source IN ('charged', 'reported', 'supplemented')", name="source"),
        CheckConstraint("amount_fen > 0 AND paid_fen >= 0", name="amounts"),
        CheckConstraint("(kind = 'sale') = (out_refund_no = '')", name="refund_no"),
        Index(None, "merchant_account_id", "bill_date"),
        Index(None, "store_id", "occurred_at"),
        Index(None, "payer_app_id", "payer_open_id", "occurred_at"),
        Index(None, "platform_trade_no"),
        Index(None, "terminal_id", "terminal_batch_no", "trace_no"),
        Index(None, "rrn"),
    )


class TransactionLine(Base):
    """What was sold. Without lines a sale takes the store's default line when it is invoiced."""

    __tablename__ = "transaction_line"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    transaction_id: Mapped[int] = mapped_column(ForeignKey("terminal_transaction.id"), index=True)
    position: Mapped[int]
    item_code: Mapped[str] = mapped_column(String(40), default="")
    name: Mapped[str] = mapped_column(String(90))
    quantity: Mapped[str] = mapped_column(String(20), default="")
    unit: Mapped[str] = mapped_column(String(20), default="")
    amount_fen: Mapped[int] = mapped_column(Fen)
    tax_category_code: Mapped[str] = mapped_column(String(19), default="")
    tax_rate: Mapped[str] = mapped_column(String(10), default="")


class Tender(Base):
    """One part of how a sale was paid or a refund given back, and who funded it."""

    __tablename__ = "tender"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    transaction_id: Mapped[int] = mapped_column(ForeignKey("terminal_transaction.id"), index=True)
    position: Mapped[int]
    kind: Mapped[str] = mapped_column(String(20))
    funder: Mapped[str] = mapped_column(String(10))
    amount_fen: Mapped[int] = mapped_column(Fen)


class TransactionState(Base):
    """What happened to a transaction later: ``revoked``. A row of its own, because the ledger never changes."""

    __tablename__ = "transaction_state"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    transaction_id: Mapped[int] = mapped_column(ForeignKey("terminal_transaction.id"))
    state: Mapped[str] = mapped_column(String(12))
    source: Mapped[str] = mapped_column(String(12))
    at: Mapped[datetime]
    recorded_at: Mapped[datetime]
    __table_args__ = (
        UniqueConstraint("transaction_id", "state"),
        CheckConstraint("state IN ('revoked')", name="state"),
    )


class PurchaseBalance(Base):
    """What of a sale may be invoiced, what is claimed, and what is claimed above the limit. One UPDATE writes all three."""

    __tablename__ = "purchase_balance"
    transaction_id: Mapped[int] = mapped_column(ForeignKey("terminal_transaction.id"), primary_key=True)
    limit_fen: Mapped[int] = mapped_column(Fen)
    claimed_fen: Mapped[int] = mapped_column(Fen, default=0)
    excess_fen: Mapped[int] = mapped_column(Fen, default=0)
    transaction: Mapped[TerminalTransaction] = relationship()
    __table_args__ = (
        CheckConstraint(
            "limit_fen >= 0 AND claimed_fen >= 0 AND excess_fen >= 0 AND claimed_fen - excess_fen <= limit_fen"
            " AND (excess_fen = 0 OR claimed_fen - excess_fen = limit_fen)",
            name="balance",
        ),
    )


class WaitingReturn(Base):
    """A refund or revocation whose sale is not recorded yet; it counts in the transaction that records the sale."""

    __tablename__ = "waiting_return"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    terminal_id: Mapped[int] = mapped_column(ForeignKey("terminal.id"))
    merchant_account_id: Mapped[int] = mapped_column(ForeignKey("merchant_account.id"))
    kind: Mapped[str] = mapped_column(String(12))
    key: Mapped[str] = mapped_column(String(160))
    fingerprint: Mapped[str] = mapped_column(String(64))
    original: Mapped[dict[str, Any]] = mapped_column(JSON)
    report: Mapped[dict[str, Any]] = mapped_column(JSON)
    recorded_at: Mapped[datetime]
    found_at: Mapped[datetime | None]
    __table_args__ = (UniqueConstraint("merchant_account_id", "kind", "key"),)


class Conflict(Base):
    """A report that names a known number with other content: refused, and kept for a person."""

    __tablename__ = "ledger_conflict"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    terminal_id: Mapped[int] = mapped_column(ForeignKey("terminal.id"))
    transaction_id: Mapped[int | None] = mapped_column(ForeignKey("terminal_transaction.id"))
    number: Mapped[str] = mapped_column(String(80))
    report: Mapped[dict[str, Any]] = mapped_column(JSON)
    at: Mapped[datetime]


class Vouch(Base):
    """An order query that confirmed a sale: same merchant account, number and amount, state paid."""

    __tablename__ = "vouch"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    transaction_id: Mapped[int] = mapped_column(ForeignKey("terminal_transaction.id"), index=True)
    at: Mapped[datetime]
    is_good: Mapped[bool]
    answer: Mapped[str] = mapped_column(String(40))
    evidence_sha256: Mapped[str] = mapped_column(String(64), default="")


class Charge(Base):
    """A payment code that we were asked to charge. Committed before the one call; the code itself is never stored."""

    __tablename__ = "charge"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    merchant_account_id: Mapped[int] = mapped_column(ForeignKey("merchant_account.id"))
    terminal_id: Mapped[int] = mapped_column(ForeignKey("terminal.id"))
    platform: Mapped[str] = mapped_column(String(20))
    out_trade_no: Mapped[str] = mapped_column(String(64))
    amount_fen: Mapped[int] = mapped_column(Fen)
    subject: Mapped[str] = mapped_column(String(127), default="")
    lines: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    operator: Mapped[str] = mapped_column(String(40), default="")
    code_hash: Mapped[str] = mapped_column(String(64))
    code_tail: Mapped[str] = mapped_column(String(4))
    state: Mapped[str] = mapped_column(String(12))
    message_key: Mapped[str] = mapped_column(String(80), default="")
    answer_code: Mapped[str] = mapped_column(String(64), default="")
    cancel_action: Mapped[str] = mapped_column(String(10), default="")
    transaction_id: Mapped[int | None] = mapped_column(ForeignKey("terminal_transaction.id"))
    begun_at: Mapped[datetime]
    call_ended_at: Mapped[datetime | None]
    deadline_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
    merchant_account: Mapped[MerchantAccount] = relationship()
    terminal: Mapped[Terminal] = relationship()
    __table_args__ = (
        UniqueConstraint("merchant_account_id", "out_trade_no"),
        UniqueConstraint("terminal_id", "out_trade_no"),
        CheckConstraint(CHARGE.check_sql(), name="state"),
        Index(
            "ix_charge_open",
            "deadline_at",
            sqlite_where=text("state IN ('calling', 'paying', 'unknown', 'cancelling')"),
            postgresql_where=text("state IN ('calling', 'paying', 'unknown', 'cancelling')"),
        ),
    )


class RefundOrder(Base):
    """A refund that we ask a platform for. While it is open or unknown it counts as refunded."""

    __tablename__ = "refund_order"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    sale_id: Mapped[int] = mapped_column(ForeignKey("terminal_transaction.id"), index=True)
    merchant_account_id: Mapped[int] = mapped_column(ForeignKey("merchant_account.id"))
    terminal_id: Mapped[int] = mapped_column(ForeignKey("terminal.id"))
    out_refund_no: Mapped[str] = mapped_column(String(64))
    refund_fen: Mapped[int] = mapped_column(Fen)
    reason: Mapped[str] = mapped_column(String(80), default="")
    operator: Mapped[str] = mapped_column(String(40), default="")
    state: Mapped[str] = mapped_column(String(12))
    message_key: Mapped[str] = mapped_column(String(80), default="")
    platform_refund_no: Mapped[str] = mapped_column(String(64), default="")
    transaction_id: Mapped[int | None] = mapped_column(ForeignKey("terminal_transaction.id"))
    asked_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
    sale: Mapped[TerminalTransaction] = relationship(foreign_keys=[sale_id])
    __table_args__ = (
        UniqueConstraint("merchant_account_id", "out_refund_no"),
        CheckConstraint(REFUND.check_sql(), name="state"),
    )


class SlipCode(Base):
    """The claim code printed on a slip."""

    __tablename__ = "slip_code"
    code: Mapped[str] = mapped_column(String(10), primary_key=True)
    transaction_id: Mapped[int] = mapped_column(ForeignKey("terminal_transaction.id"), unique=True)
    expires_at: Mapped[datetime]


class PurchaseClaim(Base):
    """Whose purchase it is. One owner; the first binds."""

    __tablename__ = "purchase_claim"
    transaction_id: Mapped[int] = mapped_column(ForeignKey("terminal_transaction.id"), primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    how: Mapped[str] = mapped_column(String(10))
    at: Mapped[datetime]
    transaction: Mapped[TerminalTransaction] = relationship()
    customer: Mapped[Customer] = relationship()
    __table_args__ = (CheckConstraint("how IN ('payer', 'slip', 'code')", name="how"),)


class SettledReply(Base):
    """The first settled answer to an Idempotency-Key, replayed byte for byte.

    ``running_until`` is on the machine's clock, like a lease: until then somebody is working on the first call.
    """

    __tablename__ = "settled_reply"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    terminal_id: Mapped[int] = mapped_column(ForeignKey("terminal.id"))
    route: Mapped[str] = mapped_column(String(40))
    key: Mapped[str] = mapped_column(String(80))
    fingerprint: Mapped[str] = mapped_column(String(64))
    status: Mapped[int | None]
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    begun_at: Mapped[datetime]
    running_until: Mapped[datetime | None]
    settled_at: Mapped[datetime | None]
    __table_args__ = (UniqueConstraint("terminal_id", "route", "key"),)


class TerminalNonce(Base):
    """A nonce that a terminal key has used; kept ten minutes."""

    __tablename__ = "terminal_nonce"
    key_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    nonce: Mapped[str] = mapped_column(String(64), primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)


class KeyConflict(Base):
    """An Idempotency-Key that came again with other content: 422, kept for the engineer who connects the POS."""

    __tablename__ = "key_conflict"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    terminal_id: Mapped[int] = mapped_column(ForeignKey("terminal.id"))
    route: Mapped[str] = mapped_column(String(40))
    key: Mapped[str] = mapped_column(String(80))
    fingerprint: Mapped[str] = mapped_column(String(64))
    detail: Mapped[str | None] = mapped_column(Text)
    at: Mapped[datetime]


APPEND_ONLY: tuple[str, ...] = (
    "terminal_transaction",
    "transaction_line",
    "tender",
    "transaction_state",
    "audit_line",
)
"""Rows of these are never changed or removed: the database refuses it, whoever asks."""

REFUSE_CHANGE = """
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION '%% is append-only', TG_TABLE_NAME; END $$
"""


def append_only_sql(table: str, dialect: str) -> list[str]:
    """The triggers that keep a table append-only; ``dialect`` is sqlite or postgresql."""
    if dialect == "postgresql":
        return [
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        ]
    return [
        f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table}"
        f" BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        for verb in ("UPDATE", "DELETE")
    ]


def _guard(table: Table) -> None:
    function = DDL(REFUSE_CHANGE).execute_if(dialect="postgresql")  # type: ignore[no-untyped-call]
    event.listen(table, "before_create", function)
    for dialect in ("sqlite", "postgresql"):
        for sql in append_only_sql(table.name, dialect):
            event.listen(table, "after_create", DDL(sql).execute_if(dialect=dialect))  # type: ignore[no-untyped-call]


for _model in (TerminalTransaction, TransactionLine, Tender, TransactionState, AuditLine):
    _guard(_model.__table__)  # type: ignore[arg-type]
