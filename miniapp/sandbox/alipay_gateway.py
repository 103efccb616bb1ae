"""`POST|GET /alipay/gateway.do`: one address for every method. Checks the call, finds the method, signs the answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

from flask import Response, make_response, request

from miniapp.sandbox import alipay_signing as signing
from miniapp.sandbox.alipay_answers import MESSAGES, Answer, invalid, missing
from miniapp.sandbox.doors import door, fault
from miniapp.sandbox.world import BEIJING, World

SKEW = timedelta(minutes=15)
# Answers of these carry no code and msg when they succeed.
PLAIN = ("alipay.system.oauth.token",)


@dataclass(frozen=True)
class Call:
    """A checked call: the app's configuration, all decoded values, and biz_content as an object."""

    world: World
    app: dict[str, Any]
    method: str
    values: dict[str, str]
    biz: dict[str, Any]

    def text(self, name: str, default: str = "") -> str:
        """A field of biz_content as text; numbers, which SDKs send unquoted, too."""
        value = self.biz.get(name)
        return default if value is None else str(value)


Method = Callable[[Call], dict[str, Any]]


def answer(world: World, methods: Mapping[str, Method]) -> Response:
    """Serve one call. The door's name for faults is the method itself, such as `alipay.trade.pay`."""
    values, charset, problem = _received()
    method = values.get("method", "")
    known = method if method in methods else "alipay.gateway"

    def view() -> Response:
        app = world.entry("alipay_apps", values.get("app_id", ""))
        if problem:
            return _sealed(app, "error_response", problem.node(), charset)
        return _served(world, methods, values, app, charset)

    guarded = door(world, known, fields=lambda: _fields(values))(view)
    return make_response(guarded())


def _served(
    world: World,
    methods: Mapping[str, Method],
    values: dict[str, str],
    app: dict[str, Any] | None,
    charset: str,
) -> Response:
    name = values.get("method", "").replace(".", "_") + "_response"
    try:
        call = _checked(world, methods, values, app, charset)
        _refuse_by_switch(call)
        node = methods[call.method](call)
        _lose_by_switch()
        if call.method not in PLAIN:
            node = {"code": "10000", "msg": MESSAGES["10000"], **node}
    except Answer as other:
        node = other.node()
        name = "error_response" if other.on_error_node else name
    return _sealed(app, name, node, charset)


def _received() -> tuple[dict[str, str], str, Answer | None]:
    """All values of query and body, decoded in the charset that the query (or else the body) names."""
    query = request.query_string
    body = request.get_data(cache=True) if request.mimetype == "application/x-www-form-urlencoded" else b""
    charset = "utf-8"
    for raw in (body, query):
        named = parse_qs(raw.decode("ascii", "replace")).get("charset")
        charset = named[0].lower() if named else charset
    if charset not in signing.CHARSETS:
        return {}, "utf-8", invalid("charset")
    try:
        values = signing.decoded(query, charset=charset) | signing.decoded(body, charset=charset)
    except (UnicodeDecodeError, ValueError):
        return {}, charset, invalid("encoding")
    return values, charset, None


def _fields(values: Mapping[str, str]) -> dict[str, str]:
    """What a fault's `match` sees: top-level values and the flat ones of biz_content."""
    try:
        inner = json.loads(values.get("biz_content") or "{}")
    except (ValueError, RecursionError):
        inner = {}
    flat = inner.items() if isinstance(inner, dict) else ()
    return {**values, **{name: str(value) for name, value in flat if isinstance(value, str | int | float)}}


def _checked(
    world: World,
    methods: Mapping[str, Method],
    values: dict[str, str],
    app: dict[str, Any] | None,
    charset: str,
) -> Call:
    for name, label in (
        ("method", "method"),
        ("app_id", "app-id"),
        ("sign_type", "sign-type"),
        ("sign", "signature"),
        ("timestamp", "timestamp"),
        ("version", "version"),
    ):
        if not values.get(name):
            raise missing(label)
    if app is None:
        raise invalid("app-id")
    if not app.get("app_public_key"):
        raise missing("signature-key")
    # Accounts opened since 2018 accept RSA2 only.
    if values["sign_type"] != "RSA2":
        raise invalid("signature-type")
    key = signing.public_key(app["app_public_key"])
    if not signing.verified(signing.canonical(values), values["sign"], key=key, charset=charset):
        raise invalid("signature")
    if values["version"] != "1.0":
        raise invalid("version")
    if values.get("format", "JSON").upper() != "JSON":
        raise invalid("format")
    _check_time(world, values["timestamp"])
    if values["method"] not in methods:
        raise invalid("method")
    return Call(world, app, values["method"], values, _biz_content(values))


def _check_time(world: World, text: str) -> None:
    try:
        given = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=BEIJING)
    except ValueError:
        raise invalid("timestamp") from None
    # A caller may keep its signatures on the machine's clock while this world's clock was moved.
    nows = (world.now(), world.now() - timedelta(seconds=world.clock_offset()))
    if min(abs(now - given) for now in nows) > SKEW:
        raise invalid("timestamp")


def _biz_content(values: Mapping[str, str]) -> dict[str, Any]:
    try:
        biz = json.loads(values.get("biz_content") or "{}")
    except (ValueError, RecursionError):
        raise invalid("format") from None
    if not isinstance(biz, dict):
        raise invalid("format")
    return biz


def _refuse_by_switch(call: Call) -> None:
    """Answers that a fault gives instead of doing anything; `not_granted` of the app is 40006 for good."""
    if call.method in call.app.get("not_granted", []):
        raise Answer("40006", "isv.insufficient-isv-permissions")
    taken = fault()
    match taken.word if taken else "":
        case "busy":
            raise Answer("20000", "isp.unknow-error")
        case "limited":
            raise Answer("40005", "isv.app-call-limited")
        case "not_granted":
            raise Answer("40006", "isv.insufficient-isv-permissions")
        case "error":
            raise Answer("40004", taken.argument if taken else "")


def _lose_by_switch() -> None:
    """Answers that a fault gives although everything was done."""
    taken = fault()
    match taken.word if taken else "":
        case "busy_but_done":
            raise Answer("20000", "isp.unknow-error")
        case "error_but_done":
            raise Answer("40004", taken.argument if taken and taken.argument else "ACQ.SYSTEM_ERROR")


def _sealed(app: dict[str, Any] | None, name: str, node: dict[str, Any], charset: str) -> Response:
    """The signed envelope. Faults `unsigned`, `bad_sign`, `brace`, `plain_slash`, `cert_sn` change it."""
    taken = fault()
    word = taken.word if taken else ""
    app = app or {}
    if word == "brace" or app.get("brace"):
        node = {**node, "memo": '左括号 } 和 { 还有 \\" 引号'}
    text = signing.node_text(node, escape_slash=app.get("escape_slash", True) and word != "plain_slash")
    signature: str | None = None
    wants_sign = name != "error_response" or app.get("sign_errors")
    if app.get("alipay_private_key") and wants_sign and word != "unsigned":
        key = signing.private_key(app["alipay_private_key"])
        signature = signing.sign(text, key=key, charset=charset)
    if word == "bad_sign":
        signature = signing.sign(text + " ", key=signing.private_key(app["alipay_private_key"]))
    sn = app.get("alipay_cert_sn") or ("d41d8cd98f00b204e9800998ecf8427e" if word == "cert_sn" else None)
    body = signing.envelope(name, text, signature=signature, cert_sn=sn)
    codec = signing.CHARSETS[charset]
    return Response(body.encode(codec), content_type=f"text/html;charset={charset}")
