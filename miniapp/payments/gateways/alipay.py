"""Alipay face-to-face payments and the trade bill."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from miniapp.core import clock
from miniapp.payments import gateways as port
from miniapp.payments.gateways import Setting, Tender
from miniapp.platforms import alipay, http
from miniapp.platforms.alipay import Node
from miniapp.platforms.http import NoAnswer

CHARGE_SECONDS = 8.0
CALL_SECONDS = 3.0
REFUND_SECONDS = 6.0
BILL_BYTES = 256_000_000
BILL_IS_DUE = time(12, 0)  # of the next day, Beijing: "not there" says nothing before it
BILL_HOSTS = ("dwbillcenter.alipay.com", ".alipay.com", ".alipaydev.com")

# sub_code -> message key. Signed, these say that no money moved under the number.
_CHARGE_REFUSED = {
    "ACQ.PAYMENT_AUTH_CODE_INVALID": "gateway.code_expired",
    "ACQ.BUYER_BALANCE_NOT_ENOUGH": "gateway.not_enough",
    "ACQ.BUYER_BANKCARD_BALANCE_NOT_ENOUGH": "gateway.not_enough",
    "ACQ.TRADE_HAS_CLOSE": "gateway.order_closed",
    "ACQ.TOTAL_FEE_EXCEED": "gateway.limit_exceeded",
    "ACQ.ERROR_BUYER_CERTIFY_LEVEL_LIMIT": "gateway.trade_refused",
    "ACQ.PULL_MOBILE_CASHIER_FAIL": "gateway.trade_refused",
    "ACQ.EXIST_FORBIDDEN_WORD": "gateway.words_refused",
}
_OUR_FAULT = ("ACQ.INVALID_PARAMETER", "ACQ.ACCESS_FORBIDDEN")
_REFUND_REFUSED = {
    "ACQ.SELLER_BALANCE_NOT_ENOUGH": "gateway.merchant_not_enough",
    "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL": "gateway.refund_differs",
    "ACQ.DISCORDANT_REPEAT_REQUEST": "gateway.refund_differs",
    "ACQ.TRADE_NOT_EXIST": "gateway.refund_refused",
    "ACQ.TRADE_STATUS_ERROR": "gateway.refund_refused",
    "ACQ.TRADE_HAS_FINISHED": "gateway.refund_too_late",
    "ACQ.REASON_TRADE_BEEN_FREEZEN": "gateway.refund_refused",
}
# fund_channel -> (tender kind, funder); money of the customer's own is a wallet tender.
_CHANNELS = {
    "POINT": ("points", "platform"),
    "COUPON": ("coupon", "platform"),
    "DISCOUNT": ("coupon", "platform"),
    "MDISCOUNT": ("coupon", "merchant"),
    "MCOUPON": ("coupon", "merchant"),
    "PCARD": ("stored_value", "customer"),
    "MCARD": ("stored_value", "customer"),
    **dict.fromkeys(
        ("ALIPAYACCOUNT", "PCREDIT", "BANKCARD", "FINANCEACCOUNT", "DEBIT_CARD", "CREDIT_CARD"),
        ("wallet", "customer"),
    ),
}


class AlipayGateway:
    """One Alipay merchant account."""

    SETTINGS = (
        Setting("app_key", secret=True),
        Setting("platform_key"),
        Setting("account_no", required=False),
    )
    hides_partial_refunds = True

    def __init__(self, settings: port.MerchantSettings) -> None:
        self._settings = settings
        self._wire = alipay.Alipay(
            settings.app_id, settings.app_key, settings.platform_key, settings.api_base
        )

    def charge(self, order: port.ChargeOrder, payment_code: str) -> port.ChargeAnswer:
        content = {
            "out_trade_no": order.out_trade_no,
            "scene": "bar_code",
            "auth_code": payment_code,
            "product_code": "FACE_TO_FACE_PAYMENT",
            "subject": _subject(order.subject),
            "total_amount": _yuan(order.amount_fen),
            "store_id": order.store[:32],
            "terminal_id": order.terminal[:32],
            "operator_id": order.operator[:28],
            "timeout_express": "5m",
            "query_options": ["fund_bill_list"],
        }
        node = self._ask("alipay.trade.pay", _filled(content), CHARGE_SECONDS, secret=payment_code)
        if isinstance(node, port.Unknown):
            return node
        if node.code == "10000":
            return self._paid(node, order.out_trade_no, node.body)
        if node.code == "10003":
            return port.Waiting(node.body)
        return _charge_refused(node)

    def query(self, out_trade_no: str) -> port.QueryAnswer:
        content = {"out_trade_no": out_trade_no, "query_options": ["fund_bill_list"]}
        node = self._ask("alipay.trade.query", content, CALL_SECONDS)
        if isinstance(node, port.Unknown):
            return node
        if node.code != "10000":
            if node.sub_code == "ACQ.TRADE_NOT_EXIST":
                return port.NotFound(node.body)
            return port.Unknown("refused", node.sub_code or node.code, evidence=node.body)
        if node.text("out_trade_no") != out_trade_no:
            return port.Unknown("foreign_answer", evidence=node.body)
        return self._order_state(node, out_trade_no)

    def cancel(self, out_trade_no: str) -> port.CancelAnswer:
        node = self._ask("alipay.trade.cancel", {"out_trade_no": out_trade_no}, REFUND_SECONDS)
        if isinstance(node, port.Unknown):
            return node
        code = node.sub_code or node.code
        if node.text("retry_flag") == "Y" or code in ("20000", "ACQ.SYSTEM_ERROR", "aop.ACQ.SYSTEM_ERROR"):
            return port.CancelAgain(code, node.body)
        if node.code == "10000":
            action = node.text("action")
            return port.Cancelled(action if action in ("close", "refund") else "none", node.body)
        if node.sub_code == "ACQ.TRADE_NOT_EXIST":
            return port.NotFound(node.body)
        return _failed(node, "gateway.cancel_refused", final=False)

    def refund(self, order: port.RefundOrder) -> port.RefundAnswer:
        content = {
            "out_trade_no": order.out_trade_no,
            "out_request_no": order.out_refund_no,
            "refund_amount": _yuan(order.refund_fen),
            "refund_reason": order.reason[:256],
            "operator_id": order.operator[:28],
            "store_id": order.store[:32],
            "terminal_id": order.terminal[:32],
            "query_options": ["refund_detail_item_list"],
        }
        node = self._ask("alipay.trade.refund", _filled(content), REFUND_SECONDS)
        if isinstance(node, port.Unknown):
            return node
        if node.code == "10000":
            # refund_fee is the trade's total so far, and N is a repeat or nothing: only Y is this refund.
            if node.text("fund_change") != "Y" or node.text("out_trade_no") != order.out_trade_no:
                return port.Refunding(node.text("trade_no"), node.body)
            return _refunded(node, order.out_refund_no, order.refund_fen)
        if node.sub_code in _REFUND_REFUSED:
            return _failed(node, _REFUND_REFUSED[node.sub_code], final=True)
        if node.code in ("40001", "40002", "40003", "40006") or node.sub_code in _OUR_FAULT:
            return _failed(node, "gateway.settings_wrong", final=True, alarm=True)
        return port.Unknown("refused", node.sub_code or node.code, evidence=node.body)

    def query_refund(self, out_trade_no: str, out_refund_no: str) -> port.RefundAnswer:
        content = {
            "out_trade_no": out_trade_no,
            "out_request_no": out_refund_no,
            "query_options": ["refund_detail_item_list", "gmt_refund_pay"],
        }
        node = self._ask("alipay.trade.fastpay.refund.query", content, CALL_SECONDS)
        if isinstance(node, port.Unknown):
            return node
        if node.code != "10000":
            if node.sub_code == "ACQ.TRADE_NOT_EXIST":
                return port.NotFound(node.body)
            return port.Unknown("refused", node.sub_code or node.code, evidence=node.body)
        if not node.text("refund_status"):  # 10000 without a state: there is no such refund
            return port.NotFound(node.body)
        if node.text("out_request_no") != out_refund_no or node.text("out_trade_no") != out_trade_no:
            return port.Unknown("foreign_answer", evidence=node.body)
        if node.text("refund_status") != "REFUND_SUCCESS":
            return port.Refunding(node.text("trade_no"), node.body)
        try:
            refund = _fen(node.text("refund_amount"))
        except ValueError:
            return port.Unknown("unreadable", evidence=node.body)
        return _refunded(node, out_refund_no, refund)

    def refunds_of(self, out_trade_no: str) -> dict[str, port.RefundAnswer] | port.Unknown:
        return {}  # hides_partial_refunds: only a number that we know can be asked for

    def fetch_bill(self, bill_date: date) -> port.BillAnswer:
        content = {"bill_type": "trade", "bill_date": bill_date.isoformat()}
        node = self._ask("alipay.data.dataservice.bill.downloadurl.query", content, CALL_SECONDS)
        if isinstance(node, port.Unknown):
            return node
        if node.code != "10000":
            return _no_bill(node, bill_date)
        if node.text("bill_file_code") == "EMPTY_DATA_WITH_BILL_FILE":
            return port.EmptyDay("empty_data", proved=True, evidence=node.body)
        try:
            reply = http.fetch(
                node.text("bill_download_url"),
                configured=(self._settings.api_base,),
                public=BILL_HOSTS,
                answer_bytes=BILL_BYTES,
            )
        except NoAnswer as none:
            return port.Unknown(none.reason, sent=none.sent)
        if reply.status != 200 or reply.body[:2] != b"PK":
            return port.Unknown("no_archive", str(reply.status))
        name = f"{self._settings.account_no or self._settings.merchant_no}_{bill_date:%Y%m%d}.zip"
        return port.FetchedBill(bill_date, reply.body, name)

    def _ask(
        self, method: str, content: Mapping[str, Any], seconds: float, *, secret: str = ""
    ) -> Node | port.Unknown:
        """A signed answer, or Unknown: an unsigned refusal is no ground for anything."""
        try:
            node = self._wire.call(method, content, read_seconds=seconds)
        except NoAnswer as none:
            return port.Unknown(none.reason, sent=none.sent)
        node = _without(secret, node) if secret else node
        if not node.signed:
            return port.Unknown("unsigned_refusal", node.sub_code or node.code, evidence=node.body)
        return node

    def _order_state(self, node: Node, out_trade_no: str) -> port.QueryAnswer:
        state = node.text("trade_status")
        if state in ("TRADE_SUCCESS", "TRADE_FINISHED"):
            return self._paid(node, out_trade_no, node.body)
        if state == "WAIT_BUYER_PAY":
            return port.Waiting(node.body)
        if state == "TRADE_CLOSED":
            return port.Closed(node.body, may_be_refunded=bool(node.text("send_pay_date")))
        return port.Unknown("unknown_state", state, evidence=node.body)

    def _paid(self, node: Node, out_trade_no: str, evidence: bytes) -> port.Paid | port.Unknown:
        if node.text("out_trade_no") != out_trade_no or not node.text("trade_no"):
            return port.Unknown("foreign_answer", evidence=evidence)
        try:
            amount = _fen(node.text("total_amount"))
            tenders = _tenders(node, amount)
        except ValueError:
            return port.Unknown("unreadable", evidence=evidence)
        payer = node.text("buyer_open_id") or node.text("buyer_user_id")
        return port.Paid(
            merchant_no=self._settings.merchant_no,  # the answer is signed for our app; it names no account
            out_trade_no=out_trade_no,
            platform_trade_no=node.text("trade_no"),
            amount_fen=amount,
            tenders=tenders,
            payer=port.Payer(self._settings.app_id, payer) if payer else None,
            paid_at=_beijing(node.text("gmt_payment") or node.text("send_pay_date")),
            evidence=evidence,
            state=node.text("trade_status") or "TRADE_SUCCESS",
        )


def _without(secret: str, node: Node) -> Node:
    """The answer without the payment code: some refusals repeat what was sent."""
    values = {
        name: value.replace(secret, "***") if isinstance(value, str) else value
        for name, value in node.values.items()
    }
    return Node(values, node.signed, http.redact(node.body, secret))


def _charge_refused(node: Node) -> port.ChargeAnswer:
    evidence = node.body
    words, code = node.text("sub_msg") or node.text("msg"), node.sub_code or node.code
    if node.code in ("40001", "40002", "40003", "40006") or node.sub_code in _OUR_FAULT:
        key = "gateway.settings_wrong"
        return port.Failed(code, key, final=True, words=words, evidence=evidence, alarm=True)
    if node.code == "40005":
        return port.Failed(code, "gateway.throttled", final=True, words=words, evidence=evidence, alarm=True)
    if node.sub_code in _CHARGE_REFUSED:
        key = _CHARGE_REFUSED[node.sub_code]
        return port.Failed(code, key, final=True, words=words, evidence=evidence)
    return port.Unknown("refused", code, evidence=evidence)


def _tenders(node: Node, amount: int) -> tuple[Tender, ...]:
    """By fund channel where the list adds up to the amount, else by the answer's three amounts."""
    listed = _listed(node.values.get("fund_bill_list"))
    if listed and sum(part.amount_fen for part in listed) == amount:
        return _joined(listed)
    received = _fen(node.text("receipt_amount") or _yuan(amount))
    paid = _fen(node.text("buyer_pay_amount") or _yuan(received))
    if not 0 <= paid <= received <= amount:
        return (Tender("other", "other", amount),)
    return _joined(
        [
            Tender("wallet", "customer", paid),
            Tender("coupon", "merchant", amount - received),
            Tender("coupon", "platform", received - paid),
        ]
    )


