"""Nuonuo (诺税通): issue a digital invoice, and ask for it by our own serial (``orderNo``)."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from urllib.parse import parse_qs

from miniapp.core import clock
from miniapp.invoices import channels as port
from miniapp.invoices.channels import Setting
from miniapp.platforms import http, nuonuo
from miniapp.platforms.http import NoAnswer
from miniapp.platforms.nuonuo import Answer, TokenRefused

PREFIX = "nuonuo.OpeMplatform."
SERIAL_LENGTH = 20
FILE_BYTES = 10_000_000
FILE_HOSTS = (".nuonuo.com", ".jss.com.cn", ".nuonuocs.cn", ".nntest.cn")
FILE_FIELDS = {"pdf": "pdfUrl", "ofd": "ofdUrl", "xml": "xmlUrl"}

_EXISTS = "E9106"
_NOT_FOUND = "E9500"
_BUSY = ("E9999",)
# Our settings or our sums: a person at our side has to look, the buyer can do nothing.
_OUR_FAULT = frozenset(
    [
        *("E9301", "E9302", "E9338", "E4000", "E9130", "E9131", "E9154"),
        *(f"E{number}" for number in range(9121, 9130)),
    ]
)
# Said of the content of one order, before anything is made of it.
_ORDER_REFUSED = re.compile(r"E91(0[1-5]|0[7-9]|1[0-9]|2[0-9]|3[0-9])")
_LINES = {"ordinary": "pc", "special": "bs"}
_OIL_CODES = "107010"  # refined oil: an invoice of its own kind, with litres or tonnes on every line
_ROWS = {"normal": "0", "discount": "1", "discounted": "2"}


class NuonuoChannel:
    """One company's account at Nuonuo."""

    SETTINGS = (
        Setting("app_key"),
        Setting("app_secret", secret=True),
        Setting("token_base", default="https://open.nuonuo.com"),
        Setting("api_base", default="https://sdk.nuonuo.com"),
        Setting("taxpayer_no"),
        Setting("clerk"),
    )
    not_found_is_final_after = timedelta(minutes=10)
    makes_real_invoices = True
    can_reverse = False
    file_kinds = ("pdf", "ofd", "xml")

    def __init__(self, settings: port.ChannelSettings) -> None:
        self._values = {one.name: settings.values.get(one.name) or one.default for one in self.SETTINGS}
        values = self._values
        self._wire = nuonuo.Nuonuo(
            values["app_key"],
            values["app_secret"],
            values["token_base"],
            values["api_base"],
            values["taxpayer_no"],
        )

    def issue(self, order: port.IssueOrder) -> port.Answer:
        if not 1 <= len(order.serial) <= SERIAL_LENGTH:
            raise ValueError("a serial has 1 to 20 characters here")
        answer = self._ask("requestBillingNew", {"order": _order(order, self._values["clerk"])})
        if not isinstance(answer, Answer):
            return answer
        if answer.code == "E0000":
            reference = answer.result.get("invoiceSerialNum", "") if isinstance(answer.result, dict) else ""
            return port.Accepted(str(reference), evidence=answer.body)
        if answer.code == _EXISTS:  # it has the serial from an earlier try
            return port.Accepted(reason="exists", evidence=answer.body)
        if answer.code in _OUR_FAULT:
            key = "channel.settings_wrong"
            return port.Refused(answer.code, key, answer.words, alarm=True, evidence=answer.body)
        if _ORDER_REFUSED.fullmatch(answer.code):
            return port.Refused(answer.code, "channel.order_refused", answer.words, evidence=answer.body)
        return port.Unknown("refused", answer.code, evidence=answer.body)

    def find(self, serial: str) -> port.Answer:
        answer = self._ask("queryInvoiceResult", {"orderNos": [serial], "isOfferInvoiceDetail": "0"})
        if not isinstance(answer, Answer):
            return answer
        if answer.code in (_NOT_FOUND, "E9611"):
            return port.NotFound(answer.body)
        if answer.code != "E0000":
            return port.Unknown("refused", answer.code, evidence=answer.body)
        listed = answer.result if isinstance(answer.result, list) else [answer.result]
        rows = [row for row in listed if isinstance(row, dict)]
        if not rows:
            return port.NotFound(answer.body)
        if any(row.get("orderNo") != serial for row in rows):  # a person looks at the evidence
            return port.Unknown("foreign_answer", evidence=answer.body)
        return _first([_state(serial, row, answer.body) for row in rows])

    def file(self, kind: str, done: port.Done) -> port.File | port.NoFile:
        address = done.files.get(kind, "")
        if not address:
            return port.NoFile("no_address", again=True)
        configured = (self._values["api_base"], self._values["token_base"])
        try:
            reply = http.fetch(address, configured=configured, public=FILE_HOSTS, answer_bytes=FILE_BYTES)
        except NoAnswer as none:
            return port.NoFile(none.reason, again=none.reason not in ("foreign_address", "private_address"))
        if reply.status != 200:
            return port.NoFile(f"http_{reply.status}", again=True)
        if _kind_of(reply.body) != kind:
            return port.NoFile("other_content", again=True)
        return port.File(kind, reply.body)

    def ready(self) -> port.Readiness:
        try:
            self._wire.token()
        except NoAnswer:
            return port.Readiness(False, "channel.not_answering")
        except TokenRefused:
            return port.Readiness(False, "channel.settings_wrong")
        return port.Readiness(True)

    def parse_notice(self, raw: bytes) -> str | None:
        try:
            form = parse_qs(raw.decode("utf-8"), keep_blank_values=True, max_num_fields=50)
            content = json.loads(form.get("content", ["{}"])[0])
            named = content.get("c_orderno") or content.get("cOrderno")
            serial = form.get("orderno", [named])[0] or named
        except (ValueError, AttributeError, RecursionError):
            return None
        if not isinstance(serial, str) or not re.fullmatch(r"[0-9A-Za-z_-]{1,64}", serial):
            return None
        return serial

    def notice_reply(self) -> tuple[str, bytes]:
        return "application/json", b'{"status":"0000","message":"ok"}'

    def _ask(self, method: str, content: Mapping[str, Any]) -> Answer | port.Unknown:
        try:
            return self._wire.call(PREFIX + method, content)
        except NoAnswer as none:
            return port.Unknown(none.reason, sent=none.sent)
        except TokenRefused as no:  # our key, or asked too often: the order waits, ready() says why
            return port.Unknown("no_token", no.code, sent=False)


