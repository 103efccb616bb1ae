"""`/wechat-pay/pay`: payment code (micropay), order query, open id of a code. Refunds are in `wechat_pay_back.py`."""

from __future__ import annotations

import json
import re
from typing import Any

from flask import Blueprint

from miniapp.sandbox import codes, payments, wechat_amounts, wechat_parties, wechat_pay_back
from miniapp.sandbox.doors import fault
from miniapp.sandbox.store import Row
from miniapp.sandbox.wechat_pay_wire import NUMBER, Call, Failed, Values, endpoint
from miniapp.sandbox.world import BEIJING, World, unstamp

STATES = {
    "waiting": ("USERPAYING", "用户支付中，需要输入密码"),
    "paid": ("SUCCESS", "支付成功"),
    "failed": ("PAYERROR", "支付失败，请撤销订单"),
    "closed": ("REVOKED", "订单已撤销"),
    "revoked": ("REVOKED", "订单已撤销"),
}
AGAIN = {"waiting": "USERPAYING", "paid": "ORDERPAID", "closed": "ORDERREVERSED", "revoked": "ORDERREVERSED"}


def blueprint(world: World) -> Blueprint:
    """The v2 doors of api.mch.weixin.qq.com."""
    bp = Blueprint("wechat_pay_v2", __name__, url_prefix="/wechat-pay")

    @endpoint(world, bp, "/pay/micropay", "wechat_pay.micropay")
    def micropay(call: Call) -> Values:
        return _micropay(world, call)

    @endpoint(world, bp, "/pay/orderquery", "wechat_pay.orderquery")
    def orderquery(call: Call) -> Values:
        payment = named(world, call)
        if payments.hidden(world, payment):
            raise Failed("ORDERNOTEXIST")
        return order(world, payments.seen(world, payment))

    @endpoint(world, bp, "/tools/authcodetoopenid", "wechat_pay.authcodetoopenid")
    def authcodetoopenid(call: Call) -> Values:
        row = world.store.row(
            "SELECT person FROM payment_codes WHERE code = ? AND platform = 'wechat' AND used_at IS NULL",
            call.fields.get("auth_code", ""),
        )
        if row is None:
            raise Failed("AUTH_CODE_INVALID")
        return {"openid": wechat_parties.open_id(world, row["person"], call.app_id)}

    wechat_pay_back.add(world, bp, named)
    return bp


def named(world: World, call: Call) -> Row:
    """The payment by transaction_id or out_trade_no. Raises Failed ORDERNOTEXIST or LACK_PARAMS."""
    trade_no, out_trade_no = call.fields.get("transaction_id", ""), call.fields.get("out_trade_no", "")
    if not trade_no and not out_trade_no:
        raise Failed("LACK_PARAMS", "缺少参数out_trade_no")
    found = payments.find(world, "wechat", call.merchant.mch_id, out_trade_no=out_trade_no, trade_no=trade_no)
    if found is None:
        raise Failed("ORDERNOTEXIST")
    return found


def order(world: World, payment: Row) -> Values:
    """A payment as orderquery tells it."""
    state, text = STATES[payment["state"]]
    kept = [row for row in payments.refunds_of(world, payment["id"]) if row["kind"] == "refund"]
    if state == "SUCCESS" and kept:
        state, text = "REFUND", "转入退款"
    head: Values = {"out_trade_no": payment["out_trade_no"], "trade_state": state, "trade_state_desc": text}
    if payment["paid_at"] is None:
        return head | {"attach": payment["attach"], "total_fee": payment["amount_fen"]}
    return head | paid(payment) | _coupons(payment)


def paid(payment: Row) -> Values:
    """The fields of a successful payment."""
    share = wechat_amounts.paid(payment)
    values: Values = {
        "openid": payment["payer"],
        "is_subscribe": payment["extra"].get("is_subscribe", "N"),
        "trade_type": "MICROPAY",
        "bank_type": payment["bank"],
        "fee_type": "CNY",
        "total_fee": share.gross,
        "cash_fee": share.cash,
        "cash_fee_type": "CNY",
        "transaction_id": payment["trade_no"],
        "out_trade_no": payment["out_trade_no"],
        "attach": payment["attach"],
        "device_info": payment["device"],
        "time_end": f"{unstamp(payment['paid_at']).astimezone(BEIJING):%Y%m%d%H%M%S}",
    }
    if share.merchant:
        values["settlement_total_fee"] = share.settlement
    if share.merchant or share.prefunded:
        values["coupon_fee"] = share.merchant + share.prefunded
        values["promotion_detail"] = _promotions(share)
    return values


def _micropay(world: World, call: Call) -> Values:
    _check_fields(call)
    try:
        return _charge(world, call)
    except payments.NumberTaken as taken:  # two at once: the first one counts
        raise _again(taken.payment, call) from None


def _check_fields(call: Call) -> None:
    call.need("body", "out_trade_no", "total_fee", "spbill_create_ip", "auth_code")
    if not NUMBER.fullmatch(call.fields["out_trade_no"]):
        raise Failed("PARAM_ERROR", "参数out_trade_no错误")
    for name, longest in (("body", 128), ("attach", 127), ("device_info", 32), ("detail", 6000)):
        if len(call.fields.get(name, "")) > longest:
            raise Failed("PARAM_ERROR", f"参数{name}长度错误")
    if call.fields.get("fee_type", "CNY") != "CNY":
        raise Failed("PARAM_ERROR", "参数fee_type错误")
    call.fen("total_fee")
    if not re.fullmatch(r"1[0-5]\d{16}", call.fields["auth_code"]):
        raise Failed("AUTH_CODE_ERROR")


