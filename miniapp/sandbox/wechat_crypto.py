"""Message signatures and AES of the official account (callbacks), and its XML."""

from __future__ import annotations

import base64
import hashlib
import os
import struct
import xml.etree.ElementTree as ET

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

BLOCK = 32  # PKCS#7 with blocks of 32, not 16


class Unreadable(Exception):
    """A ciphertext, signature or XML that is not what the protocol says."""


def signature(*parts: str) -> str:
    """SHA-1 over the sorted parts: token, timestamp, nonce and, for `msg_signature`, Encrypt."""
    return hashlib.sha1("".join(sorted(parts)).encode()).hexdigest()  # noqa: S324 - the protocol's


def encrypt(xml: str, *, aes_key: str, app_id: str, random: bytes | None = None) -> str:
    """The content of `Encrypt`. `random` is 16 bytes, fixed only for vectors."""
    body = xml.encode()
    plain = (random or os.urandom(16)) + struct.pack(">I", len(body)) + body + app_id.encode()
    pad = BLOCK - len(plain) % BLOCK
    cipher = _cipher(aes_key).encryptor()
    return base64.b64encode(cipher.update(plain + bytes([pad]) * pad) + cipher.finalize()).decode()


def decrypt(text: str, *, aes_key: str, app_id: str) -> str:
    """The XML inside `Encrypt`. Raises Unreadable, also for another app id."""
    try:
        cipher = _cipher(aes_key).decryptor()
        plain = cipher.update(base64.b64decode(text, validate=True)) + cipher.finalize()
        pad = plain[-1]
        if not 1 <= pad <= BLOCK or plain[-pad:] != bytes([pad]) * pad:
            raise Unreadable("padding")
        plain = plain[:-pad]
        (size,) = struct.unpack(">I", plain[16:20])
        body, owner = plain[20 : 20 + size], plain[20 + size :]
        if len(body) != size or owner.decode() != app_id:
            raise Unreadable("app id")
        return body.decode()
    except (ValueError, IndexError, struct.error) as problem:
        raise Unreadable(str(problem)) from None


def fields(xml: str | bytes) -> dict[str, str]:
    """The root's children as a flat dictionary; deeper ones by their own names. Raises Unreadable."""
    text = xml.encode() if isinstance(xml, str) else xml
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        raise Unreadable("document type")
    try:
        root = ET.fromstring(text)  # noqa: S314 - no document type, see above
    except (ET.ParseError, ValueError) as problem:
        raise Unreadable(str(problem)) from None
    return {element.tag: element.text or "" for element in root.iter() if element is not root}


def xml_of(values: dict[str, str | int], root: str = "xml") -> str:
    """One line of XML; text in CDATA, numbers bare."""
    return f"<{root}>" + "".join(_element(name, value) for name, value in values.items()) + f"</{root}>"


def _element(name: str, value: str | int) -> str:
    if isinstance(value, int):
        return f"<{name}>{value}</{name}>"
    return f"<{name}><![CDATA[{value.replace(']]>', ']]]]><![CDATA[>')}]]></{name}>"


def _cipher(aes_key: str) -> Cipher[modes.CBC]:
    key = base64.b64decode(aes_key + "=")
    return Cipher(algorithms.AES(key), modes.CBC(key[:16]))
