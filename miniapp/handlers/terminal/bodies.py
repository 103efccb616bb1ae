"""What the terminal door takes, as strict models: unknown keys are refused, amounts are whole fen, text is clean."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal, Self
from unicodedata import category, normalize

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    model_validator,
)

from miniapp.core.clock import now
from miniapp.payments.charging import ChargeAsked
from miniapp.payments.refunding import RefundAsked
from miniapp.payments.reports import Line, Original, Report
from miniapp.payments.rules import MAX_FEN, Part

AHEAD = timedelta(hours=1)
"""How far a till's clock may be in front of ours."""

_INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff]")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def _clean(value: str) -> str:
    """NFC, without zero-width and bidi controls; other controls and lone surrogates are refused."""
    if any(category(character) in ("Cc", "Cs") for character in value):
        raise ValueError("control characters")
    return normalize("NFC", _INVISIBLE.sub("", value)).strip()


@dataclass(frozen=True)
class Words:
    """Text for people: clean, of ``shortest`` to ``longest`` characters."""

    longest: int
    shortest: int = 0

    def check(self, value: str) -> str:
        clean = _clean(value)
        if not self.shortest <= len(clean) <= self.longest:
            raise ValueError(f"{self.shortest} to {self.longest} characters")
        return clean

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        return AfterValidator(self.check).__get_pydantic_core_schema__(source, handler)

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "minLength": self.shortest, "maxLength": self.longest}


@dataclass(frozen=True)
class Code:
    """A number or code: NFKC to ASCII, then one pattern."""

    pattern: str

    def check(self, value: str) -> str:
        plain = normalize("NFKC", value)
        if not re.fullmatch(self.pattern, plain, re.ASCII):
            raise ValueError(f"must match {self.pattern}")
        return plain

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        return AfterValidator(self.check).__get_pydantic_core_schema__(source, handler)

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "pattern": f"^{self.pattern}$"}


def _moment(value: Any) -> datetime:
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        raise ValueError("RFC 3339 with a zone")
    moment = datetime.fromisoformat(value.upper()).astimezone(UTC)
    if not datetime(2000, 1, 1, tzinfo=UTC) <= moment <= now() + AHEAD:
        raise ValueError("not in the future")
    return moment


def _day(value: Any) -> date:
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII):
        raise ValueError("YYYY-MM-DD")
    return date.fromisoformat(value)


Fen = Annotated[int, Field(ge=1, le=MAX_FEN)]
Moment = Annotated[datetime, BeforeValidator(_moment)]
Day = Annotated[date, BeforeValidator(_day)]
LineFen = Annotated[int, Field(ge=0, le=MAX_FEN)]
ChargeNo = Annotated[str, Code(r"[0-9A-Za-z_\-|*]{1,32}")]
Number = Annotated[str, Code(r"[0-9A-Za-z_\-|*.@]{1,64}")]
ShortNumber = Annotated[str, Code(r"[0-9A-Za-z]{1,12}")]
Rrn = Annotated[str, Code(r"[0-9A-Za-z]{1,20}")]
Operator = Annotated[str, Words(40)]


