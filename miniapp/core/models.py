"""Tables that every room uses: audit lines, stored files, tasks for people, sessions, limits, the stamp."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from miniapp.db import Base, BigId


class Stamp(Base):
    """Which installation this database belongs to; one row. A restored copy elsewhere must not call out."""

    __tablename__ = "stamp"
    id: Mapped[int] = mapped_column(primary_key=True)
    environment: Mapped[str] = mapped_column(String(20))
    instance: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]


class AuditLine(Base):
    """Who did what, when, from where, why. Append-only by trigger."""

    __tablename__ = "audit_line"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    at: Mapped[datetime]
    who: Mapped[str] = mapped_column(String(80))
    origin: Mapped[str] = mapped_column(String(80))
    subject: Mapped[str] = mapped_column(String(40))
    subject_id: Mapped[int] = mapped_column(BigId)
    verb: Mapped[str] = mapped_column(String(40))
    before: Mapped[str | None] = mapped_column(String(40))
    after: Mapped[str | None] = mapped_column(String(40))
    why: Mapped[str | None] = mapped_column(Text)
    company_id: Mapped[int | None] = mapped_column(BigId)
    __table_args__ = (Index(None, "subject", "subject_id"), Index(None, "at"))


class StoredFile(Base):
    """Bytes kept by content: bills, invoice files, evidence. The bytes lie in the data folder by SHA-256."""

    __tablename__ = "stored_file"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    size: Mapped[int] = mapped_column(BigId)
    media_type: Mapped[str] = mapped_column(String(80))
    stored_at: Mapped[datetime]


class Task(Base):
    """Work for a person, with a deadline: reversal, check_invoice, orphan_refund, incident, late_bill …"""

    __tablename__ = "task"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kind: Mapped[str] = mapped_column(String(40))
    key: Mapped[str] = mapped_column(String(120))
    store_id: Mapped[int | None] = mapped_column(BigId)
    company_id: Mapped[int | None] = mapped_column(BigId)
    values: Mapped[dict[str, Any]] = mapped_column(JSON)
    state: Mapped[str] = mapped_column(String(20), default="open")
    opened_at: Mapped[datetime]
    deadline_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[str | None] = mapped_column(String(80))
    outcome: Mapped[str | None] = mapped_column(Text)
    __table_args__ = (
        CheckConstraint("state IN ('open', 'done', 'dropped')", name="state"),
        Index(
            "ux_task_open",
            "kind",
            "key",
            unique=True,
            sqlite_where=text("state = 'open'"),
            postgresql_where=text("state = 'open'"),
        ),
    )


class WebSession(Base):
    """One signed-in browser. The cookie holds the token; only its hash is kept here."""

    __tablename__ = "web_session"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    side: Mapped[str] = mapped_column(String(20))
    subject_id: Mapped[int | None] = mapped_column(BigId, index=True)
    data: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class LimitHit(Base):
    """One counted attempt (a wrong claim code, a failed login). Counted per scope over an hour."""

    __tablename__ = "limit_hit"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    scope: Mapped[str] = mapped_column(String(160))
    at: Mapped[datetime]
    __table_args__ = (Index(None, "scope", "at"),)


class SharedValue(Base):
    """Small values that several processes share for a while: platform tokens, one refresh at a time."""

    __tablename__ = "shared_value"
    name: Mapped[str] = mapped_column(String(160), primary_key=True)
    value: Mapped[bytes] = mapped_column(LargeBinary)
    expires_at: Mapped[datetime]


class Draft(Base):
    """What a person has typed and not yet sent; kept a day so that nothing typed is lost."""

    __tablename__ = "draft"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    owner: Mapped[str] = mapped_column(String(80))
    form: Mapped[str] = mapped_column(String(40))
    values: Mapped[dict[str, Any]] = mapped_column(JSON)
    saved_at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("owner", "form"),)


class FileLink(Base):
    """Which stored file proves what: evidence of a query, the document of an invoice, the bytes of a bill."""

    __tablename__ = "file_link"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    file_id: Mapped[int] = mapped_column(ForeignKey("stored_file.id"))
    subject: Mapped[str] = mapped_column(String(40))
    subject_id: Mapped[int] = mapped_column(BigId)
    role: Mapped[str] = mapped_column(String(40))
    at: Mapped[datetime]
    __table_args__ = (Index(None, "subject", "subject_id"),)