def _listed(items: object) -> list[Tender]:
    """Tenders of a fund list (``fund_channel``, ``amount``); an unknown channel is other's money, not the customer's."""
    if not isinstance(items, list):
        return []
    found = []
    for item in items:
        if not isinstance(item, dict):
            return []
        kind, funder = _CHANNELS.get(str(item.get("fund_channel", "")), ("other", "other"))
        found.append(Tender(kind, funder, _fen(str(item.get("amount", "")))))
    return found


def _joined(parts: list[Tender]) -> tuple[Tender, ...]:
    sums: dict[tuple[str, str], int] = {}
    for part in parts:
        sums[part.kind, part.funder] = sums.get((part.kind, part.funder), 0) + part.amount_fen
    return tuple(Tender(kind, funder, fen) for (kind, funder), fen in sums.items() if fen)


def _refunded(node: Node, out_refund_no: str, refund_fen: int) -> port.RefundAnswer:
    try:
        tenders = _refund_tenders(node, refund_fen)
    except ValueError:
        tenders = ()
    refunded_at = _beijing(node.text("gmt_refund_pay"))
    number = node.text("trade_no")
    return port.Refunded(out_refund_no, number, refund_fen, tenders, refunded_at, node.body)


def _refund_tenders(node: Node, refund_fen: int) -> tuple[Tender, ...]:
    listed = _listed(node.values.get("refund_detail_item_list"))
    if listed and sum(part.amount_fen for part in listed) == refund_fen:
        return _joined(listed)
    if not node.text("present_refund_buyer_amount"):
        return ()
    parts = [
        Tender("wallet", "customer", _fen(node.text("present_refund_buyer_amount"))),
        Tender("coupon", "platform", _fen(node.text("present_refund_discount_amount") or "0")),
        Tender("coupon", "merchant", _fen(node.text("present_refund_mdiscount_amount") or "0")),
    ]
    return _joined(parts) if sum(part.amount_fen for part in parts) == refund_fen else ()


