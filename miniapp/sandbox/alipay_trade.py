"""alipay.trade.pay, query, cancel and close over the shared ledger of payments. Amounts inside are fen."""

from __future__ import annotations

import json
import re
import secrets
from datetime import timedelta
from typing import Any

from miniapp.sandbox import alipay_amounts as money
from miniapp.sandbox import alipay_people as people
from miniapp.sandbox import codes, payments
from miniapp.sandbox.alipay_answers import Answer, failed
from miniapp.sandbox.alipay_gateway import Call, Method
from miniapp.sandbox.doors import fault
from miniapp.sandbox.store import Row
from miniapp.sandbox.world import BEIJING, World, stamp, unstamp

# An order cancelled before it arrived stays closed: a payment that overtakes its own cancel is refused.
SCHEMA = """
CREATE TABLE IF NOT EXISTS alipay_cancelled (
    merchant TEXT NOT NULL, out_trade_no TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY (merchant, out_trade_no));
"""
CODE = re.compile(r"(25|26|27|28|29|30)\d{14,22}")
OUT_TRADE_NO = re.compile(r"[0-9A-Za-z_-]{1,64}")
LARGEST_FEN = 10_000_000_000
CANCEL_WINDOW = timedelta(hours=24)
OPTIONAL_LISTS = ("fund_bill_list", "voucher_detail_list", "mdiscount_amount")


def pay(call: Call) -> dict[str, Any]:
    """alipay.trade.pay with a code shown by a phone; idempotent by out_trade_no."""
    order = _order(call)
    with call.world.store.writing() as db:
        if _cancelled_before(call, order["out_trade_no"]):
            raise failed("ACQ.TRADE_HAS_CLOSE")
        known = find(call, out_trade_no=order["out_trade_no"])
        if known:
            _compare(known, order)
        if known and (known["state"] != "failed" or known["extra"].get("waited")):
            return _again(call, known, order)
        plan = _redeemed(call, order["auth_code"])
        if known:
            # An attempt that failed leaves the order open for another code.
            db.execute("DELETE FROM payments WHERE id = ?", (known["id"],))
        payment = _begun(call, order, plan)
    return _outcome(call, payment, plan.plan)


def query(call: Call) -> dict[str, Any]:
    """alipay.trade.query. Does not tell what was refunded."""
    payment = wanted(call)
    taken = fault()
    if taken and taken.word == "trade_not_exist":
        raise failed("ACQ.TRADE_NOT_EXIST")
    # An attempt refused at once left no trade behind; one that waited for its buyer did, and is closed.
    refused = payment["state"] == "failed" and not payment["extra"].get("waited")
    if refused or payments.hidden(call.world, payment):
        raise failed("ACQ.TRADE_NOT_EXIST")
    payment = payments.seen(call.world, payment)
    node = trade_node(call, payment)
    node |= {
        "trade_status": status(call.world, payment),
        "store_id": payment["store"],
        "terminal_id": payment["device"],
        "subject": payment["subject"],
        "buyer_user_type": "PRIVATE",
    }
    if payment["paid_at"]:
        node["send_pay_date"] = wall_clock(payment["paid_at"])
        node.pop("gmt_payment", None)
    return {name: value for name, value in node.items() if value != ""}


def cancel(call: Call) -> dict[str, Any]:
    """alipay.trade.cancel: closes what is unpaid, gives back what is paid; nothing known is no failure."""
    taken = fault()
    if taken and taken.word == "retry":
        return {"out_trade_no": call.text("out_trade_no"), "retry_flag": "Y"}
    with call.world.store.writing():
        payment = find(call, out_trade_no=call.text("out_trade_no"), trade_no=call.text("trade_no"))
        if payment is None:
            return _cancel_unknown(call)
        numbers = {"trade_no": payment["trade_no"], "out_trade_no": payment["out_trade_no"]}
        if payment["state"] in ("waiting", "failed"):
            payments.close(call.world, payment["id"])
            return {**numbers, "retry_flag": "N", "action": "close"}
        if payment["state"] == "closed":
            return {**numbers, "retry_flag": "N", "action": "close"}
        if payment["state"] == "paid":
            _give_all_back(call, payment)
        # Asked again, it names the same action: the caller may have lost the first answer.
        return {**numbers, "retry_flag": "N", "action": "refund"}


