"""Codes and numbers that we make. All are random: a restored backup would use a sequence's numbers again."""

import secrets
from unicodedata import normalize

ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
"""31 characters without look-alikes (no 0 O 1 I L)."""

CLAIM_LENGTH = 10
STORE_PART = 3


def public_id() -> str:
    """128 random bits as text, for addresses."""
    return secrets.token_urlsafe(16)


def serial(prefix: str = "") -> str:
    """At most 20 characters, 80 random bits at least: issue serials and order numbers."""
    return prefix + "".join(secrets.choice(ALPHABET) for _ in range(20 - len(prefix)))


def short_code(length: int = 5) -> str:
    """A code that a person reads aloud: confirmation and request codes."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def claim_code(store_code: str) -> str:
    """A slip's claim code: 3 characters name the store, 6 are random, 1 checks the other nine."""
    body = store_part(store_code) + short_code(6)
    return body + _check(body)


def store_part(store_code: str) -> str:
    """The 3 characters that name a store, derived from its code."""
    value = 0
    for character in store_code:
        value = (value * 131 + ord(character)) % 31**3
    return "".join(ALPHABET[value // 31**power % 31] for power in (2, 1, 0))


def normal_claim_code(text: str) -> str | None:
    """A typed claim code in its normal form, or None if it can't be one (length, characters, check)."""
    typed = "".join(c for c in normalize("NFKC", text).upper() if c.isalnum())
    if len(typed) != CLAIM_LENGTH or any(c not in ALPHABET for c in typed):
        return None
    return typed if _check(typed[:-1]) == typed[-1] else None


def _check(body: str) -> str:
    """Weighted sum modulo 31, a prime: finds every wrong character and every swapped neighbour."""
    return ALPHABET[sum(ALPHABET.index(c) * (i + 2) for i, c in enumerate(body)) % 31]