def _no_bill(node: Node, bill_date: date) -> port.BillAnswer:
    code = node.sub_code.upper()
    if code.endswith(("BILL_NOT_EXIST", "NO_BILL_DATA")):
        due = datetime.combine(bill_date + timedelta(days=1), BILL_IS_DUE, clock.BEIJING)
        if clock.now() < due:
            return port.NotYet("not_due")
        return port.EmptyDay("bill_not_exist", proved=False, evidence=node.body)
    if node.code == "40005":
        return port.NotYet("throttled", wait_seconds=300)
    if node.code == "20000" or code.endswith(("UNKNOW_ERROR", "SYSTEM_ERROR")):
        return port.Unknown("refused", node.sub_code, evidence=node.body)
    return _failed(node, "gateway.bill_refused", final=False, alarm=True)


def _failed(node: Node, key: str, *, final: bool, alarm: bool = False) -> port.Failed:
    words, code = node.text("sub_msg") or node.text("msg"), node.sub_code or node.code
    return port.Failed(code, key, final=final, words=words, evidence=node.body, alarm=alarm)


def _filled(content: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if value}


def _subject(text: str) -> str:
    """Up to 256 printable characters, none of those that the platform refuses."""
    clean = "".join(sign for sign in text if sign.isprintable() and sign not in "/=&")
    return clean[:256].strip() or "-"


def _yuan(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02d}"


def _fen(text: str) -> int:
    """Fen of a wire amount: digits, and at most two after the point. Raises ValueError."""
    if not re.fullmatch(r"[0-9]{1,10}(\.[0-9]{1,2})?", text):
        raise ValueError("not an amount")
    whole, _, part = text.partition(".")
    return int(whole) * 100 + int(part.ljust(2, "0"))


def _beijing(text: str) -> datetime | None:
    try:
        local = datetime.strptime(text[:19], "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 - the zone follows
    except ValueError:
        return None
    return local.replace(tzinfo=clock.BEIJING).astimezone(UTC)


KIND = AlipayGateway