def _order(order: port.IssueOrder, clerk: str) -> dict[str, Any]:
    """The order as the platform wants it: every value is text, and pushMode says that nobody is written to."""
    buyer, seller = order.buyer, order.seller
    fields = {
        "buyerName": buyer.name,
        "buyerTaxNum": buyer.taxpayer_no,
        "buyerAddress": buyer.address,
        "buyerTel": buyer.phone,
        "buyerAccount": f"{buyer.bank} {buyer.account}".strip(),
        "salerTaxNum": seller.taxpayer_no,
        "salerTel": seller.phone,
        "salerAddress": seller.address,
        "salerAccount": seller.bank_account,
        "orderNo": order.serial,
        "invoiceDate": order.ordered_at.astimezone(clock.BEIJING).strftime("%Y-%m-%d %H:%M:%S"),
        "clerk": order.clerk or clerk,
        "remark": order.remark[:200],
        "callBackUrl": order.callback_url,
    }
    fixed = {
        "pushMode": "-1",
        "invoiceType": "1",
        "invoiceLine": _LINES[order.invoice_kind],
        "naturalPersonFlag": "1" if buyer.title_type == "natural_person" else "0",
        "naturalPersonVerifyFlag": "0",
        "taxNumVerifyFlag": "0",
    }
    if all(line.tax_category_code.startswith(_OIL_CODES) for line in order.lines):
        fixed["specificFactor"] = "1"
    lines = [_line(line) for line in order.lines]
    return {**{name: text for name, text in fields.items() if text}, **fixed, "invoiceDetail": lines}


