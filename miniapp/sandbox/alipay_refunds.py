"""alipay.trade.refund and fastpay.refund.query: cumulative amounts, one movement of money a request number."""

from __future__ import annotations

from typing import Any

from miniapp.sandbox import alipay_amounts as money
from miniapp.sandbox import alipay_people as people
from miniapp.sandbox import payments
from miniapp.sandbox.alipay_answers import failed
from miniapp.sandbox.alipay_gateway import Call, Method
from miniapp.sandbox.alipay_trade import left_of, note_parts, parts_of, wall_clock, wanted
from miniapp.sandbox.store import Row


def refund(call: Call) -> dict[str, Any]:
    """alipay.trade.refund. `refund_fee` is the trade's total so far; a repeat answers `fund_change` N."""
    try:
        fen = money.fen_of(call.text("refund_amount"))
    except ValueError:
        raise failed("ACQ.INVALID_PARAMETER", "refund_amount格式不正确") from None
    with call.world.store.writing():
        payment = wanted(call)
        request_no = _request_no(call, payment, fen)
        known = _known(call, payment, request_no)
        if known is None:
            known = _moved(call, payment, request_no, fen)
            change = "Y"
        else:
            change = "N"
            if known["amount_fen"] != fen:
                raise failed("ACQ.DISCORDANT_REPEAT_REQUEST")
        return _node(call, payment, known, change)


def refund_query(call: Call) -> dict[str, Any]:
    """alipay.trade.fastpay.refund.query. Without `refund_status` there is no such refund."""
    request_no = call.text("out_request_no")
    if not request_no:
        raise failed("ACQ.INVALID_PARAMETER", "out_request_no不能为空")
    payment = wanted(call)
    known = _known(call, payment, request_no)
    if known is None:
        return {}
    return {
        "trade_no": payment["trade_no"],
        "out_trade_no": payment["out_trade_no"],
        "out_request_no": request_no,
        "total_amount": money.yuan(payment["amount_fen"]),
        "refund_amount": money.yuan(known["amount_fen"]),
        "refund_status": "REFUND_SUCCESS",
        "send_back_fee": money.yuan(money.amounts(parts_of(known))["receipt_amount"]),
        "refund_detail_item_list": money.fund_bill_list(parts_of(known)),
        "gmt_refund_pay": wall_clock(known["done_at"]),
    }


METHODS: dict[str, Method] = {
    "alipay.trade.refund": refund,
    "alipay.trade.fastpay.refund.query": refund_query,
}


def _request_no(call: Call, payment: Row, fen: int) -> str:
    given = call.text("out_request_no")
    if len(given) > 64:
        raise failed("ACQ.INVALID_PARAMETER", "out_request_no过长")
    if not given and fen != payment["amount_fen"]:
        raise failed("ACQ.INVALID_PARAMETER", "部分退款必须传out_request_no")
    return given or payment["out_trade_no"]


def _known(call: Call, payment: Row, request_no: str) -> Row | None:
    rows = payments.refunds_of(call.world, payment["id"])
    return next((row for row in rows if row["kind"] == "refund" and row["refund_no"] == request_no), None)


def _moved(call: Call, payment: Row, request_no: str, fen: int) -> Row:
    if payment["state"] != "paid":
        raise failed("ACQ.TRADE_STATUS_ERROR")
    before = payments.refunded_fen(call.world, payment["id"])
    if fen <= 0 or before + fen > payment["amount_fen"]:
        raise failed("ACQ.REFUND_AMT_NOT_EQUAL_TOTAL")
    taken = money.refund_parts(left=left_of(call.world, payment), refund_fen=fen)
    row, _ = payments.refund(
        call.world, payment, refund_no=request_no, amount_fen=fen, reason=call.text("refund_reason")
    )
    return note_parts(
        call.world,
        row,
        taken,
        operator=call.text("operator_id"),
        store=call.text("store_id"),
        terminal=call.text("terminal_id"),
    )


def _node(call: Call, payment: Row, refunded: Row, change: str) -> dict[str, Any]:
    taken = money.amounts(parts_of(refunded))
    total = payments.refunded_fen(call.world, payment["id"])
    return {
        "trade_no": payment["trade_no"],
        "out_trade_no": payment["out_trade_no"],
        "buyer_logon_id": people.logon_id(call.world, payment["person"]),
        **people.identity(call.world, call.app, payment["person"], prefix="buyer_"),
        "fund_change": change,
        "refund_fee": money.yuan(total),
        "send_back_fee": money.yuan(taken["receipt_amount"]),
        "present_refund_buyer_amount": money.yuan(taken["buyer_pay_amount"]),
        "present_refund_discount_amount": money.yuan(taken["discount_amount"]),
        "present_refund_mdiscount_amount": money.yuan(taken["mdiscount_amount"]),
        "refund_detail_item_list": money.fund_bill_list(parts_of(refunded)),
        "gmt_refund_pay": wall_clock(refunded["done_at"]),
    }
