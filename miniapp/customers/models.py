"""Customers, and who they are on each platform."""

from datetime import datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from miniapp.db import Base, BigId


class Customer(Base):
    """A person as the chat accounts know one: identities of one platform, never merged across platforms."""

    __tablename__ = "customer"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    platform: Mapped[str] = mapped_column(String(20))
    union_id: Mapped[str | None] = mapped_column(String(128), index=True)
    since: Mapped[datetime]
    forgotten_at: Mapped[datetime | None]
    identities: Mapped[list["Identity"]] = relationship(back_populates="customer")


class Identity(Base):
    """(app id, open id) of a customer."""

    __tablename__ = "identity"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    app_id: Mapped[str] = mapped_column(String(40))
    open_id: Mapped[str] = mapped_column(String(128))
    last_text_at: Mapped[datetime | None]
    customer: Mapped[Customer] = relationship(back_populates="identities")
    __table_args__ = (UniqueConstraint("app_id", "open_id"),)
