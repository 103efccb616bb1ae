"""How a WeChat payment's discounts spread over what was paid and what is given back. All in fen."""

from __future__ import annotations

from dataclasses import dataclass

from miniapp.sandbox.store import Row


@dataclass(frozen=True)
class Share:
    """Parts of one amount: `settlement` is without the merchant's coupon, `cash` is what the payer gave or gets."""

    gross: int
    merchant: int  # non-prefunded coupon
    prefunded: int
    cash: int

    @property
    def settlement(self) -> int:
        """应结: gross less the non-prefunded coupon."""
        return self.gross - self.merchant


def paid(payment: Row) -> Share:
    """The parts of the payment itself."""
    merchant, prefunded = payment["merchant_discount_fen"], payment["platform_discount_fen"]
    gross = payment["amount_fen"]
    return Share(gross, merchant, prefunded, gross - merchant - prefunded)


def given_back(payment: Row, refunds: list[Row]) -> dict[int, Share]:
    """The parts of each refund by its id: coupons come back in proportion, the last refund takes what is left."""
    shares, before = {}, 0
    for refund in sorted(refunds, key=lambda row: row["id"]):
        if refund["state"] == "closed":
            shares[refund["id"]] = Share(refund["amount_fen"], 0, 0, refund["amount_fen"])
            continue
        after = before + refund["amount_fen"]
        merchant, prefunded = (
            payment[name] * after // payment["amount_fen"] - payment[name] * before // payment["amount_fen"]
            for name in ("merchant_discount_fen", "platform_discount_fen")
        )
        gross = refund["amount_fen"]
        shares[refund["id"]] = Share(gross, merchant, prefunded, gross - merchant - prefunded)
        before = after
    return shares


def fee_fen(settlement: int, rate: str) -> int:
    """The fee of an amount at a rate in percent such as `0.60`, rounded half up to the fen."""
    hundredths = int(rate.replace(".", "").lstrip("0") or 0)  # 0.60 % -> 60 of 10 000
    sign = -1 if settlement < 0 else 1
    return sign * ((abs(settlement) * hundredths + 5000) // 10_000)
