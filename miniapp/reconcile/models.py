"""Bill files, batches, differences, resolutions, days. Matched rows are never written: only what did not match."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from miniapp.db import Base, BigId, Fen
from miniapp.payments.models import TerminalTransaction
from miniapp.reconcile.states import BATCH, DAY, DIFFERENCE, RESOLUTION
from miniapp.stores.models import Company, MerchantAccount, Staff, Store


class BillFile(Base):
    """One bill as received, by the hash of its bytes. ``totals`` is what ``bills inspect`` says of it.

    ``rows_sha256``: its normalised rows as Parquet, made from the bytes and makeable again.
    """

    __tablename__ = "bill_file"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    merchant_account_id: Mapped[int] = mapped_column(ForeignKey("merchant_account.id"))
    bill_date: Mapped[date]
    layout: Mapped[str] = mapped_column(String(60))
    bill: Mapped[str] = mapped_column(String(10), default="trade")
    sha256: Mapped[str] = mapped_column(String(64))
    rows_sha256: Mapped[str] = mapped_column(String(64), default="")
    name: Mapped[str] = mapped_column(String(200), default="")
    rows: Mapped[int]
    totals: Mapped[dict[str, Any]] = mapped_column(JSON)
    trailer: Mapped[str] = mapped_column(String(10), default="")
    source: Mapped[str] = mapped_column(String(10))
    taken_at: Mapped[datetime]
    taken_by: Mapped[str] = mapped_column(String(80))
    merchant_account: Mapped[MerchantAccount] = relationship()
    __table_args__ = (
        UniqueConstraint("merchant_account_id", "bill_date", "layout", "sha256"),
        CheckConstraint("source IN ('fetched', 'imported')", name="source"),
        CheckConstraint("bill IN ('trade', 'flow')", name="bill"),
        Index(None, "sha256"),
    )


class Batch(Base):
    """(merchant account, bill date, version). Who records a transaction of that day locks it FOR SHARE, a run FOR
    UPDATE: so a row is either read by the run or known to be late. Version 1 is made by whichever comes first."""

    __tablename__ = "batch"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    merchant_account_id: Mapped[int] = mapped_column(ForeignKey("merchant_account.id"))
    company_id: Mapped[int] = mapped_column(ForeignKey("company.id"))
    bill_date: Mapped[date]
    version: Mapped[int] = mapped_column(default=1)
    state: Mapped[str] = mapped_column(String(10), default="open")
    is_superseded: Mapped[bool] = mapped_column(default=False)
    is_empty_day: Mapped[bool] = mapped_column(default=False)
    totals: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    made_at: Mapped[datetime]
    read_at: Mapped[datetime | None]
    done_at: Mapped[datetime | None]
    merchant_account: Mapped[MerchantAccount] = relationship()
    files: Mapped[list["BatchFile"]] = relationship(
        order_by="BatchFile.file_id", cascade="all, delete-orphan"
    )
    __table_args__ = (
        UniqueConstraint("merchant_account_id", "bill_date", "version"),
        CheckConstraint(BATCH.check_sql(), name="state"),
        CheckConstraint("(state = 'done') = (done_at IS NOT NULL)", name="done"),
        Index(
            "ux_batch_deciding",
            "merchant_account_id",
            "bill_date",
            unique=True,
            sqlite_where=text("state = 'done' AND NOT is_superseded"),
            postgresql_where=text("state = 'done' AND NOT is_superseded"),
        ),
        Index(None, "company_id", "bill_date"),
    )


class BatchFile(Base):
    """Which files a batch reads: ALL, or SUCCESS and REFUND together."""

    __tablename__ = "batch_file"
    batch_id: Mapped[int] = mapped_column(ForeignKey("batch.id"), primary_key=True)
    file_id: Mapped[int] = mapped_column(ForeignKey("bill_file.id"), primary_key=True)
    file: Mapped[BillFile] = relationship()


class Difference(Base):
    """One number on which ledger and bill disagree; one live row per number, kept over runs and versions.

    ``bill_date`` is the batch that sees it, ``since`` the day on which it was first missing, ``met_on`` the other bill
    date that brought the missing side. ``is_blocking`` keeps its transaction from being invoiced: always while live, and
    after a resolution that says the sale was not so.
    """

    __tablename__ = "difference"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    batch_id: Mapped[int] = mapped_column(ForeignKey("batch.id"), index=True)
    merchant_account_id: Mapped[int] = mapped_column(ForeignKey("merchant_account.id"))
    company_id: Mapped[int] = mapped_column(ForeignKey("company.id"))
    store_id: Mapped[int | None] = mapped_column(ForeignKey("store.id"))
    platform: Mapped[str] = mapped_column(String(20))
    bill_date: Mapped[date]
    since: Mapped[date]
    kind: Mapped[str] = mapped_column(String(10))
    out_trade_no: Mapped[str] = mapped_column(String(64))
    out_refund_no: Mapped[str] = mapped_column(String(64), default="")
    reasons: Mapped[list[str]] = mapped_column(JSON)
    ledger_fen: Mapped[int | None] = mapped_column(Fen)
    bill_fen: Mapped[int | None] = mapped_column(Fen)
    transaction_id: Mapped[int | None] = mapped_column(ForeignKey("terminal_transaction.id"))
    bill_file_id: Mapped[int | None] = mapped_column(ForeignKey("bill_file.id"))
    bill_line: Mapped[int | None]
    bill_row: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    state: Mapped[str] = mapped_column(String(12))
    is_blocking: Mapped[bool] = mapped_column(default=True)
    is_late: Mapped[bool] = mapped_column(default=False)
    is_vouched: Mapped[bool] = mapped_column(default=False)
    is_held: Mapped[bool] = mapped_column(default=False)
    note: Mapped[str] = mapped_column(Text, default="")
    found_at: Mapped[datetime]
    changed_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
    settled_how: Mapped[str] = mapped_column(String(20), default="")
    met_on: Mapped[date | None]
    merchant_account: Mapped[MerchantAccount] = relationship()
    store: Mapped[Store | None] = relationship()
    transaction: Mapped[TerminalTransaction | None] = relationship()
    bill_file: Mapped[BillFile | None] = relationship()
    resolutions: Mapped[list["Resolution"]] = relationship(order_by="Resolution.id")
    __table_args__ = (
        CheckConstraint(DIFFERENCE.check_sql(), name="state"),
        CheckConstraint("kind IN ('sale', 'refund')", name="kind"),
        CheckConstraint("is_blocking OR state = 'settled'", name="live_blocks"),
        Index(
            "ux_difference_live",
            "merchant_account_id",
            "kind",
            "out_trade_no",
            "out_refund_no",
            unique=True,
            sqlite_where=text("state <> 'settled'"),
            postgresql_where=text("state <> 'settled'"),
        ),
        Index(
            "ix_difference_blocking",
            "transaction_id",
            sqlite_where=text("is_blocking = 1"),  # as queries write it, else SQLite does not use it
            postgresql_where=text("is_blocking"),
        ),
        Index(None, "company_id", "bill_date"),
        Index(None, "merchant_account_id", "state", "bill_date"),
        Index(None, "merchant_account_id", "out_trade_no"),
        Index(None, "merchant_account_id", "met_on"),
    )


class Day(Base):
    """A company's bill date, closed by two persons. ``totals`` is frozen by confirming; ``round`` counts reopenings."""

    __tablename__ = "bill_day"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    company_id: Mapped[int] = mapped_column(ForeignKey("company.id"))
    bill_date: Mapped[date]
    state: Mapped[str] = mapped_column(String(12), default="open")
    round: Mapped[int] = mapped_column(default=1)
    submitted_by_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    confirmed_by_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    closed_at: Mapped[datetime | None]
    totals: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    company: Mapped[Company] = relationship()
    __table_args__ = (
        UniqueConstraint("company_id", "bill_date"),
        CheckConstraint(DAY.check_sql(), name="state"),
        CheckConstraint("submitted_by_id <> confirmed_by_id", name="two_persons"),
        CheckConstraint(
            "(state IN ('closed', 'reopening')) = (closed_at IS NOT NULL) AND (closed_at IS NULL OR (totals IS NOT"
            " NULL AND submitted_by_id IS NOT NULL AND confirmed_by_id IS NOT NULL))",
            name="closed",
        ),
    )


