"""Messages seen, conversations, messages sent."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from miniapp.db import Base, BigId


class SeenMessage(Base):
    """An incoming message, by its content's key; the same message again gets the stored answer."""

    __tablename__ = "seen_message"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    account: Mapped[str] = mapped_column(String(40))
    key: Mapped[str] = mapped_column(String(200))
    reply: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("account", "key"), Index(None, "at"))


class Conversation(Base):
    """What a person was last shown, so that a bare number or 确认 means something; forgotten after ten minutes."""

    __tablename__ = "conversation"
    app_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    open_id: Mapped[str] = mapped_column(String(128), primary_key=True)
    topic: Mapped[str] = mapped_column(String(40))
    state: Mapped[dict[str, Any]] = mapped_column(JSON)
    at: Mapped[datetime]


class Notice(Base):
    """A message to one person about one event: recorded before it is sent, once per event and person."""

    __tablename__ = "notice"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    key: Mapped[str] = mapped_column(String(160), unique=True)
    app_id: Mapped[str] = mapped_column(String(40))
    open_id: Mapped[str] = mapped_column(String(128))
    subject: Mapped[str] = mapped_column(String(20))
    subject_id: Mapped[int] = mapped_column(BigId)
    content: Mapped[dict[str, Any]] = mapped_column(JSON)
    way: Mapped[str] = mapped_column(String(20), default="")
    state: Mapped[str] = mapped_column(String(12))
    detail: Mapped[str] = mapped_column(String(200), default="")
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    __table_args__ = (
        CheckConstraint("state IN ('waiting', 'sent', 'refused', 'unknown')", name="state"),
        Index(None, "subject", "subject_id"),
    )
