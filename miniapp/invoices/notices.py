"""Notices of issuing channels: believed by nobody, each leads to the same question that the worker asks anyway."""

from sqlalchemy import select

from miniapp import db
from miniapp.core.errors import Missing
from miniapp.invoices import channels, issuing
from miniapp.invoices.channels import ChannelSettings
from miniapp.stores import service as stores
from miniapp.stores.models import IssuingChannel


def channel_ids(kind: str) -> list[int]:
    """Channels of a kind, disabled ones too: their open orders stay theirs."""
    with db.reading() as session:
        return list(session.scalars(select(IssuingChannel.id).where(IssuingChannel.kind == kind)))


def token(channel_id: int) -> str:
    """The secret part of the channel's notice address."""
    return issuing.notice_token(channel_id)


def receive(channel_id: int, raw: bytes) -> tuple[str, bytes]:
    """Record that the serial be asked about; answers what the channel wants to hear. Raises Missing where it names none of ours."""
    view = stores.channel(channel_id)
    channel = channels.of(ChannelSettings(view.code, view.kind, {**view.settings, **view.secrets}))
    serial = channel.parse_notice(raw)
    if serial is None:
        raise Missing("core.not_found")
    issuing.hint(serial)
    return channel.notice_reply()
