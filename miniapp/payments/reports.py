"""What a terminal reports and what it is told, as frozen values."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any

from miniapp.payments.rules import Part, fingerprint


@dataclass(frozen=True)
class Line:
    """What was sold; ``quantity`` and ``tax_rate`` are decimal texts, empty where nobody told."""

    name: str
    amount_fen: int
    item_code: str = ""
    quantity: str = ""
    unit: str = ""
    tax_category_code: str = ""
    tax_rate: str = ""


@dataclass(frozen=True)
class Original:
    """How a refund or revocation names its sale, where it has no ``out_trade_no`` of its own."""

    out_trade_no: str = ""
    platform_trade_no: str = ""
    rrn: str = ""
    terminal_batch_no: str = ""
    trace_no: str = ""
    occurred_on: date | None = None


@dataclass(frozen=True)
class Report:
    """One sale, refund or revocation. ``tenders`` empty: nobody told; they add up to ``amount_fen`` otherwise."""

    kind: str
    platform: str
    amount_fen: int
    occurred_at: datetime
    out_trade_no: str = ""
    out_refund_no: str = ""
    original: Original = Original()
    platform_trade_no: str = ""
    platform_refund_no: str = ""
    rrn: str = ""
    terminal_batch_no: str = ""
    trace_no: str = ""
    tenders: tuple[Part, ...] = ()
    payer_app_id: str = ""
    payer_open_id: str = field(default="", repr=False)
    lines: tuple[Line, ...] = ()
    operator: str = ""

    @property
    def fingerprint(self) -> str:
        """Equal for the same report."""
        return fingerprint(self.content)

    @property
    def content(self) -> dict[str, Any]:
        """As plain JSON values."""
        content = asdict(self)
        content["occurred_at"] = self.occurred_at.isoformat()
        day = self.original.occurred_on
        content["original"]["occurred_on"] = day.isoformat() if day else None
        return content

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "Report":
        """The report that ``content`` was made from."""
        values = dict(content)
        day = values["original"]["occurred_on"]
        values["original"] = Original(
            **{**values["original"], "occurred_on": date.fromisoformat(day) if day else None}
        )
        values["occurred_at"] = datetime.fromisoformat(values["occurred_at"])
        values["tenders"] = tuple(Part(**part) for part in values["tenders"])
        values["lines"] = tuple(Line(**line) for line in values["lines"])
        return cls(**values)


@dataclass(frozen=True)
class Result:
    """What became of one reported row: recorded | known | conflict | refused."""

    out_trade_no: str
    result: str
    message: str
    transaction_id: int | None = None
    is_sale: bool = False
