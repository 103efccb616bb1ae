"""Signatures and envelopes of Alipay's open platform, from the platform's side.

Requests are checked over the decoded values as they came, `sign_type` included; answers are signed over
the very text of the response node; life account posts are signed over GBK bytes.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import parse_qsl, quote_from_bytes

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

CHARSETS = {"utf-8": "utf-8", "utf8": "utf-8", "gbk": "gb18030", "gb2312": "gb18030"}


def decoded(raw: bytes, *, charset: str) -> dict[str, str]:
    """Values of a query or form body, percent-decoded once in `charset`. A repeated name counts once, the last.

    Raises UnicodeDecodeError where the bytes are not of that charset.
    """
    pairs = parse_qsl(
        raw.decode("ascii"), keep_blank_values=True, encoding=CHARSETS[charset.lower()], errors="strict"
    )
    return dict(pairs)


def encoded(values: Mapping[str, str], *, charset: str) -> bytes:
    """A form body whose values are percent-encoded in `charset`."""
    codec = CHARSETS[charset.lower()]
    parts = [f"{name}={quote_from_bytes(value.encode(codec), safe='')}" for name, value in values.items()]
    return "&".join(parts).encode("ascii")


def canonical(values: Mapping[str, str], *, without: tuple[str, ...] = ("sign",)) -> str:
    """`name=value` joined by `&` in ASCII order, empty values and the names of `without` left out."""
    kept = sorted((name, value) for name, value in values.items() if name not in without and value != "")
    return "&".join(f"{name}={value}" for name, value in kept)


def canonical_as_present(values: Mapping[str, str], *, without: tuple[str, ...]) -> str:
    """The form of the vendor's own check of notices: empty values take part."""
    return "&".join(f"{name}={value}" for name, value in sorted(values.items()) if name not in without)


def sign(text: str, *, key: rsa.RSAPrivateKey, charset: str = "utf-8") -> str:
    """RSA2: base64 of SHA256withRSA (PKCS#1 v1.5) over the text in `charset`."""
    data = text.encode(CHARSETS[charset.lower()])
    return base64.b64encode(key.sign(data, padding.PKCS1v15(), hashes.SHA256())).decode()


def verified(text: str, signature: str, *, key: rsa.RSAPublicKey, charset: str = "utf-8") -> bool:
    """Whether `signature` is RSA2 over the text. Nonsense in base64 is simply not a signature."""
    try:
        given = base64.b64decode(signature, validate=True)
        key.verify(given, text.encode(CHARSETS[charset.lower()]), padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def node_text(node: Mapping[str, object], *, escape_slash: bool = True) -> str:
    """Compact JSON as the gateway writes it; the real one escapes `/` as `\\/`."""
    text = json.dumps(node, ensure_ascii=False, separators=(",", ":"))
    return text.replace("/", "\\/") if escape_slash else text


def envelope(name: str, node: str, *, signature: str | None, cert_sn: str | None = None) -> str:
    """The whole answer: the node's text under its name, then `alipay_cert_sn` and `sign` where there are any."""
    parts = [f'"{name}":{node}']
    if cert_sn is not None:
        parts.append(f'"alipay_cert_sn":"{cert_sn}"')
    if signature is not None:
        parts.append(f'"sign":"{signature}"')
    return "{" + ",".join(parts) + "}"


@lru_cache(maxsize=32)
def private_key(pem: str) -> rsa.RSAPrivateKey:
    """Reads PKCS#1 or PKCS#8 PEM. Raises ValueError."""
    key = serialization.load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("not an RSA key")
    return key


@lru_cache(maxsize=32)
def public_key(text: str) -> rsa.RSAPublicKey:
    """Reads PEM, or the one line of base64 that the console shows. Raises ValueError."""
    if "BEGIN" in text:
        key = serialization.load_pem_public_key(text.encode())
    else:
        key = serialization.load_der_public_key(base64.b64decode("".join(text.split())))
    if not isinstance(key, rsa.RSAPublicKey):
        raise ValueError("not an RSA key")
    return key


def one_line(key: rsa.RSAPublicKey) -> str:
    """The public key as one line of base64 without PEM header, as consoles show it."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


def pem(key: rsa.RSAPublicKey) -> str:
    """The public key as PEM."""
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()


def new_private_pem() -> str:
    """A fresh 2048-bit key as PKCS#1 PEM, which every SDK reads."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()
