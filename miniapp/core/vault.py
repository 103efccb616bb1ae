"""Keys at rest: wrapped by the master key (AES-256-GCM), bound to the name of what they open."""

import hashlib
import hmac
import os

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_master: bytes | None = None


def use_master(secret: bytes) -> None:
    """The 32 bytes that wrap every stored key in this process."""
    global _master
    _master = secret


def wrap(plain: str, *, name: str) -> bytes:
    """Encrypt a secret; ``name`` (``terminal:T01``) must be given again to open it."""
    nonce = os.urandom(12)
    return nonce + AESGCM(_key("wrap")).encrypt(nonce, plain.encode("utf-8"), name.encode("utf-8"))


def unwrap(sealed: bytes, *, name: str) -> str:
    """Open a secret. Raises cryptography's InvalidTag for another master key or name."""
    return AESGCM(_key("wrap")).decrypt(sealed[:12], sealed[12:], name.encode("utf-8")).decode("utf-8")


def sign(purpose: str, text: str) -> str:
    """A keyed hash of a text, lower hex: slip tokens, document links, hashes of payment codes."""
    return hmac.new(_key(purpose), text.encode("utf-8"), hashlib.sha256).hexdigest()


def is_signed(purpose: str, text: str, signature: str) -> bool:
    """Compare a signature in constant time, as bytes."""
    return hmac.compare_digest(sign(purpose, text).encode(), signature.encode("utf-8", "replace"))


def _key(purpose: str) -> bytes:
    if _master is None:
        raise RuntimeError("vault.use_master() has not been called")
    return hmac.new(_master, purpose.encode("ascii"), hashlib.sha256).digest()
