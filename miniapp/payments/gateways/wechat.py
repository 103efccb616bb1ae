"""WeChat Pay: code payments by v2 (micropay), bills by v3."""

import gzip
import hashlib
import json
import zlib
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from io import BytesIO
from typing import Any

from miniapp.core import clock
from miniapp.payments import gateways as port
from miniapp.payments.gateways import Setting, Tender
from miniapp.platforms import http, wechat_pay_v2, wechat_pay_v3
from miniapp.platforms.http import NoAnswer
from miniapp.platforms.wechat_pay_v2 import Answer, Denied
from miniapp.platforms.wechat_pay_v3 import Rejected

CHARGE_SECONDS = 8.0
CALL_SECONDS = 3.0
REFUND_SECONDS = 6.0
BILL_BYTES = 512_000_000
BILL_IS_DUE = time(10, 0)  # of the next day, Beijing

# err_code -> message key. The code was refused: a new code and a new number are needed.
_CHARGE_REFUSED = {
    "AUTHCODEEXPIRE": "gateway.code_expired",
    "AUTH_CODE_ERROR": "gateway.code_invalid",
    "AUTH_CODE_INVALID": "gateway.code_invalid",
    "NOTENOUGH": "gateway.not_enough",
    "NOTSUPORTCARD": "gateway.card_not_supported",
    "TRADE_ERROR": "gateway.trade_refused",
    "BUYER_MISMATCH": "gateway.payer_differs",
    "ORDERCLOSED": "gateway.order_closed",
    "ORDERREVERSED": "gateway.order_closed",
}
_OUR_FAULT = frozenset(
    [
        "NOAUTH",
        "PARAM_ERROR",
        "LACK_PARAMS",
        "SIGNERROR",
        "XML_FORMAT_ERROR",
        "APPID_NOT_EXIST",
        "MCHID_NOT_EXIST",
        "APPID_MCHID_NOT_MATCH",
        "INVALID_REQUEST",
        "NOT_UTF8",
        "REQUIRE_POST_METHOD",
    ]
)
_REFUND_REFUSED = {
    "NOTENOUGH": "gateway.merchant_not_enough",
    "USER_ACCOUNT_ABNORMAL": "gateway.refund_account_closed",
    "TRADE_OVERDUE": "gateway.refund_too_late",
    "REFUND_FEE_MISMATCH": "gateway.refund_differs",
    "INVALID_TRANSACTIONID": "gateway.refund_refused",
    "ORDERNOTEXIST": "gateway.refund_refused",
    "ERROR": "gateway.refund_refused",
}


