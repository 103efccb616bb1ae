"""`/wechat-api/cgi-bin/message`: template messages and customer-service messages."""

from __future__ import annotations

import re
import secrets
import threading
from datetime import timedelta
from typing import Any

from flask import Blueprint, Response

from miniapp.sandbox import wechat_callbacks, wechat_parties
from miniapp.sandbox.doors import fault_word
from miniapp.sandbox.wechat_account import stored_media
from miniapp.sandbox.wechat_parties import Account
from miniapp.sandbox.wechat_tokens import ApiError, api, caller, json_body, ok
from miniapp.sandbox.world import World, stamp

SCHEMA = """
CREATE TABLE IF NOT EXISTS wechat_template_sends (
    msgid INTEGER PRIMARY KEY, account TEXT NOT NULL, person TEXT NOT NULL, client_msg_id TEXT NOT NULL, at TEXT NOT NULL);
"""

FIELD = re.compile(r"\{\{\s*([a-z_]+?)(\d*)\.DATA\s*\}\}")
HAN = re.compile(r"[\u4e00-\u9fff]")
_TIME = r"(\d{4}年\d{1,2}月\d{1,2}日|\d{4}-\d{1,2}-\d{1,2})?\s?\d{1,2}:\d{2}(:\d{2})?"
_DATE = r"(\d{4}年\d{1,2}月\d{1,2}日|\d{4}[-/]\d{1,2}[-/]\d{1,2})( \d{1,2}:\d{2}(:\d{2})?)?"
# What each kind of field takes; a line break is never taken.
KINDS = {
    "thing": re.compile(r".{1,20}"),
    "short_thing": re.compile(r".{1,10}"),
    "character_string": re.compile(r"[\x20-\x7e]{1,32}"),
    "number": re.compile(r"[0-9]{1,32}(\.[0-9]+)?"),
    "letter": re.compile(r"[A-Za-z]{1,32}"),
    "symbol": re.compile(r"[^\w\s]{1,5}"),
    "time": re.compile(f"{_TIME}(~{_TIME})?"),
    "date": re.compile(f"{_DATE}(~{_DATE})?"),
    "amount": re.compile(r"[¥￥$]?[0-9]{1,10}(\.[0-9]+)?元?"),
    "phone_number": re.compile(r"[0-9+\-() ]{1,17}"),
    "car_number": re.compile(r"[\u4e00-\u9fff]?[A-Za-z0-9]{1,7}[\u4e00-\u9fff]?"),
    "name": re.compile(r"[\u4e00-\u9fff·]{1,10}|[A-Za-z .]{1,20}"),
    "phrase": re.compile(r"[\u4e00-\u9fff]{1,5}"),
    "const": re.compile(r".{0,20}"),
}


def blueprint(world: World) -> Blueprint:
    """Both ways in which an account writes to a person by itself."""
    world.store.create(SCHEMA)
    bp = Blueprint("wechat_messages", __name__, url_prefix="/wechat-api")

    @api(world, bp, "POST", "/cgi-bin/message/template/send", "wechat.template")
    def template() -> Response:
        account, body = caller(world), json_body()
        person = _recipient(world, account, body)
        text = _filled(account, body)
        if not wechat_parties.follows(world, account.code, person):
            raise ApiError(43004, "require subscribe")
        msgid, first = _send_once(world, account, person, str(body.get("client_msg_id") or ""))
        blocked = fault_word() == "user_block"
        if first and not blocked:
            _record_template(world, account, person, body, text, msgid)
        if first:
            status = "failed:user block" if blocked else "success"
            _tell_finished(world, account, person, msgid, status)
        return ok(msgid=msgid)

    _custom_door(world, bp)
    return bp


def check_field(kind: str, value: str) -> bool:
    """Whether a template field of that kind takes the value."""
    pattern = KINDS.get(kind)
    return pattern is not None and pattern.fullmatch(value) is not None


