"""Reads an invoice's face from JSON, for ``invoices render``: always a specimen.

```
{"number": "YP-0001", "issued_on": "2026-11-24", "kind": "ordinary" | "special",
 "buyer": {"name", "taxpayer_no"}, "seller": {"name", "taxpayer_no"}, "lines": [LINE, …],
 "net_fen", "tax_fen", "total_fen", "remark", "issuer_name", "specific_business"}
LINE: {"name", "net_fen", "tax_fen", "total_fen", "tax_rate": "0.13", "quantity": "1.000",
       "unit", "spec", "unit_price": "6.85", "treatment": "taxed" | "exempt" | "not_taxable"}
```

Only ``lines`` must be there, so the answer of ``invoices amounts`` can be drawn as it is. Of a line's net, tax and
total, two are enough; with the total alone the tax is taken out at the rate. Totals that are given must be those of
the lines. A number of 20 digits, which only the bureau gives, is cut to 样票 and its last eight. Other keys are ignored.
"""

import re
from collections.abc import Mapping
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from miniapp.core import clock
from miniapp.core.errors import Invalid
from miniapp.core.money import MAX_FEN, split_tax
from miniapp.printing.documents import KINDS, OFFICIAL_NUMBER, TREATMENTS, InvoiceSheet, Party, SheetLine

MOST_LINES = 2000
_DECIMAL = re.compile(r"-?[0-9]{1,12}(?:\.[0-9]{1,13})?")
_RATE = re.compile(r"0(?:\.[0-9]{1,9})?")
_LENGTHS = {
    "number": 32,
    "name": 100,
    "taxpayer_no": 20,
    "spec": 40,
    "unit": 20,
    "remark": 230,
    "issuer_name": 20,
    "specific_business": 8,
}
_NUMBERLESS = "样票00000000"


class SheetRefused(Invalid):
    """The JSON is no invoice; ``where`` is the path of the value at fault."""

    def __init__(self, key: str, where: str, **values: Any) -> None:
        super().__init__(f"printing.sheet.{key}", where=where or "JSON", **values)
        self.where = where


def sheet_from_json(data: object) -> InvoiceSheet:
    """The specimen that a JSON document describes. Raises SheetRefused."""
    face = _object(data, "")
    lines = face.get("lines")
    if not isinstance(lines, list) or not 1 <= len(lines) <= MOST_LINES:
        raise SheetRefused("lines", "lines", most=MOST_LINES)
    sheet = InvoiceSheet(
        number=_number(face),
        issued_on=_day(face.get("issued_on")),
        kind=_word(face, "kind", KINDS, ""),
        buyer=_party(face, "buyer"),
        seller=_party(face, "seller"),
        lines=tuple(_line(line, f"lines[{place}].") for place, line in enumerate(lines, 1)),
        remark=_text(face, "remark", ""),
        issuer_name=_text(face, "issuer_name", ""),
        specimen=True,
        specific_business=_text(face, "specific_business", ""),
    )
    for name in ("net_fen", "tax_fen", "total_fen"):
        given, found = _amount(face, name, ""), getattr(sheet, name)
        if given not in (None, found):
            raise SheetRefused("total_differs", name, given=given, found=found)
    return sheet


def _line(data: object, where: str) -> SheetLine:
    line = _object(data, where)
    treatment = _word(line, "treatment", TREATMENTS, where)
    rate = _rate(line, where, needed=treatment == "taxed")
    net_fen, tax_fen = _net_and_tax(line, rate, where)
    quantity = _decimal(line, "quantity", where)
    return SheetLine(
        name=_text(line, "name", where),
        net_fen=net_fen,
        tax_fen=tax_fen,
        tax_rate=rate,
        spec=_text(line, "spec", where),
        unit=_text(line, "unit", where),
        quantity=quantity,
        unit_price=_decimal(line, "unit_price", where) or _price(net_fen, quantity),
        treatment=treatment,
    )


def _net_and_tax(line: Mapping[str, Any], rate: Decimal, where: str) -> tuple[int, int]:
    net, tax, total = (_amount(line, name, where) for name in ("net_fen", "tax_fen", "total_fen"))
    if net is None and tax is None and total is not None:
        return split_tax(total, rate)
    if [net, tax, total].count(None) > 1:
        raise SheetRefused("amounts_missing", f"{where}net_fen")
    net = total - tax if net is None and total is not None and tax is not None else net or 0
    tax = total - net if tax is None and total is not None else tax or 0
    if total not in (None, net + tax):
        raise SheetRefused("total_differs", f"{where}total_fen", given=total, found=net + tax)
    return net, tax


def _price(net_fen: int, quantity: Decimal | None) -> Decimal | None:
    if not quantity:
        return None
    return (Decimal(net_fen) / 100 / quantity).quantize(Decimal("1e-8"), ROUND_HALF_UP)


def _party(face: Mapping[str, Any], side: str) -> Party:
    party = _object(face.get(side) or {}, f"{side}.")
    return Party(_text(party, "name", f"{side}."), _text(party, "taxpayer_no", f"{side}."))


def _number(face: Mapping[str, Any]) -> str:
    number = _text(face, "number", "") or _NUMBERLESS
    return f"样票{number[-8:]}" if OFFICIAL_NUMBER.fullmatch(number) else number


def _day(value: object) -> date:
    if value is None:
        return clock.now().astimezone(clock.BEIJING).date()
    try:
        return date.fromisoformat(value)  # type: ignore[arg-type]  # anything else is a TypeError
    except (TypeError, ValueError):
        raise SheetRefused("not_a_day", "issued_on") from None


def _object(value: object, where: str) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    raise SheetRefused("not_an_object", where.rstrip("."))


def _text(data: Mapping[str, Any], name: str, where: str) -> str:
    """A text in one line; a remark keeps its lines."""
    value = data.get(name)
    if value is not None and not isinstance(value, str):
        raise SheetRefused("not_a_text", where + name)
    lines = (value or "").splitlines() if name == "remark" else [value or ""]
    text = "\n".join(" ".join(line.split()) for line in lines)
    if len(text) > _LENGTHS[name]:
        raise SheetRefused("too_long", where + name, limit=_LENGTHS[name])
    return text


def _word(data: Mapping[str, Any], name: str, words: tuple[str, ...], where: str) -> str:
    value = data.get(name, words[0])
    if value in words:
        return str(value)
    raise SheetRefused("unknown_word", where + name, words=" | ".join(words))


def _amount(data: Mapping[str, Any], name: str, where: str) -> int | None:
    value = data.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > MAX_FEN:
        raise SheetRefused("not_fen", where + name)
    return value


def _rate(line: Mapping[str, Any], where: str, *, needed: bool) -> Decimal:
    value = line.get("tax_rate", None if needed else "0")
    if isinstance(value, str) and _RATE.fullmatch(value):
        return Decimal(value)
    raise SheetRefused("bad_rate", f"{where}tax_rate")


def _decimal(line: Mapping[str, Any], name: str, where: str) -> Decimal | None:
    value = line.get(name)
    if value is None:
        return None
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        return Decimal(value)
    raise SheetRefused("not_a_decimal", where + name)