def close(call: Call) -> dict[str, Any]:
    """alipay.trade.close: unpaid orders only."""
    payment = wanted(call)
    if not payments.close(call.world, payment["id"]):
        raise failed("ACQ.TRADE_STATUS_ERROR")
    return {"trade_no": payment["trade_no"], "out_trade_no": payment["out_trade_no"]}


METHODS: dict[str, Method] = {
    "alipay.trade.pay": pay,
    "alipay.trade.query": query,
    "alipay.trade.cancel": cancel,
    "alipay.trade.close": close,
}


def find(call: Call, *, out_trade_no: str = "", trade_no: str = "") -> Row | None:
    """A payment of the calling app's seller."""
    return payments.find(
        call.world, "alipay", str(call.app["pid"]), out_trade_no=out_trade_no, trade_no=trade_no
    )


def wanted(call: Call) -> Row:
    """The trade a call names. Raises ACQ.INVALID_PARAMETER without a number, ACQ.TRADE_NOT_EXIST."""
    out_trade_no, trade_no = call.text("out_trade_no"), call.text("trade_no")
    if not out_trade_no and not trade_no:
        raise failed("ACQ.INVALID_PARAMETER", "out_trade_no与trade_no不能同时为空")
    payment = find(call, out_trade_no=out_trade_no, trade_no=trade_no)
    if payment is None:
        raise failed("ACQ.TRADE_NOT_EXIST")
    return payment


def divided(payment: Row) -> list[money.Part]:
    """How the payment's money was divided when it was made."""
    return [money.Part(**part) for part in payment["extra"].get("parts", [])]


def parts_of(refunded: Row) -> list[money.Part]:
    """How one refund or cancel was divided."""
    return [money.Part(**part) for part in refunded["extra"].get("parts", [])]


def left_of(world: World, payment: Row) -> list[money.Part]:
    """What of each part was not given back yet."""
    left = divided(payment)
    for earlier in payments.refunds_of(world, payment["id"]):
        left = money.subtract(left, parts_of(earlier))
    return left


def note_parts(world: World, refunded: Row, parts: list[money.Part], **more: str) -> Row:
    """Keeps a refund's division with it; returns the row as it stands then."""
    extra = {"parts": [vars(part) for part in parts], **more}
    world.store.update("refunds", refunded["id"], extra=json.dumps(extra, ensure_ascii=False))
    return {**refunded, "extra": extra}


def status(world: World, payment: Row) -> str:
    """trade_status; a trade given back in full is TRADE_CLOSED."""
    match payment["state"]:
        case "waiting":
            return "WAIT_BUYER_PAY"
        case "paid" if payments.refunded_fen(world, payment["id"]) < payment["amount_fen"]:
            return "TRADE_SUCCESS"
    return "TRADE_CLOSED"


def wall_clock(text: str) -> str:
    """A stored time as Alipay writes it."""
    return f"{unstamp(text).astimezone(BEIJING):%Y-%m-%d %H:%M:%S}"


def trade_node(call: Call, payment: Row) -> dict[str, Any]:
    """The fields that pay and query share."""
    parts = divided(payment)
    node: dict[str, Any] = {
        "trade_no": payment["trade_no"],
        "out_trade_no": payment["out_trade_no"],
        "buyer_logon_id": people.logon_id(call.world, payment["person"]),
        **people.identity(call.world, call.app, payment["person"], prefix="buyer_"),
    }
    if payment["state"] == "waiting":
        return {**node, "total_amount": money.yuan(payment["amount_fen"])}
    node |= {name: money.yuan(fen) for name, fen in money.amounts(parts).items()}
    node["fund_bill_list"] = money.fund_bill_list(parts)
    node["store_name"] = payment["extra"].get("store_name", "")
    vouchers = money.voucher_detail_list(parts)
    if vouchers:
        node["voucher_detail_list"] = vouchers
    if payment["paid_at"]:
        node["gmt_payment"] = wall_clock(payment["paid_at"])
    enterprise = payment["extra"].get("enterprise_pay_fen")
    if enterprise:
        node["enterprise_pay_info"] = {
            "is_use_enterprise_pay": True,
            "invoice_amount": money.yuan(int(enterprise)),
        }
    return _as_asked(call, node)


