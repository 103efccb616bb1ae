"""Encrypted callbacks as the platform sends them, made by wechatpy, each a whole HTTP request and unlike all others."""

import hashlib
import itertools
import secrets
import time
from collections.abc import Sequence
from urllib.parse import urlencode

from wechatpy.crypto import WeChatCrypto

_numbers = itertools.count(23_000_000_000_000_000)


def texts(
    count: int, *, text: str, people: Sequence[str], token: str, aes_key: str, app_id: str, to: str
) -> list[bytes]:
    """So many messages of one text, by the people in turn; their timestamp is now."""
    crypto = WeChatCrypto(token, aes_key, app_id)
    now = str(int(time.time()))
    return [_request(crypto, token, now, _message(text, people[at % len(people)], to)) for at in range(count)]


def _message(text: str, person: str, to: str) -> str:
    return (
        f"<xml><ToUserName><![CDATA[{to}]]></ToUserName><FromUserName><![CDATA[{person}]]></FromUserName>"
        f"<CreateTime>{int(time.time())}</CreateTime><MsgType><![CDATA[text]]></MsgType>"
        f"<Content><![CDATA[{text}]]></Content><MsgId>{next(_numbers)}</MsgId></xml>"
    )


def _request(crypto: WeChatCrypto, token: str, now: str, message: str) -> bytes:
    nonce = secrets.token_hex(8)
    body = crypto.encrypt_message(message, nonce, now).encode()
    signed = body.decode().split("<MsgSignature><![CDATA[")[1].split("]]>")[0]
    query = {
        "signature": hashlib.sha1("".join(sorted([token, now, nonce])).encode()).hexdigest(),
        "timestamp": now,
        "nonce": nonce,
        "encrypt_type": "aes",
        "msg_signature": signed,
    }
    head = (
        f"POST /wechat/main/callback?{urlencode(query)} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Content-Type: text/xml\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
