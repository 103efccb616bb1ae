"""Nuonuo's doors: `/nuonuo/accessToken`, `/nuonuo/open/v1/services`, and the files behind its addresses.

A fault's door is `nuonuo.accessToken`, the method without its prefix (`nuonuo.requestBillingNew`), `nuonuo.file`,
`nuonuo.callback`; lasting switches stand on `nuonuo.orders` and `nuonuo.queue`. See README.md beside this file.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, make_response, request

from miniapp.sandbox.channels import nuonuo_issuing, nuonuo_notices, nuonuo_queries, nuonuo_red, nuonuo_thread
from miniapp.sandbox.channels.nuonuo_answers import Call
from miniapp.sandbox.channels.nuonuo_rules import Refusal
from miniapp.sandbox.channels.nuonuo_signing import matches, signature
from miniapp.sandbox.doors import door, fault, fault_word
from miniapp.sandbox.world import World, stamp

SCHEMA = """
CREATE INDEX IF NOT EXISTS nuonuo_under_way ON issues (channel, state);
CREATE INDEX IF NOT EXISTS nuonuo_serials ON issues (channel, serial);
CREATE TABLE IF NOT EXISTS nuonuo_tokens (token TEXT PRIMARY KEY, app_key TEXT NOT NULL, ends_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS nuonuo_nonces (
    app_key TEXT NOT NULL, senid TEXT NOT NULL, nonce TEXT NOT NULL, PRIMARY KEY (app_key, senid, nonce));
"""
PREFIX = "nuonuo.OpeMplatform."
TOKEN_SECONDS = 86_400
SKEW_SECONDS = 600
METHODS: dict[str, Callable[[Call], Any]] = {
    **nuonuo_issuing.METHODS,
    **nuonuo_queries.METHODS,
    **nuonuo_red.METHODS,
}


@dataclass(frozen=True)
class _Signed:
    """The parts of a call's signature as they came."""

    appkey: str
    senid: str
    nonce: str
    timestamp: str


def blueprint(world: World) -> Blueprint:
    """All Nuonuo doors under `/nuonuo`, and the thread that moves invoices on and sends notices."""
    bp = Blueprint("nuonuo", __name__, url_prefix="/nuonuo")
    for schema in (SCHEMA, nuonuo_notices.SCHEMA, nuonuo_red.SCHEMA):
        world.store.create(schema)
    nuonuo_thread.start(world)

    @bp.post("/accessToken")
    @door(world, "nuonuo.accessToken")
    def access_token() -> Response:
        return _access_token(world)

    @bp.post("/open/v1/services")
    def services() -> Response:
        method = request.headers.get("method", "")
        name = method.removeprefix(PREFIX)
        known = f"nuonuo.{name}" if method.startswith(PREFIX) and name in METHODS else "nuonuo.services"
        return make_response(door(world, known, fields=_fields)(lambda: _service(world, name))())

    @bp.get("/files/<channel_serial>/<name>")
    @door(world, "nuonuo.file")
    def file(channel_serial: str, name: str) -> Response:
        return nuonuo_queries.file(world, channel_serial, name)

    return bp


def _access_token(world: World) -> Response:
    entry = world.entry("nuonuo", request.form.get("client_id", ""))
    if fault_word() == "too_many":
        return _json({"error": "070306", "error_description": "获取令牌次数过多"})
    if entry is None or not matches(request.form.get("client_secret", ""), str(entry["app_secret"])):
        return _json({"error": "070101", "error_description": "client_id或client_secret错误"})
    if request.form.get("grant_type") != "client_credentials":
        return _json({"error": "070304", "error_description": "grant_type错误"})
    seconds = int(entry.get("token_seconds", TOKEN_SECONDS))
    token = secrets.token_hex(16)
    ends_at = stamp(world.now() + timedelta(seconds=seconds))
    world.store.insert("nuonuo_tokens", token=token, app_key=entry["app_key"], ends_at=ends_at)
    return _json({"access_token": token, "expires_in": seconds})


def _service(world: World, name: str) -> Response:
    try:
        result = _served(world, name)
    except Refusal as no:
        return _answer(no.code, no.describe, None)
    return _answer("E0000", "操作成功", result)


def _served(world: World, name: str) -> Any:
    body = request.get_data(cache=True)
    entry = _entry_of_signature(world, body)
    _check_token(world, entry)
    refused = fault()
    if refused and refused.word == "code":
        raise Refusal(refused.argument or "E9999", "系统繁忙，请稍后再试")
    if name not in METHODS or name in entry.get("not_granted", []):
        raise Refusal("E9338", "没有接口权限")
    try:
        content = json.loads(body)
    except ValueError:
        raise Refusal("E4000", "报文不是合法的JSON") from None
    if not isinstance(content, dict):
        raise Refusal("E4000", "报文不是JSON对象")
    base = world.base_url or request.host_url.rstrip("/")
    call = Call(world, entry, request.headers.get("userTax", ""), content, base)
    result = METHODS[name](call)
    if refused and refused.word == "code_but_done":
        raise Refusal(refused.argument or "E9999", "系统繁忙，请稍后再试")
    return result


def _entry_of_signature(world: World, body: bytes) -> dict[str, Any]:
    given = _Signed(
        **{name: request.args.get(name, "") for name in ("appkey", "senid", "nonce", "timestamp")}
    )
    for name, value in vars(given).items():
        if not value:
            raise Refusal("070102", f"缺少参数{name}")
    entry = world.entry("nuonuo", given.appkey)
    if entry is None:
        raise Refusal("070101", "appkey不存在")
    expected = signature(secret=str(entry["app_secret"]), body=body, **vars(given))
    if not matches(request.headers.get("X-Nuonuo-Sign", ""), expected):
        raise Refusal("070103", "签名错误")
    _check_shape(given)
    _check_time(world, given.timestamp)
    _check_nonce(world, given)
    return entry


def _check_shape(given: _Signed) -> None:
    nonce_good = len(given.nonce) == 8 and given.nonce.isdecimal() and given.nonce.isascii()
    if len(given.senid) != 32 or not nonce_good or given.nonce.startswith("0"):
        raise Refusal("070102", "senid应为32位，nonce应为8位数字")


def _check_time(world: World, timestamp: str) -> None:
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) == 10):
        raise Refusal("070105", "timestamp应为秒")
    # A caller may sign by the machine's clock while this world's clock was moved.
    now = world.now().timestamp()
    if min(abs(now - int(timestamp)), abs(now - world.clock_offset() - int(timestamp))) > SKEW_SECONDS:
        raise Refusal("070105", "timestamp已过期")


