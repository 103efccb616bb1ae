"""Nuonuo's request signature, from the channel's side: HMAC-SHA1 over the exact bytes of the body."""

from __future__ import annotations

import base64
import hashlib
import hmac


def signature(*, secret: str, appkey: str, senid: str, nonce: str, timestamp: str, body: bytes) -> str:
    """X-Nuonuo-Sign of one call to /open/v1/services.

    Vector: SECRET, APPKEY, SENID, 12345678, 1700000000, `{"a":1}` → `7iSZiR+0g+376QEJ38xLM+3vGDs=`.
    """
    head = f"a=services&l=v1&p=open&k={appkey}&i={senid}&n={nonce}&t={timestamp}&f="
    digest = hmac.new(secret.encode(), head.encode() + body, hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def matches(given: str, expected: str) -> bool:
    """Constant-time comparison; a header that is not ASCII does not match."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())
