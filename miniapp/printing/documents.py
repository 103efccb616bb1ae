"""What drawing needs to know, as plain values. Higher rooms fill these; nothing here decides or looks anything up."""

import re
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

KINDS = ("ordinary", "special")
TREATMENTS = ("taxed", "exempt", "not_taxable")
"""How a line is taxed: at its rate, 免税, or 不征税."""

OFFICIAL_NUMBER = re.compile(r"[0-9]{20}")
"""Only the tax bureau gives numbers of this form."""


@dataclass(frozen=True)
class Party:
    """Buyer or seller as the face names them. ``taxpayer_no`` is empty for a person."""

    name: str
    taxpayer_no: str = ""


@dataclass(frozen=True)
class SheetLine:
    """One row of an invoice; a discount row is negative, without unit, quantity and price.

    ``name`` is printed as it is, with the ``*short name*`` of its tax category where there is one.
    ``unit_price`` is without tax. ``tax_rate`` is 0.13 for 13 %.
    """

    name: str
    net_fen: int
    tax_fen: int
    tax_rate: Decimal
    spec: str = ""
    unit: str = ""
    quantity: Decimal | None = None
    unit_price: Decimal | None = None
    treatment: str = "taxed"


@dataclass(frozen=True)
class InvoiceSheet:
    """The face of one invoice. Its totals are those of its lines.

    ``specimen`` is for trying and testing: marked across every page and never under an official number.
    ``specific_business`` is the bureau's label beside the title, such as 成品油.
    """

    number: str
    issued_on: date
    kind: str
    buyer: Party
    seller: Party
    lines: tuple[SheetLine, ...]
    remark: str = ""
    issuer_name: str = ""
    specimen: bool = False
    specific_business: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown kind of invoice: {self.kind}")
        if not self.lines:
            raise ValueError("an invoice has lines")
        if self.specimen and OFFICIAL_NUMBER.fullmatch(self.number):
            raise ValueError("a specimen never carries a 20-digit number")

    @property
    def net_fen(self) -> int:
        """Sum of the lines without tax."""
        return sum(line.net_fen for line in self.lines)

    @property
    def tax_fen(self) -> int:
        """Sum of the lines' tax."""
        return sum(line.tax_fen for line in self.lines)

    @property
    def total_fen(self) -> int:
        """Sum with tax."""
        return self.net_fen + self.tax_fen


@dataclass(frozen=True)
class Slip:
    """What the customer takes from the till: which purchase, and the way to its invoice.

    ``url`` is the content of the QR code. ``reprint`` counts the copies after the first, which is 0.
    """

    store_name: str
    terminal_name: str
    amount_fen: int
    paid_at: datetime
    out_trade_no: str
    claim_code: str
    url: str
    reprint: int = 0
