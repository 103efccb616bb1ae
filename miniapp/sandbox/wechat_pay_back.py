"""Giving back under v2: reverse, refund, refund query. The real doors of reverse and refund ask for mutual TLS."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

from flask import Blueprint

from miniapp.sandbox import payments, wechat_amounts
from miniapp.sandbox.doors import fault
from miniapp.sandbox.store import Row
from miniapp.sandbox.wechat_pay_wire import Call, Failed, Values, endpoint
from miniapp.sandbox.world import BEIJING, World, stamp, unstamp

STATUS = {"success": "SUCCESS", "processing": "PROCESSING", "closed": "REFUNDCLOSE"}
Named = Callable[[World, Call], Row]


def add(world: World, bp: Blueprint, named: Named) -> None:
    """Put the three doors on the blueprint; `named` finds the payment of a call."""

    @endpoint(world, bp, "/secapi/pay/reverse", "wechat_pay.reverse", certificate=True)
    def reverse(call: Call) -> Values:
        return _reverse(world, call, named)

    @endpoint(world, bp, "/secapi/pay/refund", "wechat_pay.refund", certificate=True)
    def refund(call: Call) -> Values:
        return _refund(world, call, named)

    @endpoint(world, bp, "/pay/refundquery", "wechat_pay.refundquery")
    def refundquery(call: Call) -> Values:
        return _refundquery(world, call, named)


def _reverse(world: World, call: Call, named: Named) -> Values:
    """Faults: `recall` and `recall_but_done` (call again), `lie` (success, nothing done)."""
    taken = fault()
    word = taken.word if taken else ""
    if word == "recall":
        raise Failed("SYSTEMERROR", recall="Y")
    if word == "lie":
        return {"recall": "N"}
    try:
        with world.store.writing():  # a person may answer the password box at the same time
            _undo(world, named(world, call))
    except Failed as failed:
        raise Failed(failed.err_code, failed.text, recall="N") from None
    if word == "recall_but_done":
        raise Failed("SYSTEMERROR", recall="Y")
    return {"recall": "N"}


def _undo(world: World, payment: Row) -> None:
    """Close what is not paid, give back what is; nothing for what is undone already."""
    if payment["created_at"] < stamp(world.now() - timedelta(days=7)):
        raise Failed("REVERSE_EXPIRE")
    if payment["state"] == "paid":
        if payments.refunds_of(world, payment["id"]):
            raise Failed("TRADE_ERROR", "订单已退款")
        payments.refund(world, payment, refund_no="", amount_fen=payment["amount_fen"], kind="cancel")
    elif payment["state"] in ("waiting", "failed"):
        payments.close(world, payment["id"])


def _refund(world: World, call: Call, named: Named) -> Values:
    """Faults: `processing` (until /control/refunds/finish), `processing:N` (N queries), `closes`, `systemerror_but_done`."""
    call.need("out_refund_no", "total_fee", "refund_fee")
    payment, amount = named(world, call), call.fen("refund_fee")
    _check_refund(world, call, payment)
    taken = fault()
    word = taken.word if taken else ""
    state = {"processing": "processing", "closes": "closed"}.get(word, "success")
    try:
        row, first = payments.refund(
            world,
            payment,
            refund_no=call.fields["out_refund_no"],
            amount_fen=amount,
            state=state,
            reason=call.fields.get("refund_desc", ""),
        )
    except payments.TooMuch:
        raise Failed("INVALID_REQUEST", "累计退款金额大于支付金额") from None
    if not first and row["amount_fen"] != amount:
        raise Failed("REFUND_FEE_MISMATCH")
    if first and taken is not None and word == "processing" and taken.argument:
        world.store.update("refunds", row["id"], extra=json.dumps({"queries": taken.number(1)}))
    if word == "systemerror_but_done":
        raise Failed("SYSTEMERROR")
    return _accepted(world, payment, row)


def _check_refund(world: World, call: Call, payment: Row) -> None:
    if payment["state"] != "paid":
        raise Failed("TRADE_STATE_ERROR", "订单状态不支持退款")
    if call.fen("total_fee") != payment["amount_fen"]:
        raise Failed("REFUND_FEE_MISMATCH")
    if payment["paid_at"] < stamp(world.now() - timedelta(days=365)):
        raise Failed("TRADE_OVERDUE")
    elsewhere = world.store.row(
        "SELECT 1 FROM refunds JOIN payments ON payments.id = payment_id WHERE refund_no = ? AND platform = 'wechat'"
        " AND merchant = ? AND payment_id <> ?",
        call.fields["out_refund_no"],
        call.merchant.mch_id,
        payment["id"],
    )
    if elsewhere:
        raise Failed("INVALID_REQUEST", "商户退款单号重复")
    if len(payments.refunds_of(world, payment["id"])) >= 50:
        raise Failed("INVALID_REQUEST", "部分退款次数超限")


def _accepted(world: World, payment: Row, row: Row) -> Values:
    share = wechat_amounts.given_back(payment, payments.refunds_of(world, payment["id"]))[row["id"]]
    whole = wechat_amounts.paid(payment)
    values: Values = {
        "transaction_id": payment["trade_no"],
        "out_trade_no": payment["out_trade_no"],
        "out_refund_no": row["refund_no"],
        "refund_id": row["platform_refund_no"],
        "refund_channel": "",
        "refund_fee": row["amount_fen"],
        "total_fee": whole.gross,
        "cash_fee": whole.cash,
        "cash_refund_fee": share.cash,
        "coupon_refund_fee": share.merchant + share.prefunded,
        "coupon_refund_count": bool(share.merchant) + bool(share.prefunded),
    }
    if whole.merchant:
        values["settlement_total_fee"] = whole.settlement
        values["settlement_refund_fee"] = share.settlement
    return values


def _refundquery(world: World, call: Call, named: Named) -> Values:
    payment, rows = _wanted(world, call, named)
    if not rows:
        raise Failed("REFUNDNOTEXIST")
    shares = wechat_amounts.given_back(payment, payments.refunds_of(world, payment["id"]))
    whole = wechat_amounts.paid(payment)
    values: Values = {
        "transaction_id": payment["trade_no"],
        "out_trade_no": payment["out_trade_no"],
        "total_fee": whole.gross,
        "cash_fee": whole.cash,
        "refund_count": len(rows),
        "refund_fee": sum(row["amount_fen"] for row in rows),
    }
    for index, row in enumerate(rows):
        values |= _line(index, _looked_at(world, row), shares[row["id"]])
    return values


def _wanted(world: World, call: Call, named: Named) -> tuple[Row, list[Row]]:
    """By refund_id, out_refund_no, transaction_id or out_trade_no, in this order."""
    for field, column in (("refund_id", "platform_refund_no"), ("out_refund_no", "refund_no")):
        if call.fields.get(field):
            found = world.store.row(
                f"SELECT refunds.id, payment_id FROM refunds JOIN payments ON payments.id = payment_id WHERE {column} = ?"  # noqa: S608
                " AND platform = 'wechat' AND merchant = ? AND kind = 'refund'",
                call.fields[field],
                call.merchant.mch_id,
            )
            if found is None:
                raise Failed("REFUNDNOTEXIST")
            rows = payments.refunds_of(world, found["payment_id"])
            return payments.by_id(world, found["payment_id"]), [r for r in rows if r["id"] == found["id"]]
    payment = named(world, call)
    rows = payments.refunds_of(world, payment["id"])
    return payment, [row for row in rows if row["kind"] == "refund"]


def _looked_at(world: World, row: Row) -> Row:
    """A refund under way arrives after so many looks, when that was asked for."""
    left = row["extra"].get("queries")
    if row["state"] != "processing" or left is None:
        return row
    world.store.update("refunds", row["id"], extra=json.dumps({"queries": left - 1}))
    return payments.finish_refund(world, row["id"], state="success") if left <= 1 else row


def _line(index: int, row: Row, share: wechat_amounts.Share) -> Values:
    values: Values = {
        f"out_refund_no_{index}": row["refund_no"],
        f"refund_id_{index}": row["platform_refund_no"],
        f"refund_channel_{index}": "ORIGINAL",
        f"refund_fee_{index}": row["amount_fen"],
        f"refund_status_{index}": STATUS[row["state"]],
        f"refund_account_{index}": "REFUND_SOURCE_UNSETTLED_FUNDS",
        f"refund_recv_accout_{index}": "支付用户零钱",
    }
    if share.merchant or share.prefunded:
        values[f"settlement_refund_fee_{index}"] = share.settlement
        values[f"coupon_refund_fee_{index}"] = share.merchant + share.prefunded
    if row["done_at"] and row["state"] == "success":
        done = unstamp(row["done_at"]).astimezone(BEIJING)
        values[f"refund_success_time_{index}"] = f"{done:%Y-%m-%d %H:%M:%S}"
    return values
