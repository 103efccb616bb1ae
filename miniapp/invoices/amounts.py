"""What of a purchase is invoiced, line by line to the fen: discounts and refunds spread, tax taken out.

The tax of a line is its amount minus the rounded net, never rounded by itself, so net + tax is the amount exactly.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Any

from miniapp.core.errors import Invalid
from miniapp.core.money import MAX_FEN, largest_remainder, show, split_tax

POLICIES = ("exclude", "invoice")
"""What a discount paid by the platform does: left out, or invoiced like the customer's own money."""

_RATE = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")
_QUANTITY = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,13})?")
_AMOUNTS = ("paid_fen", "platform_discount_fen", "merchant_discount_fen", "refunded_fen")
_KEYS = {*_AMOUNTS, "platform_discount", "discount_rows", "lines"}
_TEXTS = ("name", "tax_category_code", "unit")
_EIGHT_PLACES = Decimal("1e-8")
_CENT = Decimal("0.01")


class AmountsRefused(Invalid):
    """The purchase cannot be turned into invoice lines: ``code`` for machines, the key for the sentence."""

    def __init__(self, code: str, key: str, **values: Any) -> None:
        super().__init__(f"invoices.amounts.{key}", **values)
        self._code = code

    @property
    def code(self) -> str:
        """BAD_AMOUNT, BAD_RATE, LINES_DO_NOT_ADD_UP or NOT_INVOICEABLE."""
        return self._code


@dataclass(frozen=True)
class Line:
    """One line of a purchase: ``amount_fen`` is its price to the customer, tax included, before any discount."""

    name: str
    amount_fen: int
    tax_rate: Decimal
    tax_category_code: str | None = None
    unit: str | None = None
    quantity: Decimal | None = None


@dataclass(frozen=True)
class TaxedLine:
    """One row of an invoice. ``row`` is normal | discounted | discount; a discount row is negative, without quantity."""

    name: str
    total_fen: int
    net_fen: int
    tax_fen: int
    tax_rate: Decimal
    tax_category_code: str | None
    unit: str | None
    quantity: Decimal | None
    row: str = "normal"

    def as_json(self) -> dict[str, Any]:
        """The row as the outside contract writes it; decimals are texts."""
        return {
            "name": self.name,
            "tax_category_code": self.tax_category_code,
            "quantity": None if self.quantity is None else f"{self.quantity:f}",
            "total_fen": self.total_fen,
            "net_fen": self.net_fen,
            "tax_fen": self.tax_fen,
            "tax_rate": f"{self.tax_rate:f}",
            "row": self.row,
        }


def invoiceable_fen(paid_fen: int, *, refunded_fen: int, platform_discount_fen: int, policy: str) -> int:
    """What may be invoiced: the customer's own money that was kept, and under ``invoice`` the platform's share of it."""
    kept_fen = paid_fen - refunded_fen
    if policy == "exclude" or paid_fen == 0:
        return kept_fen
    return kept_fen + platform_discount_fen * kept_fen // paid_fen


def spread(lines: Sequence[Line], amount_fen: int) -> list[TaxedLine]:
    """The invoice lines that carry exactly ``amount_fen``, each at its net price; a line that gets nothing is left out.

    ``amount_fen`` is between 0 and the sum of the lines. No line gets more than its price.
    """
    shares = largest_remainder(amount_fen, [line.amount_fen for line in lines])
    return [_taxed(line, share) for line, share in zip(lines, shares, strict=True) if share]


def spread_with_discount_rows(lines: Sequence[Line], amount_fen: int) -> list[TaxedLine]:
    """The same lines, a reduced one as its full price and a discount row behind it.

    The discount is the difference of two splits, so that both rows together are the net line in all three amounts.
    """
    shares = largest_remainder(amount_fen, [line.amount_fen for line in lines])
    rows: list[TaxedLine] = []
    for line, share in zip(lines, shares, strict=True):
        if share == line.amount_fen > 0:
            rows.append(_taxed(line, share))
        elif share:
            rows.extend(_with_discount(line, share))
    return rows


def unit_price(net_fen: int, *, quantity: Decimal) -> Decimal | None:
    """Price without tax for a channel, 8 places; None where price × quantity would not give the net amount.

    Then price and quantity are both left out: a channel recomputes and refuses what differs.
    """
    if quantity <= 0 or -quantity.as_tuple().exponent > 8:  # type: ignore[operator]  # finite by its form
        return None
    net = Decimal(net_fen) / 100
    with localcontext(prec=50):
        price = (net / quantity).quantize(_EIGHT_PLACES, ROUND_HALF_UP)
        agrees = (price * quantity).quantize(_CENT, ROUND_HALF_UP) == net
    return price if agrees and len(f"{price:f}") <= 16 else None


def quantity_of(total_fen: int, *, price: Decimal) -> Decimal:
    """Quantity, 8 places, of an amount sold at a price with tax, as a pump counts: 220.00 at 6.85 is 32.11678832."""
    with localcontext(prec=50):
        return (Decimal(total_fen) / 100 / price).quantize(_EIGHT_PLACES, ROUND_HALF_UP)