class WechatGateway:
    """One WeChat merchant account."""

    SETTINGS = (
        Setting("api_v2_key", secret=True),
        Setting("api_v3_key", secret=True, required=False),
        Setting("cert_serial"),
        Setting("merchant_key", secret=True),
        Setting("merchant_cert", secret=True, required=False),
        Setting("platform_key"),
        Setting("platform_key_id"),
    )
    hides_partial_refunds = False

    def __init__(self, settings: port.MerchantSettings) -> None:
        self._settings = settings
        self._v2 = wechat_pay_v2.WechatPayV2(
            settings.app_id,
            settings.merchant_no,
            settings.api_v2_key,
            settings.api_base,
            client_cert=settings.merchant_cert,
            client_key=settings.merchant_key,
        )
        self._v3 = wechat_pay_v3.WechatPayV3(
            settings.merchant_no,
            settings.cert_serial,
            settings.merchant_key,
            settings.platform_key,
            settings.platform_key_id,
            settings.api_base,
        )

    def charge(self, order: port.ChargeOrder, payment_code: str) -> port.ChargeAnswer:
        fields = {
            "out_trade_no": order.out_trade_no,
            "total_fee": str(order.amount_fen),
            "fee_type": "CNY",
            "body": _clean(order.subject, 127) or "-",
            "device_info": _clean(order.terminal, 32),
            "attach": _clean("|".join((order.store, order.terminal, order.operator)), 127),
            "spbill_create_ip": order.client_address,
            "auth_code": payment_code,
        }
        answer = self._ask("/pay/micropay", fields, CHARGE_SECONDS, secret=payment_code)
        if isinstance(answer, port.Unknown):
            return answer
        if answer.went_well:
            return _paid(answer.fields, order.out_trade_no, "SUCCESS", answer.body)
        return _charge_refused(answer)

    def query(self, out_trade_no: str) -> port.QueryAnswer:
        answer = self._ask("/pay/orderquery", {"out_trade_no": out_trade_no}, CALL_SECONDS)
        if isinstance(answer, port.Unknown):
            return answer
        if not answer.went_well:
            if answer.error == "ORDERNOTEXIST":
                return port.NotFound(answer.body)
            return port.Unknown("refused", answer.error, evidence=answer.body)
        return _order_state(answer, out_trade_no)

    def cancel(self, out_trade_no: str) -> port.CancelAnswer:
        fields = {"out_trade_no": out_trade_no}
        answer = self._ask("/secapi/pay/reverse", fields, REFUND_SECONDS, mutual=True)
        if isinstance(answer, port.Unknown):
            return answer
        recall = answer.fields.get("recall") == "Y"
        if recall or answer.error in ("SYSTEMERROR", "USERPAYING", "FREQUENCY_LIMITED"):
            return port.CancelAgain(answer.error, answer.body)
        if answer.went_well:
            return port.Cancelled("unsaid", answer.body)
        if answer.error == "ORDERNOTEXIST":
            return port.NotFound(answer.body)
        return _failed(answer, "gateway.cancel_refused", final=False)

    def refund(self, order: port.RefundOrder) -> port.RefundAnswer:
        fields = {
            "out_trade_no": order.out_trade_no,
            "out_refund_no": order.out_refund_no,
            "total_fee": str(order.total_fen),
            "refund_fee": str(order.refund_fen),
            "refund_desc": _clean(order.reason, 80),
        }
        answer = self._ask("/secapi/pay/refund", fields, REFUND_SECONDS, mutual=True)
        if isinstance(answer, port.Unknown):
            return answer
        if answer.went_well:
            return port.Refunding(answer.fields.get("refund_id", ""), answer.body)
        if answer.error in _REFUND_REFUSED:
            return _failed(answer, _REFUND_REFUSED[answer.error], final=True)
        if answer.error in _OUR_FAULT:
            return _failed(answer, "gateway.settings_wrong", final=True, alarm=True)
        return port.Unknown("refused", answer.error, evidence=answer.body)

    def query_refund(self, out_trade_no: str, out_refund_no: str) -> port.RefundAnswer:
        answer = self._ask("/pay/refundquery", {"out_refund_no": out_refund_no}, CALL_SECONDS)
        if isinstance(answer, port.Unknown):
            return answer
        if not answer.went_well:
            if answer.error == "REFUNDNOTEXIST":
                return port.NotFound(answer.body)
            return port.Unknown("refused", answer.error, evidence=answer.body)
        return _refund_state(answer, out_trade_no, out_refund_no)

    def refunds_of(self, out_trade_no: str) -> dict[str, port.RefundAnswer] | port.Unknown:
        answer = self._ask("/pay/refundquery", {"out_trade_no": out_trade_no}, CALL_SECONDS)
        if isinstance(answer, port.Unknown):
            return answer
        if answer.error == "REFUNDNOTEXIST":
            return {}
        fields = answer.fields
        numbers = [fields[f"out_refund_no_{n}"] for n in range(50) if f"out_refund_no_{n}" in fields]
        told = {fields.get("refund_count", ""), fields.get("total_refund_count", str(len(numbers)))}
        if not answer.went_well or told != {str(len(numbers))}:
            return port.Unknown("refused", answer.error, evidence=answer.body)
        return {number: _refund_state(answer, out_trade_no, number) for number in numbers}

    def fetch_bill(self, bill_date: date) -> port.BillAnswer:
        query = f"bill_date={bill_date.isoformat()}&bill_type=ALL&tar_type=GZIP"
        try:
            where = self._v3.get(f"/v3/bill/tradebill?{query}")
            packed = self._v3.download(str(where.get("download_url", "")), answer_bytes=BILL_BYTES)
        except NoAnswer as none:
            return port.Unknown(none.reason, sent=none.sent)
        except Rejected as no:
            return _no_bill(no, bill_date)
        try:
            content = _unpacked(packed)
        except (OSError, EOFError, zlib.error):
            return port.Unknown("bad_archive")
        digest = hashlib.sha1(content).hexdigest()  # noqa: S324 - the platform's own scheme
        if where.get("hash_type") != "SHA1" or digest != str(where.get("hash_value", "")).lower():
            return port.Unknown("hash_differs")
        name = f"{self._settings.merchant_no}All{bill_date.isoformat()}.csv"
        return port.FetchedBill(bill_date, content, name, hash_checked=True)

    def _ask(
        self, path: str, fields: Mapping[str, str], seconds: float, *, mutual: bool = False, secret: str = ""
    ) -> Answer | port.Unknown:
        try:
            answer = self._v2.call(path, fields, read_seconds=seconds, mutual=mutual)
        except NoAnswer as none:
            return port.Unknown(none.reason, sent=none.sent)
        except Denied as denied:
            return port.Unknown("denied", evidence=http.redact(denied.body, secret))
        if not secret:
            return answer
        # Some refusals repeat what was sent.
        clean = {name: value.replace(secret, "***") for name, value in answer.fields.items()}
        return Answer(clean, http.redact(answer.body, secret))