def _as_asked(call: Call, node: dict[str, Any]) -> dict[str, Any]:
    """Lists that newer accounts get only when `query_options` names them; `lists_by_option` of the app switches it."""
    if not call.app.get("lists_by_option"):
        return node
    options = call.biz.get("query_options") or []
    return {name: value for name, value in node.items() if name not in OPTIONAL_LISTS or name in options}


def _order(call: Call) -> dict[str, Any]:
    order = {
        name: call.text(name) for name in ("out_trade_no", "scene", "auth_code", "subject", "total_amount")
    }
    for name, value in order.items():
        if not value:
            raise failed("ACQ.INVALID_PARAMETER", f"{name}不能为空")
    if not OUT_TRADE_NO.fullmatch(order["out_trade_no"]):
        raise failed("ACQ.INVALID_PARAMETER", "out_trade_no格式不正确")
    if order["scene"] not in ("bar_code", "security_code", "wave_code"):
        raise failed("ACQ.INVALID_PARAMETER", "scene不支持")
    if len(order["subject"]) > 256 or any(mark in order["subject"] for mark in "/=&"):
        raise failed("ACQ.INVALID_PARAMETER", "subject过长或含有特殊字符")
    try:
        fen = money.fen_of(order["total_amount"])
    except ValueError:
        raise failed("ACQ.INVALID_PARAMETER", "total_amount格式不正确") from None
    if not 0 < fen <= LARGEST_FEN:
        raise failed("ACQ.TOTAL_FEE_EXCEED")
    for name, longest in (("operator_id", 28), ("store_id", 32), ("terminal_id", 32)):
        if len(call.text(name)) > longest:
            raise failed("ACQ.INVALID_PARAMETER", f"{name}过长")
    return {**order, "amount_fen": fen}


def _compare(known: Row, order: dict[str, Any]) -> None:
    if known["amount_fen"] != order["amount_fen"] or known["subject"] != order["subject"]:
        raise failed("ACQ.CONTEXT_INCONSISTENT")


def _again(call: Call, known: Row, order: dict[str, Any]) -> dict[str, Any]:
    if known["state"] in ("closed", "revoked", "failed"):
        raise failed("ACQ.TRADE_HAS_CLOSE")
    if known["extra"].get("auth_code_end") != order["auth_code"][-6:]:
        raise failed("ACQ.TRADE_HAS_SUCCESS" if known["state"] == "paid" else "ACQ.CONTEXT_INCONSISTENT")
    if known["state"] == "waiting":
        return _in_process(call, known)
    return trade_node(call, known)


def _redeemed(call: Call, code: str) -> codes.PaymentCode:
    if not CODE.fullmatch(code):
        raise failed("ACQ.PAYMENT_AUTH_CODE_INVALID")
    try:
        return codes.redeem(call.world, code, platform="alipay")
    except (codes.CodeUnknown, codes.CodeUsed, codes.CodeExpired):
        raise failed("ACQ.PAYMENT_AUTH_CODE_INVALID") from None