def _charge(world: World, call: Call) -> Values:
    number = call.fields["out_trade_no"]
    earlier = payments.find(world, "wechat", call.merchant.mch_id, out_trade_no=number)
    if earlier is not None:
        raise _again(earlier, call)
    try:
        code = codes.redeem(world, call.fields["auth_code"], platform="wechat")
    except codes.CodeUnknown:
        raise Failed("AUTH_CODE_INVALID") from None
    except (codes.CodeUsed, codes.CodeExpired):
        raise Failed("AUTHCODEEXPIRE") from None
    outcome = _outcome(call, code.plan)
    payment = _start(world, call, code, outcome)
    if payment["state"] == "paid":
        _thank(world, call.app_id, code.person)
    word = outcome["say"]
    if word:
        raise Failed(word)
    return paid(payment)


def _outcome(call: Call, plan: dict[str, Any]) -> dict[str, Any]:
    """The state to begin in, the err_code to say, and how many queries pay it: the fault wins over the plan."""
    taken = fault()
    word, _, argument = str(plan.get("outcome", "")).partition(":")
    known = ("userpaying", "never", "payerror", "systemerror_but_paid", "bankerror_but_paid", "systemerror")
    if taken is not None and taken.word in known:
        word, argument = taken.word, taken.argument
    if not word and call.fen("total_fee") > call.merchant.password_above_fen:
        word = "userpaying"
    queries = int(argument) if argument else None
    match word:
        case "" | "paid":
            return {"state": "paid", "say": "", "queries": None, "then_fails": False}
        case "systemerror_but_paid" | "bankerror_but_paid":
            return {"state": "paid", "say": word.split("_")[0].upper(), "queries": None, "then_fails": False}
        case "userpaying" | "never":
            return {"state": "waiting", "say": "USERPAYING", "queries": queries, "then_fails": False}
        case "payerror":
            return {"state": "waiting", "say": "USERPAYING", "queries": queries or 1, "then_fails": True}
    return {"state": "failed", "say": word.upper(), "queries": None, "then_fails": False}


def _start(world: World, call: Call, code: codes.PaymentCode, outcome: dict[str, Any]) -> Row:
    scene = _json(call.fields.get("scene_info", "")).get("store_info") or {}
    account = wechat_parties.account_of_app(world, call.app_id)
    follows = account is not None and wechat_parties.follows(world, account.code, code.person)
    total = call.fen("total_fee")
    merchant_part = min(int(code.plan.get("merchant_discount_fen", 0)), total)
    platform_part = min(int(code.plan.get("platform_discount_fen", 0)), total - merchant_part)
    return payments.start(
        world,
        state=outcome["state"],
        seconds_ahead=float(code.plan.get("seconds_ahead", 0)),
        platform="wechat",
        merchant=call.merchant.mch_id,
        app_id=call.app_id,
        out_trade_no=call.fields["out_trade_no"],
        trade_no=payments.trade_no(world, "4200002468"),
        person=code.person,
        payer=wechat_parties.open_id(world, code.person, call.app_id),
        amount_fen=total,
        merchant_discount_fen=merchant_part,
        platform_discount_fen=platform_part,
        subject=call.fields["body"],
        attach=call.fields.get("attach", ""),
        device=call.fields.get("device_info", ""),
        store=str(scene.get("id", "")),
        bank=str(code.plan.get("bank", "OTHERS")),
        queries_left=outcome["queries"],
        hidden_queries=int(code.plan.get("hidden_queries", 0)),
        extra={"is_subscribe": "Y" if follows else "N", "then_fails": outcome["then_fails"]},
    )


def _again(earlier: Row, call: Call) -> Failed:
    """What a number says that was used before."""
    if earlier["amount_fen"] != call.fen("total_fee"):
        return Failed("OUT_TRADE_NO_USED")
    return Failed(AGAIN.get(earlier["state"], "OUT_TRADE_NO_USED"))


def _thank(world: World, app_id: str, person: str) -> None:
    account = wechat_parties.account_of_app(world, app_id)
    if account is not None and wechat_parties.follows(world, account.code, person):
        wechat_parties.earn_quota(world, account.code, person, "payment")


def _coupons(payment: Row) -> Values:
    share = wechat_amounts.paid(payment)
    parts = [(share.merchant, "NO_CASH"), (share.prefunded, "CASH")]
    found = [(amount, kind) for amount, kind in parts if amount]
    values: Values = {"coupon_count": len(found)} if found else {}
    for index, (amount, kind) in enumerate(found):
        values[f"coupon_type_{index}"] = kind
        values[f"coupon_id_{index}"] = f"{payment['id']:010d}{index}"
        values[f"coupon_fee_{index}"] = amount
    return values


def _promotions(share: wechat_amounts.Share) -> str:
    details = []
    for amount, kind, funder in (
        (share.merchant, "DISCOUNT", "merchant_contribute"),
        (share.prefunded, "COUPON", "wxpay_contribute"),
    ):
        if amount:
            contributions = {"wxpay_contribute": 0, "merchant_contribute": 0, "other_contribute": 0}
            detail = {
                "promotion_id": "109519",
                "name": "满减",
                "scope": "GLOBAL",
                "type": kind,
                "amount": amount,
            }
            details.append(detail | {"activity_id": "931386"} | contributions | {funder: amount})
    return json.dumps({"promotion_detail": details}, ensure_ascii=False, separators=(",", ":"))


def _json(text: str) -> dict[str, Any]:
    try:
        parsed = json.loads(text or "{}")
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