def _charge_refused(answer: Answer) -> port.ChargeAnswer:
    error, evidence = answer.error, answer.body
    words = answer.fields.get("err_code_des", "")
    if error == "USERPAYING":
        return port.Waiting(evidence)
    if error in _CHARGE_REFUSED:
        return port.Failed(error, _CHARGE_REFUSED[error], final=True, words=words, evidence=evidence)
    if error in _OUR_FAULT:
        key = "gateway.settings_wrong"
        return port.Failed(error, key, final=True, words=words, evidence=evidence, alarm=True)
    # SYSTEMERROR and BANKERROR may have been paid, ORDERPAID and OUT_TRADE_NO_USED have a history: ask.
    return port.Unknown("refused", error, evidence=evidence)


def _order_state(answer: Answer, out_trade_no: str) -> port.QueryAnswer:
    state = answer.fields.get("trade_state", "")
    if answer.fields.get("out_trade_no", out_trade_no) != out_trade_no:
        return port.Unknown("foreign_answer", evidence=answer.body)
    if state in ("SUCCESS", "REFUND"):
        paid = _paid(answer.fields, out_trade_no, state, answer.body)
        if state == "REFUND" and isinstance(paid, port.Paid):
            return port.PartlyRefunded(paid, answer.body)
        return paid
    if state in ("USERPAYING", "NOTPAY", "ACCEPT"):
        return port.Waiting(answer.body)
    if state == "CLOSED":
        return port.Closed(answer.body)
    if state == "REVOKED":
        return port.Revoked(answer.body)
    if state == "PAYERROR":  # "please revoke the order": nothing was paid, the order is still open
        words = answer.fields.get("trade_state_desc", "")
        return port.Failed(state, "gateway.trade_refused", final=False, words=words, evidence=answer.body)
    return port.Unknown("unknown_state", state, evidence=answer.body)


def _paid(
    fields: Mapping[str, str], out_trade_no: str, state: str, evidence: bytes
) -> port.Paid | port.Unknown:
    try:
        amount = _fen(fields["total_fee"])
        if fields["out_trade_no"] != out_trade_no or not fields["transaction_id"]:
            return port.Unknown("foreign_answer", evidence=evidence)
        open_id = fields.get("openid", "")
        return port.Paid(
            merchant_no=fields["mch_id"],
            out_trade_no=fields["out_trade_no"],
            platform_trade_no=fields["transaction_id"],
            amount_fen=amount,
            tenders=_tenders(fields, amount),
            payer=port.Payer(fields["appid"], open_id) if open_id else None,
            paid_at=_beijing(fields.get("time_end", ""), "%Y%m%d%H%M%S"),
            evidence=evidence,
            state=state,
        )
    except (KeyError, ValueError):
        return port.Unknown("unreadable", evidence=evidence)


def _tenders(fields: Mapping[str, str], amount: int) -> tuple[Tender, ...]:
    """Money first, then coupons by who funded them. The parts always are the amount: what is no cash is a coupon."""
    coupon = _fen(fields.get("coupon_fee") or "0")
    cash = min(amount, _fen(fields.get("cash_fee") or str(max(0, amount - coupon))))
    coupon = amount - cash
    merchant, platform = _coupon_funders(fields, amount, coupon)
    parts = (
        Tender("wallet", "customer", cash),
        Tender("coupon", "merchant", merchant),
        Tender("coupon", "platform", platform),
        Tender("coupon", "other", coupon - merchant - platform),
    )
    return tuple(part for part in parts if part.amount_fen)


def _coupon_funders(fields: Mapping[str, str], amount: int, coupon: int) -> tuple[int, int]:
    """(merchant, platform). The promotion detail says it; else what is not settled is the merchant's own."""
    detail = _promotions(fields.get("promotion_detail", ""))
    if detail is not None:
        merchant = sum(part.get("merchant_contribute", 0) for part in detail)
        platform = sum(part.get("wxpay_contribute", 0) for part in detail)
        if 0 < merchant + platform <= coupon and merchant >= 0 and platform >= 0:
            return merchant, platform
    settled = _fen(fields.get("settlement_total_fee") or str(amount))
    merchant = min(coupon, max(0, amount - settled))
    return merchant, coupon - merchant


