"""What an account may answer to a message, and whether it did it right."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

from miniapp.sandbox import wechat_crypto
from miniapp.sandbox.wechat_parties import Account

NEEDS = {
    "text": "Content",
    "image": "Image",
    "voice": "Voice",
    "video": "Video",
    "music": "Music",
    "news": "Articles",
    "transfer_customer_service": "",
}


class BadReply(Exception):
    """An answer that makes WeChat show the banner."""


def read_reply(body: bytes, account: Account, *, open_id: str) -> dict[str, Any] | None:
    """The passive reply, decrypted; None for `success` or nothing. Raises BadReply."""
    if body in (b"", b"success"):
        return None
    try:
        outer = wechat_crypto.fields(body)
        if account.mode != "safe" and "Encrypt" not in outer:
            return _checked(_tree(body.decode()), account, open_id)
        if "Encrypt" not in outer:
            raise BadReply("a reply in plain text")
        expected = wechat_crypto.signature(
            account.token, outer.get("TimeStamp", ""), outer.get("Nonce", ""), outer["Encrypt"]
        )
        if outer.get("MsgSignature") != expected:
            raise BadReply("MsgSignature")
        inner = wechat_crypto.decrypt(outer["Encrypt"], aes_key=account.aes_key, app_id=account.app_id)
        return _checked(_tree(inner), account, open_id)
    except (wechat_crypto.Unreadable, UnicodeDecodeError) as problem:
        raise BadReply(str(problem)) from None


def _tree(xml: str) -> dict[str, Any]:
    wechat_crypto.fields(xml)  # refuses document types and broken XML
    return {element.tag: _value(element) for element in ET.fromstring(xml)}  # noqa: S314


def _value(element: ET.Element) -> Any:
    if len(element) == 0:
        return element.text or ""
    if element.tag == "Articles":
        return [{child.tag: child.text or "" for child in item} for item in element]
    return {child.tag: _value(child) for child in element}


def _checked(reply: dict[str, Any], account: Account, open_id: str) -> dict[str, Any]:
    kind = reply.get("MsgType", "")
    if reply.get("ToUserName") != open_id or reply.get("FromUserName") != account.original_id:
        raise BadReply("addressed wrongly")
    if not str(reply.get("CreateTime", "")).isdigit() or kind not in NEEDS:
        raise BadReply("CreateTime or MsgType")
    if NEEDS[kind] and not reply.get(NEEDS[kind]):
        raise BadReply(f"no {NEEDS[kind]}")
    if kind == "text" and len(reply["Content"].encode()) > 2048:
        raise BadReply("text too long")
    return reply
