"""Alipay's open gateway: RSA2 signed form in, signed JSON node out.

Signature and verification are python-alipay-sdk's. The rest of its call is not usable here: it sends everything as
GET, dates by the machine's zone, and cuts the signed text at the first brace inside a string.
"""

import binascii
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from alipay import AliPay

from miniapp.core import clock
from miniapp.platforms import rsa
from miniapp.platforms.http import NoAnswer, Way

# The library gives its logger a console handler of its own at import.
logging.getLogger("python-alipay-sdk").handlers.clear()

# Sent in the address, so that the other side can read the charset before the body; all else goes in the body.
_IN_ADDRESS = ("app_id", "method", "format", "charset", "sign_type", "timestamp", "version", "sign")


@dataclass(frozen=True)
class Node:
    """An answer. ``signed`` False is possible for refusals only, and no money follows from one."""

    values: Mapping[str, Any]
    signed: bool
    body: bytes = field(repr=False)

    @property
    def code(self) -> str:
        return str(self.values.get("code", ""))

    @property
    def sub_code(self) -> str:
        return str(self.values.get("sub_code", ""))

    def text(self, name: str) -> str:
        value = self.values.get(name)
        return value if isinstance(value, str) else ""


@dataclass(frozen=True)
class Alipay:
    """The gateway for one app. Keys are PEM text or the console's bare base64."""

    app_id: str
    app_key: str = field(repr=False)
    platform_key: str = field(repr=False)
    base: str

    def call(
        self,
        method: str,
        content: Mapping[str, Any] | None = None,
        *,
        read_seconds: float = 3.0,
        **top: str,
    ) -> Node:
        """One API call; ``content`` becomes biz_content, ``top`` are parameters beside it. Raises NoAnswer."""
        sent = self._sealed(method, content, top)
        address = urlencode({name: sent.pop(name) for name in _IN_ADDRESS})
        way = Way(self.base.removesuffix("/gateway.do"), read_seconds=read_seconds)
        headers = {"Content-Type": "application/x-www-form-urlencoded;charset=utf-8"}
        reply = way.call("POST", f"/gateway.do?{address}", body=urlencode(sent).encode(), headers=headers)
        if reply.status != 200:
            raise NoAnswer(f"http_{reply.status}")
        return self._opened(method, reply.body)

    def _sealed(
        self, method: str, content: Mapping[str, Any] | None, top: Mapping[str, str]
    ) -> dict[str, str]:
        sent = {
            "app_id": self.app_id,
            "method": method,
            "format": "JSON",
            "charset": "utf-8",
            "sign_type": "RSA2",
            "timestamp": clock.now().astimezone(clock.GMT8).strftime("%Y-%m-%d %H:%M:%S"),
            "version": "1.0",
            **{name: value for name, value in top.items() if value},
        }
        if content is not None:
            sent["biz_content"] = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        text = "&".join(f"{name}={sent[name]}" for name in sorted(sent))
        return {**sent, "sign": self._sdk()._sign(text)}

    def _opened(self, method: str, body: bytes) -> Node:
        try:
            members = top_members(body.decode("utf-8"))
            name = method.replace(".", "_") + "_response"
            raw = members.get(name) or members["error_response"]
            values = json.loads(raw)
            seal = json.loads(members.get("sign", '""'))
        except (ValueError, KeyError, RecursionError):
            raise NoAnswer("unreadable") from None
        if not isinstance(values, dict) or not isinstance(seal, str):
            raise NoAnswer("unreadable")
        refused = str(values.get("code", "10000")) not in ("10000", "10003")
        if not seal and refused:
            return Node(values, False, body)
        # Addresses come with "\/"; some gateways sign the text without that escape.
        if not (self._verified(raw, seal) or self._verified(raw.replace("\\/", "/"), seal)):
            raise NoAnswer("bad_signature")
        return Node(values, True, body)

    def _verified(self, raw: str, seal: str) -> bool:
        try:
            return bool(seal and self._sdk()._verify(raw, seal))
        except (binascii.Error, ValueError):
            return False

    def _sdk(self) -> Any:
        return _sdk(self.app_id, self.app_key, self.platform_key)


@lru_cache(maxsize=64)
def _sdk(app_id: str, app_key: str, platform_key: str) -> Any:
    return AliPay(
        appid=app_id,
        app_notify_url=None,
        app_private_key_string=rsa.pem(app_key, "PRIVATE"),
        alipay_public_key_string=rsa.pem(platform_key, "PUBLIC"),
        sign_type="RSA2",
    )


def top_members(text: str) -> dict[str, str]:
    """Name -> raw text of each member of a JSON object, exactly as received: the signature is over that.

    Raises ValueError for anything that is not one object, and for a name that comes twice.
    """
    decoder = json.JSONDecoder()
    members: dict[str, str] = {}
    at = _after(text, 0, "{")
    while True:
        name, end = decoder.raw_decode(text, _skip(text, at))
        start = _skip(text, _after(text, end, ":"))
        _, end = decoder.raw_decode(text, start)
        if not isinstance(name, str) or name in members:
            raise ValueError("a name that is none, or comes twice")
        members[name] = text[start:end]
        at = _skip(text, end)
        if text[at : at + 1] == "}":
            break
        at = _after(text, at, ",")
    if text[at + 1 :].strip():
        raise ValueError("more than one object")
    return members


def _skip(text: str, at: int) -> int:
    while text[at : at + 1] in (" ", "\t", "\r", "\n"):
        at += 1
    return at


def _after(text: str, at: int, sign: str) -> int:
    at = _skip(text, at)
    if text[at : at + 1] != sign:
        raise ValueError(f"{sign} expected")
    return at + 1