def _promotions(text: str) -> list[dict[str, Any]] | None:
    try:
        found = json.loads(text)
        parts = found.get("promotion_detail", []) if isinstance(found, dict) else found
        names = ("merchant_contribute", "wxpay_contribute")
        return [{name: int(part.get(name) or 0) for name in names} for part in parts] or None
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None


def _refund_state(answer: Answer, out_trade_no: str, out_refund_no: str) -> port.RefundAnswer:
    fields, body = answer.fields, answer.body
    at = next((n for n in range(50) if fields.get(f"out_refund_no_{n}") == out_refund_no), None)
    if at is None or fields.get("out_trade_no", out_trade_no) != out_trade_no:
        return port.Unknown("foreign_answer", evidence=body)
    state, number = fields.get(f"refund_status_{at}", ""), fields.get(f"refund_id_{at}", "")
    if state == "PROCESSING":
        return port.Refunding(number, body)
    if state == "REFUNDCLOSE":
        return port.Failed(state, "gateway.refund_refused", final=True, evidence=body)
    if state == "CHANGE":  # the customer's account took nothing back: a person at the merchant platform
        return port.Failed(state, "gateway.refund_account_closed", final=False, evidence=body, alarm=True)
    if state != "SUCCESS":
        return port.Unknown("unknown_state", state, evidence=body)
    try:
        refund = _fen(fields[f"refund_fee_{at}"])
        tenders = _refund_tenders(fields, at, refund)
        refunded_at = _beijing(fields.get(f"refund_success_time_{at}", ""), "%Y-%m-%d %H:%M:%S")
    except (KeyError, ValueError):
        return port.Unknown("unreadable", evidence=body)
    return port.Refunded(out_refund_no, number, refund, tenders, refunded_at, body)


def _refund_tenders(fields: Mapping[str, str], at: int, refund: int) -> tuple[Tender, ...]:
    coupon = min(refund, _fen(fields.get(f"coupon_refund_fee_{at}") or "0"))
    settled = _fen(fields.get(f"settlement_refund_fee_{at}") or str(refund))
    merchant = min(coupon, max(0, refund - settled))
    parts = (
        Tender("wallet", "customer", refund - coupon),
        Tender("coupon", "merchant", merchant),
        Tender("coupon", "platform", coupon - merchant),
    )
    return tuple(part for part in parts if part.amount_fen)


def _no_bill(no: Rejected, bill_date: date) -> port.BillAnswer:
    if no.code == "STATEMENT_CREATING":
        return port.NotYet("creating")
    if no.code == "NO_STATEMENT_EXIST":
        due = datetime.combine(bill_date + timedelta(days=1), BILL_IS_DUE, clock.BEIJING)
        if clock.now() < due:
            return port.NotYet("not_due")
        return port.EmptyDay("no_statement", proved=False, evidence=no.body)
    if no.status == 429:
        return port.NotYet("throttled", wait_seconds=300)
    if no.status in (400, 401, 403):
        return port.Failed(no.code, "gateway.bill_refused", final=False, evidence=no.body, alarm=True)
    return port.Unknown("refused", no.code, evidence=no.body)


def _unpacked(packed: bytes) -> bytes:
    if packed[:2] != b"\x1f\x8b":
        return packed
    with gzip.GzipFile(fileobj=BytesIO(packed)) as stream:
        content = stream.read(BILL_BYTES + 1)
    if len(content) > BILL_BYTES:
        raise OSError("too large")
    return content


def _failed(answer: Answer, key: str, *, final: bool, alarm: bool = False) -> port.Failed:
    words = answer.fields.get("err_code_des", "")
    return port.Failed(answer.error, key, final=final, words=words, evidence=answer.body, alarm=alarm)


def _fen(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 11):
        raise ValueError("not an amount")
    return int(text)


def _beijing(text: str, form: str) -> datetime | None:
    try:
        local = datetime.strptime(text, form)  # noqa: DTZ007 - the zone follows
    except ValueError:
        return None
    return local.replace(tzinfo=clock.BEIJING).astimezone(UTC)


def _clean(text: str, limit: int) -> str:
    """What XML and the platform take: printable, at most so many bytes of UTF-8."""
    printable = "".join(sign for sign in text if sign.isprintable())
    return printable.encode("utf-8", "ignore")[:limit].decode("utf-8", "ignore").strip()


KIND = WechatGateway
