"""RSA signatures (PKCS#1 v1.5 with SHA-256) over bytes."""

import base64
import binascii
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.x509 import load_pem_x509_certificate


def sign(text: bytes, private_key: str) -> str:
    """Base64 on one line. ``private_key`` is PEM text."""
    return base64.b64encode(_private(private_key).sign(text, padding.PKCS1v15(), hashes.SHA256())).decode(
        "ascii"
    )


def verify(text: bytes, signature: str, public_key: str) -> bool:
    """Whether the base64 signature is the key's over these bytes. ``public_key``: PEM key or certificate."""
    try:
        raw = base64.b64decode(signature.encode("ascii"), validate=True)
        _public(public_key).verify(raw, text, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, binascii.Error, UnicodeEncodeError):
        return False
    return True


def pem(key: str, kind: str) -> str:
    """PEM text; Alipay's console hands out bare base64, which gets its frame here. ``kind`` PRIVATE | PUBLIC."""
    if "-----BEGIN" in key:
        return key
    bare = "".join(key.split())
    lines = "\n".join(bare[at : at + 64] for at in range(0, len(bare), 64))
    return f"-----BEGIN {kind} KEY-----\n{lines}\n-----END {kind} KEY-----\n"


def public_of(private_key: str) -> str:
    """The public half of a private key, PEM: what a gateway's check of our address must be answered with."""
    public = _private(pem(private_key, "PRIVATE")).public_key()
    return public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode("ascii")


@lru_cache(maxsize=256)
def _private(key: str) -> RSAPrivateKey:
    loaded = serialization.load_pem_private_key(key.encode("ascii"), None)
    if not isinstance(loaded, RSAPrivateKey):
        raise ValueError("not an RSA private key")
    return loaded


@lru_cache(maxsize=256)
def _public(key: str) -> RSAPublicKey:
    raw = key.encode("ascii")
    found = (
        load_pem_x509_certificate(raw).public_key()
        if b"CERTIFICATE" in raw
        else serialization.load_pem_public_key(raw)
    )
    if not isinstance(found, RSAPublicKey):
        raise ValueError("not an RSA public key")
    return found