def _check_nonce(world: World, given: _Signed) -> None:
    with world.store.writing() as db:
        fresh = db.execute(
            "INSERT OR IGNORE INTO nuonuo_nonces (app_key, senid, nonce) VALUES (?, ?, ?)",
            (given.appkey, given.senid, given.nonce),
        )
        if fresh.rowcount == 0 and not world.faults.on("nuonuo.orders", "nonce_reuse_allowed"):
            raise Refusal("070106", "重复的请求")


def _check_token(world: World, entry: dict[str, Any]) -> None:
    if fault_word() == "token_lost":
        with world.store.writing() as db:
            db.execute("DELETE FROM nuonuo_tokens WHERE app_key = ?", (entry["app_key"],))
    row = world.store.row(
        "SELECT * FROM nuonuo_tokens WHERE token = ? AND app_key = ?",
        request.headers.get("accessToken", ""),
        entry["app_key"],
    )
    if row is None or row["ends_at"] < stamp(world.now()):
        raise Refusal("070305", "accessToken无效或已过期")


def _fields() -> dict[str, str]:
    """What a fault's `match` sees: the flat fields of the order, or of the body; `orderNo` also of a query."""
    try:
        body = json.loads(request.get_data(cache=True))
        inner = body.get("order", body)
        fields = {name: value for name, value in inner.items() if isinstance(value, str)}
        numbers = inner.get("orderNos") or []
        return {**fields, "orderNo": str(numbers[0])} if numbers else fields
    except (ValueError, AttributeError, TypeError, IndexError):
        return {}


def _answer(code: str, describe: str, result: Any) -> Response:
    return _json({"code": code, "describe": describe, "result": result})


def _json(document: dict[str, Any]) -> Response:
    text = json.dumps(document, ensure_ascii=False)
    return Response(text, content_type="application/json;charset=UTF-8")
