"""The till: a terminal in a store that charges payment codes, prints slips, refunds, and reports other sales.

A till's entry: `code`, `name`, `store`, `base` (the program's address), `key_id`, `key`, `goods` (optional list of
`{name, price_fen, tax_category_code, tax_rate, unit}`), `cards`: `only` (it reports card sales
and charges nothing).
"""

from __future__ import annotations

import json
import secrets
from typing import Any

from flask import Blueprint, Response, abort, jsonify, render_template, request

from miniapp.sandbox.screens import hosts, till_wire, wallet
from miniapp.sandbox.store import Row
from miniapp.sandbox.world import BEIJING, World, unstamp
from miniapp.sandbox.world import stamp as stored

SCHEMA = """
CREATE TABLE IF NOT EXISTS till_sales (
    id INTEGER PRIMARY KEY, at TEXT NOT NULL, till TEXT NOT NULL, store TEXT NOT NULL, out_trade_no TEXT NOT NULL UNIQUE,
    platform TEXT NOT NULL DEFAULT '', amount_fen INTEGER NOT NULL, state TEXT NOT NULL,
    message TEXT NOT NULL DEFAULT '', slip TEXT NOT NULL DEFAULT '', refunded_fen INTEGER NOT NULL DEFAULT 0);
"""
WORDS = {
    "paying": "等待顾客付款",
    "paid": "已收款",
    "failed": "未收款",
    "cancelled": "已撤销",
    "unknown": "结果未知，正在核实",
    "reported": "已上报",
    "refused": "未受理",
}
MAX_FEN = 10_000_000


def blueprint(world: World) -> Blueprint:
    """`/till` and `/till/api`."""
    world.store.create(SCHEMA)
    bp = Blueprint("till", __name__)

    @bp.get("/till")
    def page() -> str:
        tills = [{k: v for k, v in one.items() if k != "key"} for one in world.entries("tills")]
        people = [one for one in world.entries("people") if one.get("pays", True)]
        return render_template("sandbox_till.html", tills=tills, people=people, **hosts.frame(world, "till"))

    @bp.post("/till/api/scan")
    def scan() -> Response:
        entry = world.entry("people", str(request.get_json().get("person", ""))) or abort(404)
        return jsonify(code=wallet.current_code(world, str(entry["code"]), hosts.wallet_of(entry)))

    @bp.get("/till/api/sales")
    def sales() -> Response:
        rows = world.store.rows(
            "SELECT * FROM till_sales WHERE till = ? ORDER BY id DESC LIMIT 12", request.args.get("till", "")
        )
        return jsonify([_shown(row) for row in rows])

    @bp.post("/till/api/heartbeat")
    def heartbeat() -> Response:
        till = _till(world, str(request.get_json().get("till", "")))
        beat: dict[str, Any] = {
            "power": {"source": "mains", "battery_percent": 100},
            "network": "wifi",
            "app_version": "沙箱",
        }
        beat["printer"] = {"state": "idle", "reasons": []}
        beat["sent_at"] = world.beijing().isoformat(timespec="seconds")
        status, _ = till_wire.call(till, "POST", "heartbeat", beat)
        return jsonify(ok=status == 200)

    _money(bp, world)
    return bp


def _money(bp: Blueprint, world: World) -> None:
    @bp.post("/till/api/charges")
    def charge() -> Response:
        given = request.get_json()
        till = _till(world, str(given.get("till", "")))
        amount_fen, lines = int(given["amount_fen"]), given.get("lines") or []
        if not 1 <= amount_fen <= MAX_FEN:
            abort(400, "amount")
        number = _number(world, till)
        body: dict[str, Any] = {"out_trade_no": number, "payment_code": str(given.get("code", "")).strip()}
        body |= {"amount_fen": amount_fen, "subject": _subject(till, lines), "operator": str(till["code"])}
        if lines:
            body["lines"] = lines
        _keep(world, till, number, amount_fen, state="paying")
        status, answer = till_wire.call(till, "POST", "charges", body)
        return jsonify(_after(world, number, status, answer))

    @bp.get("/till/api/charges/<number>")
    def follow(number: str) -> Response:
        row = _sale(world, number)
        status, answer = till_wire.call(_till(world, row["till"]), "GET", f"charges/{number}")
        return jsonify(_after(world, number, status, answer))

    @bp.post("/till/api/refunds")
    def refund() -> Response:
        given = request.get_json()
        row = _sale(world, str(given.get("out_trade_no", "")))
        refund_fen = int(given["refund_fen"])
        body = {"out_trade_no": row["out_trade_no"], "out_refund_no": f"R{_number(world, {'code': ''})}"}
        body |= {"refund_fen": refund_fen, "reason": "顾客退货", "operator": row["till"]}
        status, answer = till_wire.call(_till(world, row["till"]), "POST", "refunds", body)
        state = str(answer.get("state", ""))
        if state in ("refunded", "refunding"):
            world.store.update("till_sales", row["id"], refunded_fen=row["refunded_fen"] + refund_fen)
        words = {"refunded": "已退款", "refunding": "退款处理中", "unknown": "退款结果未知，正在核实"}
        message = words.get(state) or _message(answer) or f"没有退成（{status}）"
        return jsonify(ok=state in words, message=message, sale=_shown(_sale(world, row["out_trade_no"])))

    @bp.post("/till/api/reports")
    def report() -> Response:
        given = request.get_json()
        till = _till(world, str(given.get("till", "")))
        return jsonify(_report(world, till, str(given.get("platform", "unionpay")), int(given["amount_fen"])))


