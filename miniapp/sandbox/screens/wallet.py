"""The wallet of a phone: the payment code, the password box, past payments, and slips to scan."""

from __future__ import annotations

import json
from typing import Any

from flask import Blueprint, Response, jsonify, request

from miniapp.sandbox import codes, payments
from miniapp.sandbox.screens import hosts
from miniapp.sandbox.screens.drawn_codes import bars, square
from miniapp.sandbox.screens.phone import account_code, person
from miniapp.sandbox.store import Row
from miniapp.sandbox.world import BEIJING, World, stamp, unstamp

# What the person's next payment does; see README.md, payment plans.
PLANS: dict[str, dict[str, Any]] = {
    "paid": {},
    "password": {"outcome": "userpaying"},
    "discount": {"platform_discount_fen": 500},
    "merchant_discount": {"merchant_discount_fen": 500},
    "not_enough": {"outcome": "notenough"},
    "lost": {"outcome": "systemerror_but_paid"},
}
ALIPAY_PLANS: dict[str, dict[str, Any]] = {
    **PLANS,
    "discount": {"discounts": [{"funder": "platform", "amount_fen": 500, "name": "平台红包"}]},
    "merchant_discount": {"discounts": [{"funder": "merchant", "amount_fen": 500, "name": "商家立减"}]},
    "not_enough": {"outcome": "BUYER_BALANCE_NOT_ENOUGH"},
}
STATES = {
    "waiting": "等待输入密码",
    "paid": "支付成功",
    "failed": "支付失败",
    "closed": "已关闭",
    "revoked": "已撤销",
}


def blueprint(world: World) -> Blueprint:
    """`/phone/api/code`, `/wallet`, `/answer`, `/slips`."""
    bp = Blueprint("wallet", __name__)

    @bp.post("/phone/api/code")
    def code() -> Response:
        entry = person(world)
        wallet = hosts.wallet_of(entry)
        plans = ALIPAY_PLANS if wallet == "alipay" else PLANS
        plan = plans.get(str(request.get_json().get("plan", "")), {})
        text = codes.issue(world, person=str(entry["code"]), platform=wallet, plan=plan)
        return jsonify(code=text, seconds=60, bars=bars(text), square=square(text))

    @bp.get("/phone/api/wallet")
    def wallet_now() -> Response:
        entry = person(world)
        return jsonify(_now(world, entry, hosts.wallet_of(entry), request.args.get("code", "")))

    @bp.post("/phone/api/answer")
    def answer() -> Response:
        given, entry = request.get_json(), person(world)
        number = int(given.get("payment", 0))
        is_own = any(row["id"] == number for row in payments.waiting_for(world, str(entry["code"])))
        done = is_own and payments.answer(world, number, accept=given.get("accept") is True)
        return jsonify(ok=done)

    @bp.get("/phone/api/slips")
    def slips() -> Response:
        entry = person(world)
        account = account_code(world, entry, hosts.wallet_of(entry))
        rows = world.store.rows("SELECT * FROM till_sales WHERE slip <> '' ORDER BY id DESC LIMIT 8")
        return jsonify([_slip(row, entry, account) for row in rows])

    @bp.post("/phone/api/open")
    def opened() -> Response:
        entry = person(world)
        account = account_code(world, entry, hosts.wallet_of(entry))
        url = str(request.get_json().get("url", "")).strip()
        is_web = url.startswith(("http://", "https://"))
        return jsonify(url=hosts.as_seen_by(entry, url, account=account) if is_web else "")

    return bp


def current_code(world: World, code: str, platform: str) -> str:
    """The code that a person's phone shows now, as a scanner reads it; a fresh one if none is shown."""
    oldest = stamp(world.now() - codes.LIFE)
    row = world.store.row(
        "SELECT code FROM payment_codes WHERE person = ? AND platform = ? AND used_at IS NULL AND issued_at > ?"
        " ORDER BY issued_at DESC LIMIT 1",
        code,
        platform,
        oldest,
    )
    return str(row["code"]) if row else codes.issue(world, person=code, platform=platform)


def _now(world: World, entry: Row, wallet: str, code: str) -> dict[str, Any]:
    used = world.store.row("SELECT used_at FROM payment_codes WHERE code = ?", code) if code else None
    rows = world.store.rows(
        "SELECT * FROM payments WHERE person = ? AND platform = ? ORDER BY id DESC LIMIT 10",
        str(entry["code"]),
        wallet,
    )
    bills = [_bill(world, row) for row in rows]
    waiting = next((bill for bill in bills if bill["state"] == "waiting"), None)
    return {"used": bool(used and used["used_at"]), "waiting": waiting, "bills": bills}


def _bill(world: World, row: Row) -> dict[str, Any]:
    refunded = payments.refunded_fen(world, int(row["id"])) if row["state"] != "revoked" else 0
    discount = row["merchant_discount_fen"] + row["platform_discount_fen"]
    return {
        "id": row["id"],
        "state": row["state"],
        "words": STATES[row["state"]] + (f"，已退 ¥{refunded / 100:.2f}" if refunded else ""),
        "yuan": f"{row['amount_fen'] / 100:.2f}",
        "paid_yuan": f"{(row['amount_fen'] - discount) / 100:.2f}",
        "subject": row["subject"] or "商户消费",
        "time": f"{unstamp(row['paid_at'] or row['created_at']).astimezone(BEIJING):%m-%d %H:%M}",
        "trade_no": row["trade_no"],
        "out_trade_no": row["out_trade_no"],
    }


def _slip(row: Row, entry: Row, account: str) -> dict[str, Any]:
    slip = json.loads(row["slip"])
    return {
        "text": f"{row['store']} ¥{row['amount_fen'] / 100:.2f}",
        "time": f"{unstamp(row['at']).astimezone(BEIJING):%m-%d %H:%M}",
        "claim_code": slip.get("claim_code", ""),
        "url": hosts.as_seen_by(entry, str(slip.get("url", "")), account=account),
    }
