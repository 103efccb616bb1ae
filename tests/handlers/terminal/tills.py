"""A till that signs by itself (written against the rule's text, not against the door's code)."""

import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from miniapp.core import clock

KEY = "0123456789abcdef0123456789abcdef"


def sign(key: str, method: str, path: str, query: str, ts: str, nonce: str, body: bytes) -> str:
    text = f"{method}\n{path}\n{query}\n{ts}\n{nonce}\n{hashlib.sha256(body).hexdigest()}\n"
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


@dataclass
class TillClient:
    """Sends signed requests; every part of a signature can be replaced."""

    client: FlaskClient
    key_id: str = "k1"
    key: str = KEY

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        header: str | None = None,
        idempotency_key: str | None = None,
        content_type: str = "application/json",
        headers: dict[str, str] | None = None,
        **parts: str,
    ) -> TestResponse:
        content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        given = {
            "Authorization": header if header is not None else self.header(method, path, content, **parts)
        }
        if idempotency_key is not None:
            given["Idempotency-Key"] = idempotency_key
        return self.client.open(
            f"/terminal/v1/{path}",
            method=method,
            data=content,
            headers={**given, **(headers or {})},
            content_type=content_type if method == "POST" else None,
        )

    def header(self, method: str, path: str, content: bytes, **parts: str) -> str:
        ts = parts.get("ts", str(int(clock.now().timestamp())))
        nonce = parts.get("nonce", secrets.token_hex(16))
        target, _, query = f"/terminal/v1/{path}".partition("?")
        signed = sign(parts.get("signing_key", self.key), method, target, query, ts, nonce, content)
        sig = parts.get("sig", signed)
        key_id = parts.get("key", self.key_id)
        return f'MINI-HMAC-SHA256 key="{key_id}",ts="{ts}",nonce="{nonce}",sig="{sig}"'

    def post(self, path: str, body: Any, **more: Any) -> TestResponse:
        return self.send("POST", path, body, **more)

    def get(self, path: str, **more: Any) -> TestResponse:
        return self.send("GET", path, **more)
