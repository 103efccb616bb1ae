"""Pure decisions about payments: which platform a code is of, what may be invoiced, what names a transaction."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

MAX_FEN = 10_000_000_000
"""The largest single payment that the terminal door takes."""

OWN_MONEY = frozenset({"wallet", "card", "cash", "coupon", "other"})
"""Tender kinds that are the customer's own money when the customer funded them. Stored value was invoiced, or will
be, at its top-up; points are no money."""

_CODES = (
    ("wechat", re.compile(r"1[0-5]\d{16}", re.ASCII)),
    ("alipay", re.compile(r"(?:2[5-9]|30)\d{14,22}", re.ASCII)),
    ("unionpay", re.compile(r"62\d{17}", re.ASCII)),
)


def platform_of_code(payment_code: str) -> str | None:
    """wechat, alipay or unionpay by the code's prefix and length; None: no payment code."""
    return next((platform for platform, form in _CODES if form.fullmatch(payment_code)), None)


@dataclass(frozen=True)
class Part:
    """One tender: ``kind`` of money, ``funder`` customer | merchant | platform | other."""

    kind: str
    funder: str
    amount_fen: int


@dataclass(frozen=True)
class GivenBack:
    """One refund of a sale: gross as bills list it; the customer's own money in it, None where nobody told."""

    gross_fen: int
    own_fen: int | None


def funded_by(parts: Iterable[Part], funder: str) -> int:
    """The sum of the tenders that somebody funded."""
    return sum(part.amount_fen for part in parts if part.funder == funder)


def own_money(parts: Iterable[Part]) -> int:
    """What the customer paid, or got back, in money of their own."""
    return sum(part.amount_fen for part in parts if part.funder == "customer" and part.kind in OWN_MONEY)


def share(gross_fen: int, *, paid_fen: int, amount_fen: int) -> int:
    """The own money in a refund that does not say so: its share of the sale, rounded up (never over-invoiced)."""
    return -(-gross_fen * paid_fen // amount_fen)


def refunded_own(*, paid_fen: int, amount_fen: int, refunds: Iterable[GivenBack]) -> int:
    """How much of the customer's own money the refunds gave back; never above what was paid."""
    left, gross = paid_fen, 0
    for refund in refunds:
        part = refund.own_fen
        if part is None:
            part = share(refund.gross_fen, paid_fen=paid_fen, amount_fen=amount_fen)
        left -= min(left, part)
        gross += refund.gross_fen
    return paid_fen if gross >= amount_fen else paid_fen - left


def discount_mode(policy: Mapping[str, Any]) -> str:
    """A store's setting for the platform's discount: exclude | invoice."""
    return str(policy.get("platform_discount", "exclude"))


def invoiceable_fen(
    *, paid_fen: int, refunded_fen: int, platform_discount_fen: int, platform_discount: str
) -> int:
    """What of a sale may be invoiced: own money left, and the platform's discount in proportion where it is invoiced.

    ``platform_discount``: exclude | invoice (a store's policy).
    """
    left = paid_fen - refunded_fen
    if platform_discount == "invoice" and paid_fen > 0:
        left += platform_discount_fen * (paid_fen - refunded_fen) // paid_fen
    return left


def own_number(prefix: str, *parts: str) -> str:
    """A number for what came without one: the same parts give the same number; 24 characters."""
    text = "\x1f".join(parts)
    return prefix + hashlib.sha256(text.encode("utf-8")).hexdigest()[:23].upper()


def fingerprint(content: Mapping[str, Any]) -> str:
    """SHA-256 of a report's content: equal for the same report, whatever the order of its keys."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=_plain)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def payer_allows(
    *, payer_app_id: str, payer_open_id: str, identities: Mapping[str, str], has_slip: bool
) -> bool:
    """May this person take the purchase? ``identities``: app id → open id of the claimer.

    A payer known under one of the claimer's own app ids must be the claimer, unless they hold the signed slip;
    a payer that nobody can compare stands in nobody's way.
    """
    open_id = identities.get(payer_app_id) if payer_app_id and payer_open_id else None
    return has_slip or open_id is None or open_id == payer_open_id


def _plain(value: Any) -> str:
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(type(value).__name__)