def _line(line: port.Line) -> dict[str, str]:
    """One row, all three amounts always sent; price and quantity come together or not at all."""
    fields = {
        "goodsName": line.name,
        "goodsCode": line.tax_category_code,
        "unit": line.unit,
        "specType": line.specification,
    }
    if line.quantity and line.row != "discount":
        fields |= {"num": line.quantity, "price": line.price or _price(line)}
    return {
        **{name: text for name, text in fields.items() if text},
        "withTaxFlag": "0",
        "taxRate": line.tax_rate,
        "taxIncludedAmount": _yuan(line.total_fen),
        "taxExcludedAmount": _yuan(line.net_fen),
        "tax": _yuan(line.tax_fen),
        "invoiceLineProperty": _ROWS[line.row],
    }


def _price(line: port.Line) -> str:
    """Net price of one unit, eight decimals: what the channel multiplies back to the net amount."""
    price = Decimal(line.net_fen) / 100 / Decimal(line.quantity)
    return str(price.quantize(Decimal("0.00000001"), ROUND_HALF_UP))


def _first(states: list[port.Answer]) -> port.Answer:
    """Several rows for one serial: the invoice issued first; else what is still open; refused only if all are."""
    done = [state for state in states if isinstance(state, port.Done)]
    if done:
        done.sort(key=lambda one: (one.issued_at is None, one.issued_at))
        others = tuple(one.invoice_no for one in done[1:] if one.invoice_no != done[0].invoice_no)
        return replace(done[0], other_numbers=others)
    still_open = [state for state in states if not isinstance(state, port.Refused)]
    return (still_open or states)[0]


def _state(serial: str, row: Mapping[str, Any], evidence: bytes) -> port.Answer:
    status = str(row.get("status", ""))
    reference = str(row.get("serialNo") or "")
    if status in ("20", "21", "24"):  # issuing; signing; signing failed, which is signed again
        return port.Accepted(reference, reason=f"status_{status}", evidence=evidence)
    if status == "22":
        words = str(row.get("failCause") or row.get("statusMsg") or "")
        return port.Refused("22", "channel.issuing_failed", words, evidence=evidence)
    if status != "2":
        return port.Unknown("unknown_state", status, evidence=evidence)
    number = str(row.get("allElectronicInvoiceNumber") or row.get("invoiceNo") or "")
    if not re.fullmatch(r"[0-9]{20}", number):
        return port.Unknown("no_number", evidence=evidence)
    try:
        total, tax = _fen(row.get("orderAmount")), _fen(row["taxAmount"]) if row.get("taxAmount") else None
    except ValueError:
        return port.Unknown("unreadable", evidence=evidence)
    return port.Done(
        serial=serial,
        invoice_no=number,
        issued_at=_from_milliseconds(row.get("invoiceTime")),
        buyer_name=str(row.get("payerName") or ""),
        buyer_taxpayer_no=str(row.get("payerTaxNo") or ""),
        seller_taxpayer_no=str(row.get("salerTaxNum") or row.get("saletaxnum") or ""),
        total_fen=total,
        tax_fen=tax,
        files={kind: str(row[name]) for kind, name in FILE_FIELDS.items() if row.get(name)},
        channel_ref=reference,
        evidence=evidence,
    )


def _kind_of(content: bytes) -> str:
    if content[:5] == b"%PDF-":
        return "pdf"
    if content[:4] == b"PK\x03\x04":
        return "ofd"
    return "xml" if content.lstrip(b"\xef\xbb\xbf \r\n\t")[:1] == b"<" else ""


def _yuan(fen: int) -> str:
    sign = "-" if fen < 0 else ""
    return f"{sign}{abs(fen) // 100}.{abs(fen) % 100:02d}"


def _fen(value: object) -> int:
    """Fen of a wire amount (text, or a JSON number with at most two places). Raises ValueError."""
    text = str(value)
    if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,2}0*)?", text):
        raise ValueError("not an amount")
    whole, _, part = text.partition(".")
    return int(whole) * 100 + int(part[:2].ljust(2, "0"))


def _from_milliseconds(value: object) -> datetime | None:
    text = str(value)
    if not re.fullmatch(r"[0-9]{10,14}", text):
        return None
    return datetime.fromtimestamp(int(text) / 1000, UTC)


KIND = NuonuoChannel
