"""WeChat Pay v3: JSON signed with RSA both ways. Here for bills; a bill's own bytes carry no signature but a SHA-1."""

import json
import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from miniapp.core import clock
from miniapp.platforms import http, rsa
from miniapp.platforms.http import NoAnswer, Reply, Way

FRESH_SECONDS = 300


class Rejected(Exception):
    """A 4xx or 5xx with a code. Error answers may be unsigned: no money follows from them."""

    def __init__(self, status: int, code: str, body: bytes) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.body = body


@dataclass(frozen=True)
class WechatPayV3:
    """One merchant's v3 calls. Keys are PEM text; ``platform_key_id`` names the key that signs the answers."""

    merchant_no: str
    cert_serial: str
    merchant_key: str = field(repr=False)
    platform_key: str = field(repr=False)
    platform_key_id: str
    base: str

    def get(self, path_and_query: str) -> dict[str, Any]:
        """A verified JSON answer. Raises NoAnswer and Rejected."""
        address = self.base + path_and_query
        reply = Way(self.base).call("GET", path_and_query, headers=self._headers("GET", address, ""))
        if reply.status >= 400:
            raise Rejected(reply.status, _code(reply.body), reply.body)
        self.verify(reply)
        answer = _object(reply.body)
        if answer is None:
            raise NoAnswer("unreadable")
        return answer

    def download(self, address: str, *, answer_bytes: int) -> bytes:
        """The bytes behind a download address: signed request, unsigned answer. Raises NoAnswer and Rejected."""
        headers = self._headers("GET", address, "")
        reply = http.fetch(address, configured=(self.base,), headers=headers, answer_bytes=answer_bytes)
        if reply.status != 200:
            raise Rejected(reply.status, _code(reply.body), reply.body)
        return reply.body

    def verify(self, reply: Reply) -> None:
        """Raise NoAnswer unless the platform's key signed these bytes just now."""
        heads = reply.headers
        stamp, nonce = heads.get("wechatpay-timestamp", ""), heads.get("wechatpay-nonce", "")
        if heads.get("wechatpay-serial") != self.platform_key_id:
            raise NoAnswer("unknown_key")
        signed = f"{stamp}\n{nonce}\n".encode() + reply.body + b"\n"
        if not rsa.verify(signed, heads.get("wechatpay-signature", ""), self.platform_key):
            raise NoAnswer("bad_signature")
        if not _fresh(stamp):
            raise NoAnswer("stale")

    def _headers(self, method: str, address: str, body: str) -> dict[str, str]:
        parts = urlsplit(address)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        stamp, nonce = str(int(clock.now().timestamp())), secrets.token_hex(16)
        seal = rsa.sign(f"{method}\n{path}\n{stamp}\n{nonce}\n{body}\n".encode(), self.merchant_key)
        token = (
            f'mchid="{self.merchant_no}",nonce_str="{nonce}",signature="{seal}",'
            f'timestamp="{stamp}",serial_no="{self.cert_serial}"'
        )
        return {"Authorization": f"WECHATPAY2-SHA256-RSA2048 {token}", "Accept": "application/json"}


def _fresh(stamp: str) -> bool:
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12):
        return False
    # A simulator goes by the program's clock, the real platform by the machine's: they are one in production.
    return any(abs(now.timestamp() - int(stamp)) <= FRESH_SECONDS for now in (clock.now(), clock.real_now()))


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def _code(body: bytes) -> str:
    return str((_object(body) or {}).get("code", ""))