class Body(BaseModel):
    """What all models of the door share."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class LineBody(Body):
    """LINE: what was sold."""

    name: Annotated[str, Words(90, 1)]
    amount_fen: LineFen
    item_code: Annotated[str, Words(40)] | None = None
    quantity: Annotated[str, Code(r"\d{1,10}(\.\d{1,8})?")] | None = None
    unit: Annotated[str, Words(20)] | None = None
    tax_category_code: Annotated[str, Code(r"\d{19}")] | None = None
    tax_rate: Annotated[str, Code(r"0(\.\d{1,4})?")] | None = None

    def line(self) -> Line:
        return Line(
            name=self.name,
            amount_fen=self.amount_fen,
            item_code=self.item_code or "",
            quantity=self.quantity or "",
            unit=self.unit or "",
            tax_category_code=self.tax_category_code or "",
            tax_rate=self.tax_rate or "",
        )


class ChargeBody(Body):
    """``POST charges``."""

    out_trade_no: ChargeNo
    payment_code: Annotated[str, Field(pattern=r"^[0-9]{1,32}$", repr=False)]
    amount_fen: Fen
    subject: Annotated[str, Words(127)] | None = None
    lines: Annotated[list[LineBody], Field(max_length=200)] | None = None
    operator: Operator | None = None

    def asked(self) -> ChargeAsked:
        return ChargeAsked(
            out_trade_no=self.out_trade_no,
            payment_code=self.payment_code,
            amount_fen=self.amount_fen,
            subject=self.subject or "",
            lines=tuple(line.line() for line in self.lines or ()),
            operator=self.operator or "",
        )


class RefundBody(Body):
    """``POST refunds``."""

    out_trade_no: Number
    out_refund_no: Annotated[str, Code(r"[0-9A-Za-z_\-|*@]{1,64}")]
    refund_fen: Fen
    reason: Annotated[str, Words(80)] | None = None
    operator: Operator | None = None

    def asked(self) -> RefundAsked:
        return RefundAsked(
            out_trade_no=self.out_trade_no,
            out_refund_no=self.out_refund_no,
            refund_fen=self.refund_fen,
            reason=self.reason or "",
            operator=self.operator or "",
        )


class TenderBody(Body):
    """A part of the amount, and who funded it."""

    kind: Literal["wallet", "card", "cash", "stored_value", "coupon", "points", "other"]
    funder: Literal["customer", "merchant", "platform", "other"]
    amount_fen: Fen


class PayerBody(Body):
    """The payer as one app knows them."""

    app_id: Annotated[str, Code(r"[0-9A-Za-z_\-]{1,40}")]
    open_id: Annotated[str, Code(r"[0-9A-Za-z_\-]{1,128}")]


class OriginalBody(Body):
    """How a refund or revocation names its sale."""

    out_trade_no: Number | None = None
    platform_trade_no: Number | None = None
    rrn: Rrn | None = None
    terminal_batch_no: ShortNumber | None = None
    trace_no: ShortNumber | None = None
    occurred_on: Day | None = None

    def original(self) -> Original:
        return Original(
            out_trade_no=self.out_trade_no or "",
            platform_trade_no=self.platform_trade_no or "",
            rrn=self.rrn or "",
            terminal_batch_no=self.terminal_batch_no or "",
            trace_no=self.trace_no or "",
            occurred_on=self.occurred_on,
        )


class TransactionBody(Body):
    """One row of ``POST transactions``."""

    kind: Literal["sale", "refund", "revocation"]
    platform: Annotated[str, Code(r"[a-z][a-z0-9_]{1,19}")]
    amount_fen: Fen
    occurred_at: Moment
    out_trade_no: Number | None = None
    out_refund_no: Number | None = None
    original: OriginalBody | None = None
    platform_trade_no: Number | None = None
    tenders: Annotated[list[TenderBody], Field(max_length=20)] | None = None
    rrn: Rrn | None = None
    terminal_batch_no: ShortNumber | None = None
    trace_no: ShortNumber | None = None
    payer: PayerBody | None = None
    lines: Annotated[list[LineBody], Field(max_length=200)] | None = None
    operator: Operator | None = None

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        own = self.out_trade_no or self.rrn or (self.terminal_batch_no and self.trace_no)
        named = self.original and any(self.original.model_dump(exclude={"occurred_on"}).values())
        if not own and (self.kind == "sale" or not named):
            raise ValueError("out_trade_no, rrn or terminal_batch_no with trace_no")
        if self.kind == "sale" and (self.out_refund_no or self.original):
            raise ValueError("out_refund_no and original belong to refunds")
        return self

    def report(self) -> Report:
        return Report(
            kind=self.kind,
            platform=self.platform,
            amount_fen=self.amount_fen,
            occurred_at=self.occurred_at,
            out_trade_no=self.out_trade_no or "",
            out_refund_no=self.out_refund_no or "",
            original=self.original.original() if self.original else Original(),
            platform_trade_no=self.platform_trade_no or "",
            rrn=self.rrn or "",
            terminal_batch_no=self.terminal_batch_no or "",
            trace_no=self.trace_no or "",
            tenders=tuple(Part(part.kind, part.funder, part.amount_fen) for part in self.tenders or ()),
            payer_app_id=self.payer.app_id if self.payer else "",
            payer_open_id=self.payer.open_id if self.payer else "",
            lines=tuple(line.line() for line in self.lines or ()),
            operator=self.operator or "",
        )


class TransactionsBody(Body):
    """``POST transactions``: rows are checked one by one, so that a bad one refuses itself."""

    transactions: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=1000)]


class PowerBody(Body):
    """Where a terminal's power comes from."""

    source: Annotated[str, Words(20)] | None = None
    battery_percent: Annotated[int, Field(ge=0, le=100)] | None = None


class PrinterBody(Body):
    """How a terminal's printer is."""

    state: Annotated[str, Words(20)] | None = None
    reasons: Annotated[list[Annotated[str, Words(60)]], Field(max_length=20)] | None = None


class HeartbeatBody(Body):
    """``POST heartbeat``."""

    power: PowerBody | None = None
    network: Annotated[str, Words(40)] | None = None
    printer: PrinterBody | None = None
    app_version: Annotated[str, Words(40)] | None = None
    sent_at: Moment | None = None
