"""The life account's gateway: GBK forms signed with sign_type inside; a signed acknowledgement at once, content later."""

from typing import Any
from urllib.parse import parse_qsl

from flask import Blueprint, Response, request

from miniapp.chat import dialogue, talking
from miniapp.core.clock import real_now
from miniapp.core.errors import Invalid, Unsigned
from miniapp.core.text import say
from miniapp.handlers.browsers import config
from miniapp.handlers.gateways import parsing
from miniapp.handlers.guards import public
from miniapp.platforms import life_account
from miniapp.platforms.rsa import public_of
from miniapp.stores import accounts_at_hand
from miniapp.stores.service import AccountView

CHARSETS = {"gbk": "gbk", "gb2312": "gbk", "utf-8": "utf-8", "utf8": "utf-8"}
CHECK, MESSAGE = "alipay.service.check", "alipay.mobile.public.message.notify"


def blueprint() -> Blueprint:
    """One address for the check of the address, messages and events."""
    door = Blueprint("alipay", __name__)

    @door.post("/alipay/<account>/gateway")
    @public
    def receive(account: str) -> Response:
        settings = accounts_at_hand.account(account, kind="alipay")
        fields = _fields(request.get_data())
        form = dict(fields)
        charset = CHARSETS.get(form.get("charset", "GBK").lower(), "")
        is_signed = bool(charset) and life_account.signed_by_alipay(
            fields, settings.settings["platform_key"], charset=charset
        )
        if form.get("service") == CHECK:
            return _sealed(settings, _verified(settings, right=is_signed))
        if not is_signed:
            raise Unsigned("gateways.bad_signature")
        if form.get("service") != MESSAGE:
            raise Invalid("gateways.bad_message")
        return _sealed(settings, _take(settings, form))

    return door


def _fields(raw: bytes) -> list[tuple[str, str]]:
    """The form, decoded once from its raw bytes in the declared charset."""
    try:
        text = raw.decode("ascii")
        declared = dict(parse_qsl(text, keep_blank_values=True)).get("charset", "GBK").lower()
        encoding = CHARSETS.get(declared, "gbk")
        return parse_qsl(
            text,
            keep_blank_values=True,
            strict_parsing=True,
            encoding=encoding,
            errors="strict",
            max_num_fields=40,
        )
    except ValueError as error:
        raise Invalid("gateways.bad_message") from error


def _verified(settings: AccountView, *, right: bool) -> str:
    return life_account.verified_gateway(public_of(settings.secrets["app_key"]), right=right)


def _take(settings: AccountView, form: dict[str, str]) -> str:
    """Store and acknowledge; what is to be said goes out as a message of its own."""
    try:
        message = parsing.read(_without_declaration(form.get("biz_content", "")))
        if parsing.field(message, "AppId", longest=64) != settings.app_id:
            raise Unsigned("gateways.bad_signature")
        person = _person(message)
        _hear(settings, person, message)
    except parsing.BadXml as error:
        raise Invalid("gateways.bad_message") from error
    stamp = int(real_now().timestamp() * 1000)
    return (
        f"<XML><ToUserId><![CDATA[{person.replace(']]>', '')}]]></ToUserId><AppId><![CDATA[{settings.app_id}]]></AppId>"
        f"<CreateTime>{stamp}</CreateTime><MsgType><![CDATA[ack]]></MsgType></XML>"
    )


def _hear(settings: AccountView, person: str, message: dict[str, Any]) -> None:
    kind = parsing.field(message, "MsgType", longest=32).lower()
    created = parsing.field(message, "CreateTime", longest=20)
    if kind == "text":
        content = message.get("Text")
        text = parsing.field(content, "Content", default="") if isinstance(content, dict) else ""
        key = f"msg:{parsing.field(message, 'MsgId', longest=64, default=f'{person}:{created}')}"
        talking.answer_later(
            account=settings.code,
            platform="alipay",
            app_id=settings.app_id,
            open_id=person,
            text=text,
            key=key,
            public_base=config().public_base,
        )
        return
    event = parsing.field(message, "EventType", longest=32, default="").lower()
    parameter = parsing.field(message, "ActionParam", longest=1024, default="")
    key = f"event:{person}:{created}:{event}:{parameter}"
    if event == "click":
        talking.answer_later(
            account=settings.code,
            platform="alipay",
            app_id=settings.app_id,
            open_id=person,
            text=say("chat.menu.help"),
            key=key,
            public_base=config().public_base,
        )
    else:
        dialogue.note_event(account=settings.code, key=key)


def _person(message: dict[str, Any]) -> str:
    """The open id where the app has it, else the older numbers."""
    for name in ("FromOpenId", "OpenId", "FromAlipayUserId", "FromUserId"):
        value = parsing.field(message, name, longest=128, default="")
        if value:
            return value
    raise parsing.BadXml("FromUserId")


def _without_declaration(text: str) -> str:
    """The text is decoded already; its declaration still says GBK."""
    if text.startswith("<?xml"):
        _, _, text = text.partition("?>")
    return text


def _sealed(settings: AccountView, inner: str) -> Response:
    return Response(
        life_account.sealed(inner, settings.secrets["app_key"]), content_type="text/xml;charset=GBK"
    )