def _custom_door(world: World, bp: Blueprint) -> None:
    @api(world, bp, "POST", "/cgi-bin/message/custom/send", "wechat.custom")
    def custom() -> Response:
        account, body = caller(world), json_body()
        person = _recipient(world, account, body)
        kind, content = _checked_content(world, account, body)
        if not wechat_parties.follows(world, account.code, person):
            raise ApiError(45015, "response out of time limit or subscription is canceled")
        refusal = wechat_parties.spend_quota(world, account.code, person)
        if refusal:
            raise ApiError(
                refusal, "out of response count limit" if refusal == 45047 else "response out of time limit"
            )
        world.record_message(
            platform="wechat",
            account=account.code,
            person=person,
            direction="out",
            kind=kind,
            body=content,
            via="custom",
        )
        return ok()


def _recipient(world: World, account: Account, body: dict[str, Any]) -> str:
    person = wechat_parties.person_of(world, account.app_id, str(body.get("touser", "")))
    if person is None:
        raise ApiError(40003, "invalid openid")
    return person


def _filled(account: Account, body: dict[str, Any]) -> str:
    """The template's text with the data in it. Raises ApiError 40037 or 47003."""
    layout = account.templates.get(str(body.get("template_id", "")))
    if layout is None:
        raise ApiError(40037, "invalid template_id")
    data = body.get("data")
    if not isinstance(data, dict):
        raise ApiError(47001, "data format error")

    def value_of(match: re.Match[str]) -> str:
        name = match[1] + match[2]
        given = data.get(name)
        value = given.get("value") if isinstance(given, dict) else None
        if not isinstance(value, str) or not check_field(match[1], value):
            raise ApiError(47003, f"argument invalid! data.{name}.value invalid")
        return value

    return FIELD.sub(value_of, layout)


def _send_once(world: World, account: Account, person: str, client_msg_id: str) -> tuple[int, bool]:
    """The msgid, and whether this is the first with that client id within ten minutes."""
    with world.store.writing():
        since = stamp(world.now() - timedelta(minutes=10))
        earlier = world.store.row(
            "SELECT msgid FROM wechat_template_sends WHERE account = ? AND person = ? AND client_msg_id = ?"
            " AND client_msg_id <> '' AND at > ?",
            account.code,
            person,
            client_msg_id,
            since,
        )
        if earlier:
            return int(earlier["msgid"]), False
        msgid = 3_000_000_000_000_000_000 + secrets.randbelow(10**18)
        world.store.insert(
            "wechat_template_sends",
            msgid=msgid,
            account=account.code,
            person=person,
            client_msg_id=client_msg_id,
            at=stamp(world.now()),
        )
        return msgid, True


def _record_template(
    world: World, account: Account, person: str, body: dict[str, Any], text: str, msgid: int
) -> None:
    shown = {
        "template_id": body["template_id"],
        "text": text,
        "url": body.get("url", ""),
        "miniprogram": body.get("miniprogram"),
        "data": {name: field.get("value") for name, field in body["data"].items() if isinstance(field, dict)},
    }
    world.record_message(
        platform="wechat",
        account=account.code,
        person=person,
        direction="out",
        kind="template",
        body=shown,
        via="template",
        ref=str(msgid),
    )


def _tell_finished(world: World, account: Account, person: str, msgid: int, status: str) -> None:
    if not account.callback_url:
        return
    event: dict[str, str | int] = {"Event": "TEMPLATESENDJOBFINISH", "MsgID": msgid, "Status": status}
    threading.Thread(
        target=wechat_callbacks.push_event, args=(world, account, person, event), daemon=True
    ).start()


def _checked_content(world: World, account: Account, body: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Kind and content of a customer-service message. Raises ApiError."""
    kind = str(body.get("msgtype", ""))
    content = body.get(kind)
    if kind not in ("text", "image", "news", "mpnewsarticle", "miniprogrampage", "msgmenu"):
        raise ApiError(40008, "invalid message type")
    if not isinstance(content, dict):
        raise ApiError(44004, "empty content")
    if kind == "text" and not (isinstance(content.get("content"), str) and content["content"]):
        raise ApiError(44004, "empty content")
    if kind == "text" and len(content["content"].encode()) > 2048:
        raise ApiError(45002, "content size out of limit")
    if kind == "image" and stored_media(world, account.code, str(content.get("media_id"))) is None:
        raise ApiError(40007, "invalid media_id")
    if kind == "news" and len(content.get("articles") or []) != 1:
        raise ApiError(45008, "article size out of limit")
    if kind == "msgmenu" and not content.get("list"):
        raise ApiError(47001, "data format error")
    return kind, content
