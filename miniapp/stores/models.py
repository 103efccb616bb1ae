"""Companies, stores, accounts, channels, terminals, printers, staff: what ``miniapp setup`` writes."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, LargeBinary, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from miniapp.db import Base, BigId


class Company(Base):
    """A taxpayer: the seller of invoices."""

    __tablename__ = "company"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    code: Mapped[str] = mapped_column(String(40), unique=True)
    name: Mapped[str] = mapped_column(String(100))
    taxpayer_no: Mapped[str] = mapped_column(String(20))
    address: Mapped[str] = mapped_column(String(100), default="")
    phone: Mapped[str] = mapped_column(String(50), default="")
    bank_account: Mapped[str] = mapped_column(String(100), default="")
    channel_code: Mapped[str] = mapped_column(String(40), default="")
    is_disabled: Mapped[bool] = mapped_column(default=False)


class Store(Base):
    """A shop. Which company it belongs to is a dated row (``StoreCompany``)."""

    __tablename__ = "store"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    code: Mapped[str] = mapped_column(String(40), unique=True)
    name: Mapped[str] = mapped_column(String(60))
    claim_part: Mapped[str] = mapped_column(String(3), unique=True)
    cut_off: Mapped[str] = mapped_column(String(5), default="00:00")
    address: Mapped[str] = mapped_column(String(100), default="")
    phone: Mapped[str] = mapped_column(String(50), default="")
    service_hours: Mapped[str] = mapped_column(String(60), default="")
    policy: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    default_line: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    is_disabled: Mapped[bool] = mapped_column(default=False)
    companies: Mapped[list["StoreCompany"]] = relationship(order_by="StoreCompany.since")


class StoreCompany(Base):
    """From when a store belongs to a company; the newest row that has begun counts."""

    __tablename__ = "store_company"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    store_id: Mapped[int] = mapped_column(ForeignKey("store.id"))
    company_id: Mapped[int] = mapped_column(ForeignKey("company.id"))
    since: Mapped[datetime]
    company: Mapped[Company] = relationship()
    __table_args__ = (UniqueConstraint("store_id", "since"),)


class MerchantAccount(Base):
    """One company's account with one platform: its bill lists the payments."""

    __tablename__ = "merchant_account"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    code: Mapped[str] = mapped_column(String(40), unique=True)
    company_id: Mapped[int] = mapped_column(ForeignKey("company.id"))
    platform: Mapped[str] = mapped_column(String(20))
    merchant_no: Mapped[str] = mapped_column(String(40))
    app_id: Mapped[str] = mapped_column(String(40), default="")
    settings: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    secrets: Mapped[bytes | None] = mapped_column(LargeBinary)
    carry_days: Mapped[int] = mapped_column(default=3)
    is_disabled: Mapped[bool] = mapped_column(default=False)
    company: Mapped[Company] = relationship()


class ChatAccount(Base):
    """An official account (WeChat) or life account (Alipay) of the retailer."""

    __tablename__ = "chat_account"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    code: Mapped[str] = mapped_column(String(40), unique=True)
    kind: Mapped[str] = mapped_column(String(20))
    app_id: Mapped[str] = mapped_column(String(40), unique=True)
    name: Mapped[str] = mapped_column(String(60))
    settings: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    secrets: Mapped[bytes | None] = mapped_column(LargeBinary)
    is_disabled: Mapped[bool] = mapped_column(default=False)


class IssuingChannel(Base):
    """A way to the tax office for one company; an issue order keeps the channel that it began with."""

    __tablename__ = "issuing_channel"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    code: Mapped[str] = mapped_column(String(40), unique=True)
    kind: Mapped[str] = mapped_column(String(20))
    company_id: Mapped[int] = mapped_column(ForeignKey("company.id"))
    settings: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    secrets: Mapped[bytes | None] = mapped_column(LargeBinary)
    is_disabled: Mapped[bool] = mapped_column(default=False)
    company: Mapped[Company] = relationship()


