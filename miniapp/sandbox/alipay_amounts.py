"""How the money of one Alipay trade divides between buyer, merchant and platform. All amounts are integer fen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MERCHANT_FUNDED = ("MDISCOUNT", "MCOUPON")
PLATFORM_FUNDED = ("DISCOUNT", "COUPON")
NOT_BUYERS_MONEY = (*MERCHANT_FUNDED, *PLATFORM_FUNDED, "POINT")
# Stored value was invoiced, or taxed as not taxable, when the card was sold.
NOT_INVOICED = (*NOT_BUYERS_MONEY, "MCARD", "PCARD")
VOUCHER_TYPES = {
    "MDISCOUNT": "ALIPAY_FIX_VOUCHER",
    "MCOUPON": "ALIPAY_CASH_VOUCHER",
    "DISCOUNT": "ALIPAY_DISCOUNT_VOUCHER",
    "COUPON": "ALIPAY_CASH_VOUCHER",
}
# What a person writes on a payment code, and the channel it becomes.
CHANNEL_OF = {
    "merchant": "MDISCOUNT",
    "merchant_coupon": "MCOUPON",
    "platform": "DISCOUNT",
    "platform_coupon": "COUPON",
    "point": "POINT",
    "card": "MCARD",
}


@dataclass(frozen=True)
class Part:
    """One row of fund_bill_list."""

    channel: str
    fen: int
    name: str = ""


def parts(*, total_fen: int, discounts: Iterable[Mapping[str, object]], wallet: str) -> list[Part]:
    """Divides the order: the code's discounts first, each at most what is left, and the wallet pays the rest.

    A discount is `{"funder": one of CHANNEL_OF, "amount_fen", "name"}`; a channel's own name is taken as well.
    """
    found: list[Part] = []
    left = total_fen
    for discount in discounts:
        word = str(discount.get("funder", "merchant"))
        channel = CHANNEL_OF.get(word, word)
        fen = min(left, max(0, int(str(discount.get("amount_fen", 0)))))
        if fen:
            found.append(Part(channel, fen, str(discount.get("name", ""))))
            left -= fen
    if left or not found:
        found.append(Part(wallet, left))
    return found


def sum_of(divided: Iterable[Part], channels: Iterable[str]) -> int:
    """Fen of the parts that run over one of `channels`."""
    wanted = set(channels)
    return sum(part.fen for part in divided if part.channel in wanted)


def amounts(divided: list[Part]) -> dict[str, int]:
    """The amount fields of trade.pay and trade.query, in fen.

    total = Σ parts; receipt = total − merchant funded; buyer_pay = total − everything not the buyer's own money;
    invoice = buyer_pay − stored value.
    """
    total = sum(part.fen for part in divided)
    return {
        "total_amount": total,
        "receipt_amount": total - sum_of(divided, MERCHANT_FUNDED),
        "buyer_pay_amount": total - sum_of(divided, NOT_BUYERS_MONEY),
        "invoice_amount": total - sum_of(divided, NOT_INVOICED),
        "point_amount": sum_of(divided, ("POINT",)),
        "mdiscount_amount": sum_of(divided, MERCHANT_FUNDED),
        "discount_amount": sum_of(divided, PLATFORM_FUNDED),
    }


def refund_parts(*, left: list[Part], refund_fen: int) -> list[Part]:
    """Divides a refund over what is left of each part by largest remainder; the parts add up to `refund_fen`.

    `refund_fen` is at most Σ left. No part ever gets more back than it still holds.
    """
    whole = sum(part.fen for part in left)
    shares = [refund_fen * part.fen // whole for part in left]
    order = sorted(range(len(left)), key=lambda i: (-(refund_fen * left[i].fen % whole), i))
    missing = refund_fen - sum(shares)
    for index in order:
        if missing and shares[index] < left[index].fen:
            shares[index] += 1
            missing -= 1
    return [Part(part.channel, fen, part.name) for part, fen in zip(left, shares, strict=True) if fen]


def subtract(before: list[Part], taken: list[Part]) -> list[Part]:
    """What is left of each part after a refund's parts were taken out of it."""
    rest = {(part.channel, part.name): part.fen for part in taken}
    left: list[Part] = []
    for part in before:
        fen = part.fen - rest.pop((part.channel, part.name), 0)
        if fen:
            left.append(Part(part.channel, fen, part.name))
    return left


def yuan(fen: int) -> str:
    """`123` → `1.23`, negative amounts too."""
    sign, fen = ("-", -fen) if fen < 0 else ("", fen)
    return f"{sign}{fen // 100}.{fen % 100:02d}"


def fen_of(text: str) -> int:
    """`1.23`, `1.2` or `1` → 123, 120, 100. Raises ValueError for anything else, negative amounts included."""
    whole, dot, rest = text.partition(".")
    digits = whole.isascii() and whole.isdigit() and (not dot or (rest.isascii() and rest.isdigit()))
    if not digits or len(rest) > 2 or len(whole) > 9:
        raise ValueError(text)
    return int(whole) * 100 + int((rest + "00")[:2])


def fund_bill_list(divided: list[Part]) -> list[dict[str, str]]:
    """fund_bill_list as the API answers it: snake case, yuan."""
    rows = []
    for part in divided:
        row = {"fund_channel": part.channel, "amount": yuan(part.fen)}
        if part.channel not in NOT_BUYERS_MONEY:
            row["real_amount"] = yuan(part.fen)
        rows.append(row)
    return rows


def voucher_detail_list(divided: list[Part]) -> list[dict[str, object]]:
    """One voucher a discount, with who paid for it."""
    rows: list[dict[str, object]] = []
    for place, part in enumerate(divided, start=1):
        if part.channel not in VOUCHER_TYPES:
            continue
        by_merchant = part.channel in MERCHANT_FUNDED
        row: dict[str, object] = {
            "id": f"2026112400073002037600{place:08d}",
            "name": part.name or "优惠券",
            "type": VOUCHER_TYPES[part.channel],
            "amount": yuan(part.fen),
            "merchant_contribute": yuan(part.fen if by_merchant else 0),
            "other_contribute": yuan(0 if by_merchant else part.fen),
        }
        if not by_merchant:
            row["other_contribute_detail"] = [
                {"contribute_type": "PLATFORM", "contribute_amount": yuan(part.fen)}
            ]
        rows.append(row)
    return rows