class DayHand(Base):
    """Which hand a person is on a day: maker or checker, never both, by the primary key."""

    __tablename__ = "day_hand"
    day_id: Mapped[int] = mapped_column(ForeignKey("bill_day.id"), primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("staff.id"), primary_key=True)
    hand: Mapped[str] = mapped_column(String(10))
    since: Mapped[datetime]
    person: Mapped[Staff] = relationship()
    __table_args__ = (
        CheckConstraint("hand IN ('maker', 'checker')", name="hand"),
        UniqueConstraint("day_id", "person_id", "hand"),
    )


class DayAct(Base):
    """What a person did with a day, in which hand; append-only. ``totals`` keeps what each closing froze."""

    __tablename__ = "day_act"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    day_id: Mapped[int] = mapped_column(BigId, index=True)
    person_id: Mapped[int] = mapped_column(BigId)
    hand: Mapped[str] = mapped_column(String(10))
    act: Mapped[str] = mapped_column(String(20))
    why: Mapped[str] = mapped_column(Text, default="")
    totals: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    at: Mapped[datetime]
    hand_row: Mapped[DayHand] = relationship()
    __table_args__ = (
        ForeignKeyConstraint(
            ["day_id", "person_id", "hand"], ["day_hand.day_id", "day_hand.person_id", "day_hand.hand"]
        ),
        CheckConstraint(
            "(act IN ('submit', 'ask_reopening')) = (hand = 'maker') AND act IN ('submit', 'confirm', 'return',"
            " 'ask_reopening', 'reopen', 'keep')",
            name="act",
        ),
    )


