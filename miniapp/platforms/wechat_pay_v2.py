"""WeChat Pay v2: signed XML over POST. The answer's signature is checked before anything in it is believed."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from miniapp.platforms import flat_xml
from miniapp.platforms.http import NoAnswer, Way


class Denied(Exception):
    """``return_code`` FAIL: the call did not pass the gateway. Unsigned, so nothing follows from it but an alarm."""

    def __init__(self, words: str, body: bytes) -> None:
        super().__init__("denied")
        self.words = words
        self.body = body


@dataclass(frozen=True)
class Answer:
    """A verified answer: its fields, and the bytes as they came."""

    fields: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def went_well(self) -> bool:
        return self.fields.get("result_code") == "SUCCESS"

    @property
    def error(self) -> str:
        return self.fields.get("err_code", "")


@dataclass(frozen=True)
class WechatPayV2:
    """One merchant's v2 calls. ``sign_type`` MD5 (the platform's default) or HMAC-SHA256."""

    app_id: str
    merchant_no: str
    key: str = field(repr=False)
    base: str
    client_cert: str = field(default="", repr=False)
    client_key: str = field(default="", repr=False)
    sign_type: str = "MD5"

    def call(
        self, path: str, fields: Mapping[str, str], *, read_seconds: float, mutual: bool = False
    ) -> Answer:
        """One call; ``mutual`` shows the merchant's certificate. Raises NoAnswer and Denied."""
        cert, key = (self.client_cert, self.client_key) if mutual else ("", "")
        way = Way(self.base, read_seconds=read_seconds, client_cert=cert, client_key=key)
        headers = {"Content-Type": "text/xml; charset=utf-8"}
        reply = way.call("POST", path, body=self._sealed(fields), headers=headers)
        if reply.status != 200:
            raise NoAnswer(f"http_{reply.status}")
        return self._opened(reply.body)

    def _sealed(self, fields: Mapping[str, str]) -> bytes:
        sent = {
            "appid": self.app_id,
            "mch_id": self.merchant_no,
            "nonce_str": secrets.token_hex(16),
            **fields,
        }
        if self.sign_type != "MD5":
            sent["sign_type"] = self.sign_type
        sent = {name: value for name, value in sent.items() if value}
        return flat_xml.write({**sent, "sign": signature(sent, self.key, self.sign_type)})

    def _opened(self, body: bytes) -> Answer:
        try:
            fields = flat_xml.read(body)
        except flat_xml.BadXml:
            raise NoAnswer("unreadable") from None
        if fields.get("return_code") == "FAIL":
            raise Denied(fields.get("return_msg", ""), body)
        if fields.get("return_code") != "SUCCESS":
            raise NoAnswer("unreadable")
        expected = signature(fields, self.key, self.sign_type)
        if not hmac.compare_digest(expected.encode(), fields.get("sign", "").encode()):
            raise NoAnswer("bad_signature")
        if fields.get("mch_id") != self.merchant_no:
            raise NoAnswer("foreign_answer")
        return Answer(fields, body)


def signature(fields: Mapping[str, str], key: str, sign_type: str = "MD5") -> str:
    """Upper hex over ``k=v`` of all non-empty fields but ``sign``, sorted, and the key at the end."""
    text = "&".join(f"{name}={fields[name]}" for name in sorted(fields) if name != "sign" and fields[name])
    signed = f"{text}&key={key}".encode()
    if sign_type == "HMAC-SHA256":
        return hmac.new(key.encode(), signed, hashlib.sha256).hexdigest().upper()
    return hashlib.md5(signed).hexdigest().upper()  # noqa: S324 - the platform's own scheme