class Terminal(Base):
    """A till. Two keys may live at once, so that a key can be changed without a pause."""

    __tablename__ = "terminal"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    code: Mapped[str] = mapped_column(String(40), unique=True)
    store_id: Mapped[int] = mapped_column(ForeignKey("store.id"))
    is_disabled: Mapped[bool] = mapped_column(default=False)
    last_beat_at: Mapped[datetime | None]
    last_beat: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    store: Mapped[Store] = relationship()
    wallets: Mapped[list["TerminalWallet"]] = relationship()
    keys: Mapped[list["TerminalKey"]] = relationship(order_by="TerminalKey.id")


class TerminalKey(Base):
    """A signing key of a terminal."""

    __tablename__ = "terminal_key"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    terminal_id: Mapped[int] = mapped_column(ForeignKey("terminal.id"))
    key_id: Mapped[str] = mapped_column(String(64), unique=True)
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    added_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class TerminalWallet(Base):
    """Which merchant account takes a wallet's payments at a terminal."""

    __tablename__ = "terminal_wallet"
    terminal_id: Mapped[int] = mapped_column(ForeignKey("terminal.id"), primary_key=True)
    wallet: Mapped[str] = mapped_column(String(20), primary_key=True)
    merchant_account_id: Mapped[int] = mapped_column(ForeignKey("merchant_account.id"))
    merchant_account: Mapped[MerchantAccount] = relationship()


class Printer(Base):
    """A store's printer."""

    __tablename__ = "printer"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    code: Mapped[str] = mapped_column(String(40), unique=True)
    store_id: Mapped[int] = mapped_column(ForeignKey("store.id"))
    kind: Mapped[str] = mapped_column(String(20))
    uri: Mapped[str] = mapped_column(String(200), default="")
    settings: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    is_disabled: Mapped[bool] = mapped_column(default=False)
    store: Mapped[Store] = relationship()


class Staff(Base):
    """A person who works here. Logins, roles and chat identities hang on it."""

    __tablename__ = "staff"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    code: Mapped[str] = mapped_column(String(40), unique=True)
    name: Mapped[str] = mapped_column(String(40))
    login: Mapped[str] = mapped_column(String(60), unique=True)
    password_hash: Mapped[str] = mapped_column(String(200))
    is_disabled: Mapped[bool] = mapped_column(default=False)
    roles: Mapped[list["StaffRole"]] = relationship(cascade="all, delete-orphan")


class StaffRole(Base):
    """What a person may do, and where: scope ``*``, ``company:<code>`` or ``store:<code>``."""

    __tablename__ = "staff_role"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    role: Mapped[str] = mapped_column(String(20))
    scope: Mapped[str] = mapped_column(String(60))
    __table_args__ = (
        UniqueConstraint("staff_id", "role", "scope"),
        CheckConstraint("role IN ('administrator', 'finance', 'cashier', 'manager')", name="role"),
    )


class StaffIdentity(Base):
    """A chat account that a person has bound by a one-time code; an identity belongs to one person."""

    __tablename__ = "staff_identity"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"), index=True)
    app_id: Mapped[str] = mapped_column(String(40))
    open_id: Mapped[str] = mapped_column(String(128))
    bound_at: Mapped[datetime]
    staff: Mapped[Staff] = relationship()
    __table_args__ = (UniqueConstraint("app_id", "open_id"),)


class BindingCode(Base):
    """A one-time code from the console that binds a chat account to a person; kept as a hash."""

    __tablename__ = "binding_code"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    code_hash: Mapped[str] = mapped_column(String(64), unique=True)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class Duty(Base):
    """A person's time on duty in a store; open while ``until`` is empty. One open row a person."""

    __tablename__ = "duty"
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    store_id: Mapped[int] = mapped_column(ForeignKey("store.id"))
    since: Mapped[datetime]
    until: Mapped[datetime | None]
    staff: Mapped[Staff] = relationship()
    __table_args__ = (
        Index(
            "ux_duty_open",
            "staff_id",
            unique=True,
            sqlite_where=text('"until" IS NULL'),
            postgresql_where=text('"until" IS NULL'),
        ),
    )