def _begun(call: Call, order: dict[str, Any], code: codes.PaymentCode) -> Row:
    plan = code.plan
    word, _, count = str(plan.get("outcome") or "paid").partition(":")
    word, count = _by_fault(word, count)
    parts = money.parts(
        total_fen=order["amount_fen"],
        discounts=_discounts(plan),
        wallet=plan.get("wallet") or "ALIPAYACCOUNT",
    )
    columns: dict[str, Any] = {
        "platform": "alipay",
        "merchant": str(call.app["pid"]),
        "app_id": call.app["app_id"],
        "out_trade_no": order["out_trade_no"],
        "trade_no": _trade_no(call.world),
        "person": code.person,
        "payer": next(iter(people.identity(call.world, call.app, code.person).values())),
        "amount_fen": order["amount_fen"],
        "merchant_discount_fen": money.sum_of(parts, money.MERCHANT_FUNDED),
        "platform_discount_fen": money.sum_of(parts, (*money.PLATFORM_FUNDED, "POINT")),
        "subject": order["subject"],
        "attach": call.text("passback_params"),
        "device": call.text("terminal_id"),
        "store": call.text("store_id"),
        "operator": call.text("operator_id"),
        "bank": str(plan.get("bank") or ""),
        "queries_left": int(count) if count else None,
        "hidden_queries": int(plan.get("hidden_queries") or 0),
        "extra": {
            "parts": [vars(part) for part in parts],
            "auth_code_end": code.code[-6:],
            "store_name": call.app.get("store_names", {}).get(call.text("store_id"), ""),
            "enterprise_pay_fen": plan.get("enterprise_pay_fen"),
            "then_fails": word == "payerror",
            "waited": word in ("userpaying", "payerror"),
        },
    }
    states = {"paid": "paid", "userpaying": "waiting", "payerror": "waiting"}
    return payments.start(call.world, state=states.get(word, "failed"), **columns)


def _by_fault(word: str, count: str) -> tuple[str, str]:
    """Faults of the door win over the phone's plan: `userpaying[:N]`, `payerror[:N]`."""
    taken = fault()
    if taken and taken.word in ("userpaying", "payerror"):
        return taken.word, taken.argument
    return word, count


def _discounts(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """The short fields of a plan and its list `discounts` of `{"funder", "amount_fen", "name"}`."""
    found = list(plan.get("discounts") or [])
    for name, funder in (
        ("merchant_discount_fen", "merchant"),
        ("platform_discount_fen", "platform"),
        ("point_fen", "point"),
    ):
        if plan.get(name):
            title = {"merchant": "商家优惠", "platform": "支付宝优惠", "point": ""}[funder]
            found.append({"funder": funder, "amount_fen": int(plan[name]), "name": title})
    return found


def _outcome(call: Call, payment: Row, plan: dict[str, Any]) -> dict[str, Any]:
    if payment["state"] == "paid":
        return trade_node(call, payment)
    if payment["state"] == "waiting":
        return _in_process(call, payment)
    word = str(plan.get("outcome"))
    raise failed(
        "ACQ.BUYER_BALANCE_NOT_ENOUGH" if word == "notenough" else f"ACQ.{word.removeprefix('ACQ.')}"
    )


def _in_process(call: Call, payment: Row) -> dict[str, Any]:
    raise Answer("10003", **trade_node(call, payment))


def _cancelled_before(call: Call, out_trade_no: str) -> bool:
    if call.world.faults.on("alipay.trades", "cancel_forgets"):
        return False
    row = call.world.store.row(
        "SELECT 1 FROM alipay_cancelled WHERE merchant = ? AND out_trade_no = ?",
        str(call.app["pid"]),
        out_trade_no,
    )
    return row is not None


def _cancel_unknown(call: Call) -> dict[str, Any]:
    out_trade_no = call.text("out_trade_no")
    if not out_trade_no:
        raise failed("ACQ.TRADE_NOT_EXIST")
    with call.world.store.writing() as db:
        db.execute(
            "INSERT OR IGNORE INTO alipay_cancelled (merchant, out_trade_no, at) VALUES (?, ?, ?)",
            (str(call.app["pid"]), out_trade_no, stamp(call.world.now())),
        )
    return {"out_trade_no": out_trade_no, "retry_flag": "N"}


def _give_all_back(call: Call, payment: Row) -> None:
    if unstamp(payment["created_at"]) < call.world.now() - CANCEL_WINDOW:
        raise failed("ACQ.TRADE_CANCEL_TIME_OUT")
    left = left_of(call.world, payment)
    fen = sum(part.fen for part in left)
    if not fen:
        return
    row, _ = payments.refund(call.world, payment, refund_no="", amount_fen=fen, kind="cancel", reason="撤销")
    note_parts(call.world, row, left)


def _trade_no(world: World) -> str:
    return f"{world.beijing():%Y%m%d}22001{secrets.randbelow(10**15):015d}"