class Resolution(Base):
    """What one person proposes to do about a difference and another decides. Append-only but for the decision."""

    __tablename__ = "resolution"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    difference_id: Mapped[int] = mapped_column(ForeignKey("difference.id"), index=True)
    kind: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(12), default="proposed")
    facts: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    proposed_by_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    proposed_at: Mapped[datetime]
    decided_by_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    decided_at: Mapped[datetime | None]
    answer: Mapped[str] = mapped_column(Text, default="")
    transaction_id: Mapped[int | None] = mapped_column(ForeignKey("terminal_transaction.id"))
    difference: Mapped[Difference] = relationship(back_populates="resolutions")
    proposed_by: Mapped[Staff] = relationship(foreign_keys=[proposed_by_id])
    decided_by: Mapped[Staff | None] = relationship(foreign_keys=[decided_by_id])
    __table_args__ = (
        CheckConstraint(RESOLUTION.check_sql(), name="state"),
        CheckConstraint(
            "kind IN ('accept_bill', 'accept_ledger', 'adjust', 'write_off', 'hold', 'supplement')",
            name="kind",
        ),
        CheckConstraint(
            "state NOT IN ('approved', 'refused') OR proposed_by_id <> decided_by_id", name="two_persons"
        ),
        CheckConstraint("state NOT IN ('approved', 'refused') OR decided_by_id IS NOT NULL", name="decided"),
        Index(
            "ux_resolution_open",
            "difference_id",
            unique=True,
            sqlite_where=text("state = 'proposed'"),
            postgresql_where=text("state = 'proposed'"),
        ),
    )


class FetchRun(Base):
    """One try to fetch a day's bill, and how it ended."""

    __tablename__ = "fetch_run"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    merchant_account_id: Mapped[int] = mapped_column(ForeignKey("merchant_account.id"))
    bill_date: Mapped[date]
    outcome: Mapped[str] = mapped_column(String(12))
    message: Mapped[str] = mapped_column(Text, default="")
    at: Mapped[datetime]
    merchant_account: Mapped[MerchantAccount] = relationship()
    __table_args__ = (
        CheckConstraint(
            "outcome IN ('fetched', 'same', 'revised', 'empty', 'not_yet', 'refused', 'failed', 'unknown')",
            name="outcome",
        ),
        Index(None, "merchant_account_id", "bill_date", "id"),
    )