def _report(world: World, till: Row, platform: str, amount_fen: int) -> dict[str, Any]:
    """Report a sale that another acquirer's machine has taken, as its slip would say."""
    number, digits = _number(world, till), str(secrets.randbelow(10**12)).zfill(12)
    sale: dict[str, Any] = {"kind": "sale", "platform": platform, "out_trade_no": number}
    sale |= {"amount_fen": amount_fen, "occurred_at": world.beijing().isoformat(timespec="seconds")}
    sale |= {
        "rrn": digits,
        "terminal_batch_no": "000001",
        "trace_no": digits[-6:],
        "operator": str(till["code"]),
    }
    sale["tenders"] = [{"kind": "card", "funder": "customer", "amount_fen": amount_fen}]
    status, answer = till_wire.call(till, "POST", "transactions", {"transactions": [sale]})
    result = (answer.get("results") or [{}])[0]
    if not isinstance(result, dict):
        result = {}
    took = result.get("result") in ("recorded", "known")
    _keep(world, till, number, amount_fen, state="reported" if took else "refused", platform=platform)
    row = _sale(world, number)
    message = result.get("message") or ("" if took else _message(answer) or f"没有受理（{status}）")
    slip = json.dumps(result["slip"], ensure_ascii=False) if result.get("slip") else ""
    world.store.update("till_sales", row["id"], slip=slip, message=str(message))
    return _shown(_sale(world, number))


def _after(world: World, number: str, status: int, answer: dict[str, Any]) -> dict[str, Any]:
    """Keep what the program said about a charge."""
    row = _sale(world, number)
    state = str(answer.get("state", ""))
    if state not in WORDS:
        state = "unknown" if status == 0 or status >= 500 else "failed"
    slip = json.dumps(answer["slip"], ensure_ascii=False) if answer.get("slip") else row["slip"]
    world.store.update(
        "till_sales",
        row["id"],
        state=state,
        message=_message(answer),
        slip=slip,
        platform=str(answer.get("platform") or row["platform"]),
    )
    return _shown(_sale(world, number))


def _message(answer: dict[str, Any]) -> str:
    error = answer.get("error")
    inner = error.get("message") if isinstance(error, dict) else error
    return str(answer.get("message") or inner or "")


def _shown(row: Row) -> dict[str, Any]:
    return {
        "out_trade_no": row["out_trade_no"],
        "time": f"{unstamp(row['at']).astimezone(BEIJING):%m-%d %H:%M}",
        "yuan": f"{row['amount_fen'] / 100:.2f}",
        "amount_fen": row["amount_fen"],
        "left_fen": row["amount_fen"] - row["refunded_fen"],
        "refunded_yuan": f"{row['refunded_fen'] / 100:.2f}" if row["refunded_fen"] else "",
        "platform": {"wechat": "微信", "alipay": "支付宝", "unionpay": "银联卡"}.get(row["platform"], ""),
        "state": row["state"],
        "words": WORDS.get(row["state"], row["state"]),
        "message": row["message"],
        "slip": json.loads(row["slip"]) if row["slip"] else None,
    }


def _keep(world: World, till: Row, number: str, amount_fen: int, *, state: str, platform: str = "") -> None:
    world.store.insert(
        "till_sales",
        at=stored(world.now()),
        till=till["code"],
        store=str(till.get("store", "")),
        out_trade_no=number,
        platform=platform,
        amount_fen=amount_fen,
        state=state,
    )


def _sale(world: World, number: str) -> Row:
    return world.store.row("SELECT * FROM till_sales WHERE out_trade_no = ?", number) or abort(404)


def _till(world: World, code: str) -> Row:
    return world.entry("tills", code) or abort(404)


def _subject(till: Row, lines: list[Any]) -> str:
    names = [str(line.get("name", "")) for line in lines if isinstance(line, dict)]
    return ("、".join(names) or str(till.get("store") or "消费"))[:60]


def _number(world: World, till: Row) -> str:
    return f"{till['code']}{world.beijing():%Y%m%d%H%M%S}{secrets.randbelow(10_000):04d}"
