"""Recorded work, announced events, and what each attempt found."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from miniapp.db import Base, BigId


class Work(Base):
    """One intention. ``key`` is unique per job for ever: the same intention is never recorded twice."""

    __tablename__ = "outbox_work"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    job: Mapped[str] = mapped_column(String(60))
    key: Mapped[str] = mapped_column(String(160))
    payload: Mapped[dict[str, Any]] = mapped_column(JSON)
    state: Mapped[str] = mapped_column(String(10), default="ready")
    due_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0)
    fence: Mapped[int] = mapped_column(default=0)
    called: Mapped[bool] = mapped_column(default=False)
    lease_until: Mapped[datetime | None]
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    reason: Mapped[str | None] = mapped_column(Text)
    __table_args__ = (
        CheckConstraint("state IN ('ready', 'leased', 'done', 'dead')", name="state"),
        Index("ux_outbox_work_key", "job", "key", unique=True),
        Index(
            "ix_outbox_work_due",
            "due_at",
            "id",
            sqlite_where=text("state = 'ready'"),
            postgresql_where=text("state = 'ready'"),
        ),
        Index(
            "ix_outbox_work_leased",
            "lease_until",
            sqlite_where=text("state = 'leased'"),
            postgresql_where=text("state = 'leased'"),
        ),
    )


class Event(Base):
    """A fact, announced in the transaction that made it; the worker turns it into work."""

    __tablename__ = "outbox_event"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(60))
    facts: Mapped[dict[str, Any]] = mapped_column(JSON)
    at: Mapped[datetime]
    is_fanned: Mapped[bool] = mapped_column(default=False)
    __table_args__ = (
        Index(
            "ix_outbox_event_new",
            "id",
            sqlite_where=text("NOT is_fanned"),
            postgresql_where=text("NOT is_fanned"),
        ),
    )


class Attempt(Base):
    """One try of a work: kept even when its fence was stale, as evidence."""

    __tablename__ = "outbox_attempt"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    work_id: Mapped[int] = mapped_column(ForeignKey("outbox_work.id"), index=True)
    fence: Mapped[int]
    at: Mapped[datetime]
    result: Mapped[str] = mapped_column(String(20))
    detail: Mapped[str | None] = mapped_column(Text)


class Beat(Base):
    """The last sign of life of each worker."""

    __tablename__ = "outbox_beat"
    worker: Mapped[str] = mapped_column(String(80), primary_key=True)
    at: Mapped[datetime]
