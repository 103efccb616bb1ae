"""Lists of what is set up, for the commands that look at each: outside addresses, channels, printers."""

from dataclasses import dataclass

from sqlalchemy import select

from miniapp import db
from miniapp.stores.models import ChatAccount, IssuingChannel, MerchantAccount, Printer

BASES = ("api_base", "oauth_base", "gateway_base", "token_base")


@dataclass(frozen=True)
class OutsideBase:
    """An address of an outside system that an account names."""

    name: str
    base: str


@dataclass(frozen=True)
class PrinterAddress:
    """A printer and where it is."""

    code: str
    kind: str
    uri: str


def outside_bases() -> list[OutsideBase]:
    """Every base address in use, once per account."""
    with db.reading() as session:
        merchants = session.scalars(select(MerchantAccount).where(MerchantAccount.is_disabled.is_(False)))
        chats = session.scalars(select(ChatAccount).where(ChatAccount.is_disabled.is_(False)))
        issuing = session.scalars(select(IssuingChannel).where(IssuingChannel.is_disabled.is_(False)))
        named = [(row.code, row.settings) for row in merchants]
        named += [(row.code, row.settings) for row in chats]
        named += [(row.code, row.settings) for row in issuing]
    return [
        OutsideBase(code, settings[key]) for code, settings in named for key in BASES if settings.get(key)
    ]


def channel_ids() -> list[int]:
    """Channels in use."""
    with db.reading() as session:
        return list(session.scalars(select(IssuingChannel.id).where(IssuingChannel.is_disabled.is_(False))))


def printers() -> list[PrinterAddress]:
    """Printers in use."""
    with db.reading() as session:
        rows = session.scalars(select(Printer).where(Printer.is_disabled.is_(False)).order_by(Printer.code))
        return [PrinterAddress(row.code, row.kind, row.uri) for row in rows]