def amounts(data: object) -> dict[str, Any]:
    """One purchase as JSON, answered as the invoice it would carry; the shapes are those of ``invoices amounts``.

    Raises AmountsRefused: BAD_AMOUNT, BAD_RATE, LINES_DO_NOT_ADD_UP, NOT_INVOICEABLE, in this order.
    """
    purchase = _purchase(data)
    lines = _lines(purchase["lines"])
    _check_sum(purchase, lines)
    amount_fen = invoiceable_fen(
        purchase["paid_fen"],
        refunded_fen=purchase["refunded_fen"],
        platform_discount_fen=purchase["platform_discount_fen"],
        policy=purchase["platform_discount"],
    )
    if amount_fen == 0:
        raise AmountsRefused("NOT_INVOICEABLE", "not_invoiceable")
    rows = (spread_with_discount_rows if purchase["discount_rows"] else spread)(lines, amount_fen)
    return {
        "invoiceable_fen": amount_fen,
        "lines": [row.as_json() for row in rows],
        "total_fen": sum(row.total_fen for row in rows),
        "net_fen": sum(row.net_fen for row in rows),
        "tax_fen": sum(row.tax_fen for row in rows),
    }


def _taxed(line: Line, total_fen: int) -> TaxedLine:
    net_fen, tax_fen = split_tax(total_fen, line.tax_rate)
    return TaxedLine(
        name=line.name,
        total_fen=total_fen,
        net_fen=net_fen,
        tax_fen=tax_fen,
        tax_rate=line.tax_rate,
        tax_category_code=line.tax_category_code,
        unit=line.unit,
        quantity=line.quantity,
    )


def _with_discount(line: Line, share_fen: int) -> tuple[TaxedLine, TaxedLine]:
    full, net = _taxed(line, line.amount_fen), _taxed(line, share_fen)
    discount = replace(
        full,
        total_fen=net.total_fen - full.total_fen,
        net_fen=net.net_fen - full.net_fen,
        tax_fen=net.tax_fen - full.tax_fen,
        unit=None,
        quantity=None,
        row="discount",
    )
    return replace(full, row="discounted"), discount


def _purchase(data: object) -> dict[str, Any]:
    """The purchase with its defaults, every amount and shape sound; rates are not looked at here."""
    if not isinstance(data, Mapping):
        raise _bad("not_an_object")
    unknown = [key for key in data if key not in _KEYS]
    if unknown:
        raise _bad("unknown_key", name=_printable(unknown[0]))
    purchase = {
        "platform_discount": "exclude",
        "discount_rows": False,
        **dict.fromkeys(_AMOUNTS[1:], 0),
        **data,
    }
    for name in _AMOUNTS:
        _check_amount(purchase.get(name), name)
    if purchase["refunded_fen"] > purchase["paid_fen"]:
        raise _bad("refunded_above_paid")
    if purchase["platform_discount"] not in POLICIES:
        raise _bad("unknown_policy")
    if not isinstance(purchase["discount_rows"], bool):
        raise _bad("not_a_boolean")
    lines = purchase.get("lines")
    if not isinstance(lines, list) or not lines:
        raise _bad("no_lines")
    for number, line in enumerate(lines, 1):
        _check_line(line, number)
    return purchase


def _check_amount(value: object, name: str) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_FEN:
        raise _bad("not_fen", name=name)


def _check_line(line: object, number: int) -> None:
    if not isinstance(line, Mapping):
        raise _bad("line_not_an_object", line=number)
    _check_amount(line.get("amount_fen"), f"lines[{number}].amount_fen")
    for name in _TEXTS:
        if not _is_text(line.get(name)):
            raise _bad("not_a_text", name=f"lines[{number}].{name}")
    quantity = line.get("quantity")
    if quantity is not None and not (isinstance(quantity, str) and _QUANTITY.fullmatch(quantity)):
        raise _bad("bad_quantity", line=number)


def _is_text(value: object) -> bool:
    """A text that can be written, or nothing: half a pair of UTF-16, which JSON can hold, cannot."""
    if isinstance(value, str):
        return not any("\ud800" <= character <= "\udfff" for character in value)
    return value is None


def _lines(lines: Sequence[Mapping[str, Any]]) -> list[Line]:
    return [
        Line(
            name=line.get("name") or "",
            amount_fen=line["amount_fen"],
            tax_rate=_rate(line.get("tax_rate"), number),
            tax_category_code=line.get("tax_category_code"),
            unit=line.get("unit"),
            quantity=None if line.get("quantity") is None else Decimal(line["quantity"]),
        )
        for number, line in enumerate(lines, 1)
    ]


def _rate(text: object, number: int) -> Decimal:
    if isinstance(text, str) and _RATE.fullmatch(text) and Decimal(text) < 1:
        return Decimal(text)
    raise AmountsRefused("BAD_RATE", "bad_rate", line=number)


def _check_sum(purchase: Mapping[str, Any], lines: Sequence[Line]) -> None:
    expected = sum(purchase[name] for name in ("paid_fen", "platform_discount_fen", "merchant_discount_fen"))
    found = sum(line.amount_fen for line in lines)
    if found != expected:
        raise AmountsRefused(
            "LINES_DO_NOT_ADD_UP", "lines_do_not_add_up", lines=show(found), paid=show(expected)
        )


def _bad(key: str, **values: Any) -> AmountsRefused:
    return AmountsRefused("BAD_AMOUNT", key, **values)


def _printable(key: object) -> str:
    return "".join(character if character.isprintable() else "?" for character in str(key)[:40])
