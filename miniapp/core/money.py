"""Money: whole fen everywhere, yuan only at the edge, tax by exact integers. No float."""

import re
from collections.abc import Sequence
from decimal import Decimal

MAX_FEN = 99_999_999_999_999
"""The largest amount anywhere: 12 digits before the point, the limit of the tax bureau's forms."""

_YUAN = re.compile(r"(?P<sign>-?)(?P<yuan>[0-9]{1,12})(?:\.(?P<cents>[0-9]{1,2}))?")


class NotAnAmount(ValueError):
    """A text that is no amount of yuan."""


def parse_yuan(text: str) -> int:
    """Fen of an amount in yuan as bills and forms write it: ``1234.5`` → 123450.

    ASCII digits, at most 12 before and 2 after the point, an optional minus; nothing is stripped or rounded.
    Raises NotAnAmount for anything else.
    """
    match = _YUAN.fullmatch(text)
    if match is None:
        raise NotAnAmount(text)
    fen = int(match["yuan"]) * 100 + int((match["cents"] or "").ljust(2, "0"))
    return -fen if match["sign"] else fen


def yuan(fen: int) -> str:
    """Yuan with two places, for machines: 123450 → ``1234.50``."""
    whole, cents = divmod(abs(fen), 100)
    return f"{'-' if fen < 0 else ''}{whole}.{cents:02d}"


def show(fen: int) -> str:
    """Yuan for people: 123450 → ``¥1,234.50``, -5 → ``-¥0.05``."""
    whole, cents = divmod(abs(fen), 100)
    return f"{'-' if fen < 0 else ''}¥{whole:,}.{cents:02d}"


def largest_remainder(total_fen: int, weights: Sequence[int]) -> list[int]:
    """Spread an amount over weights so that the parts add up to it exactly.

    Each part is its exact share rounded down; the fen that remain go to the largest fractions, the earlier
    one first among equals. No part exceeds its weight while the total does not exceed their sum.
    Raises ValueError for a negative amount or weight, and where there is nothing to spread over.
    """
    if total_fen < 0 or any(weight < 0 for weight in weights):
        raise ValueError("amount and weights are 0 or more")
    whole = sum(weights)
    if whole == 0:
        if total_fen:
            raise ValueError("no weight to spread over")
        return [0] * len(weights)
    shares = [divmod(total_fen * weight, whole) for weight in weights]
    parts = [part for part, _ in shares]
    by_fraction = sorted(range(len(shares)), key=lambda place: -shares[place][1])
    for place in by_fraction[: total_fen - sum(parts)]:
        parts[place] += 1
    return parts


def split_tax(total_fen: int, rate: Decimal) -> tuple[int, int]:
    """An amount with tax in it as (net, tax): net is rounded half up, tax is the rest.

    So net + tax is always the amount. A negative amount gives the mirrored numbers. ``rate`` is 0.13 for 13 %.
    """
    over, under = rate.as_integer_ratio()
    # amount ÷ (1 + over/under), rounded half up: floor of twice the quotient plus one, halved.
    net = (2 * abs(total_fen) * under + under + over) // (2 * (under + over))
    return (net, total_fen - net) if total_fen >= 0 else (-net, total_fen + net)
