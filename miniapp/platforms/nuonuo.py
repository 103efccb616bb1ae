"""Nuonuo's open platform: a day's token, and calls signed over the exact bytes sent."""

import base64
import hashlib
import hmac
import json
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from miniapp.core import clock
from miniapp.platforms import tokens
from miniapp.platforms.http import NoAnswer, Way

PATH = "/open/v1/services"
TOKEN_REFUSED = ("070305", "070101")
CALL_SECONDS = 8.0


class TokenRefused(Exception):
    """The platform gives us no token: our key or secret is wrong, or we asked too often."""

    def __init__(self, code: str, words: str) -> None:
        super().__init__(code)
        self.code = code
        self.words = words


@dataclass(frozen=True)
class Answer:
    """``code`` E0000 is well; ``result`` is whatever the method gives."""

    code: str
    words: str
    result: Any = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class Nuonuo:
    """One app. ``taxpayer_no`` is sent as ``userTax`` only where the app serves several taxpayers."""

    app_key: str
    app_secret: str = field(repr=False)
    token_base: str
    api_base: str
    taxpayer_no: str = ""

    def call(self, method: str, content: Mapping[str, Any]) -> Answer:
        """One call, once more after a refused token. Raises NoAnswer and TokenRefused."""
        body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
        token = self.token()
        answer = self._once(method, body, token)
        if answer.code in TOKEN_REFUSED:
            answer = self._once(method, body, self.token(token))
        return answer

    def _once(self, method: str, body: bytes, token: str) -> Answer:
        senid, nonce = uuid.uuid4().hex, str(10_000_000 + secrets.randbelow(90_000_000))
        stamp = str(int(clock.now().timestamp()))
        headers = {
            "X-Nuonuo-Sign": signature(self.app_secret, self.app_key, senid, nonce, stamp, body),
            "accessToken": token,
            "userTax": self.taxpayer_no,
            "method": method,
            "Content-Type": "application/json",
        }
        query = urlencode({"senid": senid, "nonce": nonce, "timestamp": stamp, "appkey": self.app_key})
        way = Way(self.api_base.removesuffix(PATH), read_seconds=CALL_SECONDS)
        reply = way.call("POST", f"{PATH}?{query}", body=body, headers=headers)
        if reply.status != 200:
            raise NoAnswer(f"http_{reply.status}")
        answer = _object(reply.body)
        if "code" not in answer:
            raise NoAnswer("unreadable")
        return Answer(str(answer["code"]), str(answer.get("describe", "")), answer.get("result"), reply.body)

    def token(self, refused: str = "") -> str:
        """The token to use now; ``refused`` is replaced. Raises NoAnswer (not sent) and TokenRefused."""
        try:
            return tokens.current(f"nuonuo:{self.app_key}", self._new_token, refused=refused)
        except NoAnswer as none:  # of the token's call: the call proper has not been made
            raise NoAnswer(none.reason, sent=False) from None

    def _new_token(self) -> tokens.Token:
        form = {
            "client_id": self.app_key,
            "client_secret": self.app_secret,
            "grant_type": "client_credentials",
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded;charset=UTF-8"}
        way = Way(self.token_base.removesuffix("/accessToken"))
        reply = way.call("POST", "/accessToken", body=urlencode(form).encode(), headers=headers)
        answer = _object(reply.body)
        value = answer.get("access_token")
        if not isinstance(value, str) or not value:
            if reply.status >= 500 or not answer:
                raise NoAnswer(f"http_{reply.status}")
            code = answer.get("error") or answer.get("code") or ""
            words = answer.get("error_description") or answer.get("describe") or ""
            raise TokenRefused(str(code), str(words))
        return tokens.lasting(value, _seconds(answer.get("expires_in")))


def signature(secret: str, app_key: str, senid: str, nonce: str, stamp: str, body: bytes) -> str:
    """Base64 HMAC-SHA1 over the call's parts and the exact bytes of its body."""
    head = f"a=services&l=v1&p=open&k={app_key}&i={senid}&n={nonce}&t={stamp}&f="
    return base64.b64encode(hmac.new(secret.encode(), head.encode() + body, hashlib.sha1).digest()).decode()


def _object(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _seconds(value: object) -> int:
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 3600
