"""The till's side of the terminal interface: every call signed with the terminal's key, the answer as JSON."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from typing import Any

import requests

from miniapp.sandbox.store import Row

SECONDS = 10.0


def call(till: Row, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
    """One call below `/terminal/v1/`. Status 0: nobody answered; the answer then has `message`."""
    raw = b"" if body is None else json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    full = f"/terminal/v1/{path}"
    headers = {"Authorization": authorization(till, method, full, raw)}
    if body is not None:
        headers["Content-Type"] = "application/json"
        # The same number again is the same wish: the key is made from it.
        headers["Idempotency-Key"] = str(
            body.get("out_refund_no") or body.get("out_trade_no") or secrets.token_hex(12)
        )
    try:
        with requests.Session() as session:
            session.trust_env = False
            got = session.request(
                method,
                f"{till['base']}{full}",
                data=raw or None,
                headers=headers,
                timeout=SECONDS,
                allow_redirects=False,
            )
    except requests.RequestException as problem:
        return 0, {"message": f"没有连上收款服务（{type(problem).__name__}），请查单，不要重新收款"}
    try:
        answer = got.json()
    except ValueError:
        answer = {}
    return got.status_code, answer if isinstance(answer, dict) else {"results": answer}


def authorization(till: Row, method: str, path: str, body: bytes) -> str:
    """The header of one call, made now."""
    stamp, nonce = str(int(time.time())), secrets.token_hex(12)
    sig = signature(str(till["key"]), method, path, body, stamp=stamp, nonce=nonce)
    return f'MINI-HMAC-SHA256 key="{till["key_id"]}",ts="{stamp}",nonce="{nonce}",sig="{sig}"'


def signature(key: str, method: str, path: str, body: bytes, *, stamp: str, nonce: str) -> str:
    """HMAC-SHA256 over method, path, query, time, nonce and the body's hash, a line each; lower hex."""
    bare, _, query = path.partition("?")
    lines = [method, bare, query, stamp, nonce, hashlib.sha256(body).hexdigest()]
    return hmac.new(key.encode(), "".join(f"{line}\n" for line in lines).encode(), hashlib.sha256).hexdigest()
