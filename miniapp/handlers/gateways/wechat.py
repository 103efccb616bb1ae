"""The official account's server address. Encrypted messages only: the plain signature does not cover the body."""

import hashlib
import hmac
import struct
from collections.abc import Iterable
from typing import Any

import structlog
from flask import Blueprint, Response, request
from wechatpy.crypto import WeChatCrypto
from wechatpy.exceptions import InvalidAppIdException, InvalidSignatureException
from wechatpy.replies import TextReply

from miniapp.chat import dialogue, menu
from miniapp.core.clock import now, real_now
from miniapp.core.codes import public_id
from miniapp.core.errors import Invalid, Unsigned
from miniapp.core.text import say
from miniapp.handlers.browsers import config
from miniapp.handlers.gateways import parsing
from miniapp.handlers.guards import public
from miniapp.stores import accounts_at_hand
from miniapp.stores.service import AccountView

log = structlog.get_logger()
FRESH_SECONDS = 600
SUCCESS = "success"
EVENTS_WITH_WELCOME = ("subscribe",)


def blueprint() -> Blueprint:
    """GET answers the platform's check of the address; POST takes a message."""
    door = Blueprint("wechat", __name__)

    @door.get("/wechat/<account>/callback")
    @public
    def verify(account: str) -> Response:
        settings = accounts_at_hand.account(account, kind="wechat")
        _check(settings, "signature", [_argument("timestamp"), _argument("nonce")])
        return Response(_argument("echostr"), content_type="text/plain; charset=utf-8")

    @door.post("/wechat/<account>/callback")
    @public
    def receive(account: str) -> Response:
        settings = accounts_at_hand.account(account, kind="wechat")
        timestamp, nonce = _argument("timestamp"), _argument("nonce")
        _check(settings, "signature", [timestamp, nonce])
        message = _decrypt(settings, request.get_data(), timestamp, nonce)
        reply = _answer(settings, message)
        if not reply:
            return Response(SUCCESS, content_type="text/plain")
        return Response(_encrypt(settings, message, reply), content_type="text/xml; charset=utf-8")

    return door


def _argument(name: str) -> str:
    values = request.args.getlist(name)
    if len(values) != 1 or not 0 < len(values[0]) <= 512:
        raise Unsigned("gateways.bad_signature")
    return values[0]


def _check(settings: AccountView, name: str, parts: Iterable[str]) -> None:
    """SHA-1 over the sorted parts and our token, compared as bytes in constant time, and a fresh timestamp."""
    text = "".join(sorted([settings.secrets["token"], *parts])).encode("utf-8", "replace")
    ours = hashlib.sha1(text).hexdigest()  # noqa: S324  the platform's own rule
    if not hmac.compare_digest(ours.encode(), _argument(name).encode("utf-8", "replace")):
        raise Unsigned("gateways.bad_signature")
    timestamp = _argument("timestamp")
    if not (timestamp.isascii() and timestamp.isdigit()) or not _is_fresh(int(timestamp[:12])):
        raise Unsigned("gateways.stale")


def _is_fresh(timestamp: int) -> bool:
    """The platform signs by the world's clock; a demo may have moved ours."""
    return any(abs(timestamp - moment.timestamp()) <= FRESH_SECONDS for moment in (now(), real_now()))


def _decrypt(settings: AccountView, body: bytes, timestamp: str, nonce: str) -> dict[str, Any]:
    try:
        outer = parsing.read(body)
        encrypted = parsing.field(outer, "Encrypt", longest=60_000)
    except parsing.BadXml as error:
        raise Invalid("gateways.bad_message") from error
    _check(settings, "msg_signature", [timestamp, nonce, encrypted])
    crypto = WeChatCrypto(settings.secrets["token"], settings.secrets["aes_key"], settings.app_id)
    wrapped = f"<xml><ToUserName><![CDATA[x]]></ToUserName><Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>"
    try:
        plain = crypto.decrypt_message(wrapped, _argument("msg_signature"), timestamp, nonce)
        inner = parsing.read(plain)
        to = parsing.field(inner, "ToUserName")
    except (InvalidSignatureException, InvalidAppIdException) as error:
        raise Unsigned("gateways.bad_signature") from error
    except (parsing.BadXml, ValueError, IndexError, TypeError, KeyError, struct.error) as error:
        raise Invalid("gateways.bad_message") from error
    if to != settings.settings.get("original_id", to):
        raise Unsigned("gateways.bad_signature")
    return inner


def _answer(settings: AccountView, message: dict[str, Any]) -> str:
    """The reply's text, or '' for none. Only decrypted fields are read."""
    try:
        open_id = parsing.field(message, "FromUserName", longest=128)
        kind = parsing.field(message, "MsgType", longest=32).lower()
        if kind == "event":
            return _event(settings, open_id, message)
        key = parsing.field(message, "MsgId", longest=64)
        text = parsing.field(message, "Content", default="") if kind == "text" else ""
    except parsing.BadXml as error:
        raise Invalid("gateways.bad_message") from error
    return _talk(settings, open_id, text, f"msg:{key}")


def _event(settings: AccountView, open_id: str, message: dict[str, Any]) -> str:
    event = parsing.field(message, "Event", longest=64).lower()
    event_key = parsing.field(message, "EventKey", longest=1024, default="")
    created = parsing.field(message, "CreateTime", longest=20)
    key = f"event:{open_id}:{created}:{event}:{event_key}"
    if event == "click" and event_key == menu.HELP_KEY:
        return _talk(settings, open_id, say("chat.menu.help"), key)
    welcome = say("chat.welcome") if event in EVENTS_WITH_WELCOME else ""
    return dialogue.note_event(account=settings.code, key=key, reply=welcome)


def _talk(settings: AccountView, open_id: str, text: str, key: str) -> str:
    return dialogue.answer(
        account=settings.code,
        platform="wechat",
        app_id=settings.app_id,
        open_id=open_id,
        text=text,
        key=key,
        public_base=config().public_base,
    )


def _encrypt(settings: AccountView, message: dict[str, Any], reply: str) -> str:
    """wechatpy writes the envelope and the cipher; ``]]>`` would end its CDATA, so it is broken up first."""
    crypto = WeChatCrypto(settings.secrets["token"], settings.secrets["aes_key"], settings.app_id)
    xml = TextReply(
        source=message["ToUserName"],
        target=message["FromUserName"],
        time=int(now().timestamp()),
        content=reply.replace("]]>", "]]〉"),
    ).render()
    sealed: str = crypto.encrypt_message(xml, public_id(), str(int(real_now().timestamp())))
    return sealed
