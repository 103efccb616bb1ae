"""`/wechat-pay/v3`: signed requests and answers, and the trade bill."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import secrets
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from functools import wraps
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from flask import Blueprint, Response, request

from miniapp.sandbox import wechat_bill_damage, wechat_bill_file
from miniapp.sandbox.doors import door, fault
from miniapp.sandbox.wechat_parties import Merchant, merchant
from miniapp.sandbox.world import BEIJING, World, stamp

PREFIX = "/wechat-pay"
SCHEME = "WECHATPAY2-SHA256-RSA2048 "
TOKEN_LIFE = timedelta(seconds=30)
KEPT = timedelta(days=92)

SCHEMA = """
CREATE TABLE IF NOT EXISTS wechat_bill_links (
    token TEXT PRIMARY KEY, mch_id TEXT NOT NULL, content BLOB NOT NULL, gzip INTEGER NOT NULL, ends_at TEXT NOT NULL);
"""

Answer = tuple[int, dict[str, Any]]


class Refused(Exception):
    """An HTTP error with its code."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"code": code, "message": message}


def blueprint(world: World) -> Blueprint:
    """The v3 doors that there are here: the trade bill and its file."""
    world.store.create(SCHEMA)
    bp = Blueprint("wechat_pay_v3", __name__, url_prefix=f"{PREFIX}/v3")

    @bp.get("/bill/tradebill")
    @door(world, "wechat_pay.tradebill")
    @signed(world)
    def tradebill(caller: Merchant) -> dict[str, Any]:
        return _tradebill(world, caller)

    @bp.get("/billdownload/file")
    @door(world, "wechat_pay.billfile")
    def billfile() -> Response:
        try:
            return _file(world, authorised(world))
        except Refused as refused:
            return _json(refused.status, refused.body)

    return bp


def signed(world: World) -> Callable[[Callable[[Merchant], dict[str, Any]]], Callable[[], Response]]:
    """Check the caller's signature and sign the answer. Faults: `bad_sign`, `unsigned`, `error:STATUS CODE`."""

    def wrap(act: Callable[[Merchant], dict[str, Any]]) -> Callable[[], Response]:
        @wraps(act)
        def view() -> Response:
            taken = fault()
            try:
                caller = authorised(world)
            except Refused as refused:
                return _json(refused.status, refused.body)
            try:
                if taken is not None and taken.word == "error":
                    status, _, code = taken.argument.partition(" ")
                    raise Refused(int(status), code, "sandbox fault")
                return _sealed(world, caller, 200, act(caller))
            except Refused as refused:
                return _sealed(world, caller, refused.status, refused.body)

        return view

    return wrap


def authorised(world: World) -> Merchant:
    """The merchant who signed this request. Raises Refused 401 SIGN_ERROR."""
    header = request.headers.get("Authorization", "")
    parts = dict(re.findall(r'(\w+)="([^"]*)"', header))
    caller = merchant(world, parts.get("mchid", ""))
    if not header.startswith(SCHEME) or caller is None:
        raise Refused(401, "SIGN_ERROR", "Authorization不合法")
    if parts.get("serial_no", "").upper() != caller.cert_serial.upper():
        raise Refused(401, "SIGN_ERROR", "商户证书序列号有误")
    stamped = parts.get("timestamp", "")
    if not stamped.isascii() or not stamped.isdigit() or not world.fresh(int(stamped)):
        raise Refused(401, "SIGN_ERROR", "Authorization时间戳与服务器时间相差超过5分钟")
    if not any(_verifies(caller, target, parts) for target in _targets()):
        raise Refused(401, "SIGN_ERROR", "错误的签名，验签失败")
    return caller


def _targets() -> list[str]:
    """Path and query exactly as sent, and the same as it would be on the platform's own host."""
    sent = str(request.environ.get("RAW_URI") or request.environ["REQUEST_URI"])
    return [sent, sent.removeprefix(PREFIX)]


def _verifies(caller: Merchant, target: str, parts: dict[str, str]) -> bool:
    head = f"{request.method}\n{target}\n{parts['timestamp']}\n{parts.get('nonce_str', '')}\n"
    text = head.encode() + request.get_data(cache=True) + b"\n"
    try:
        signature = base64.b64decode(parts.get("signature", ""), validate=True)
        _public_key(caller).verify(signature, text, padding.PKCS1v15(), hashes.SHA256())
    except (ValueError, InvalidSignature):
        return False
    return True


def _public_key(caller: Merchant) -> rsa.RSAPublicKey:
    certificate = caller.merchant_certificate
    key = (
        x509.load_pem_x509_certificate(certificate.encode()).public_key()
        if certificate
        else serialization.load_pem_public_key(caller.merchant_public_key.encode())
    )
    if not isinstance(key, rsa.RSAPublicKey):
        raise ValueError("not an RSA key")
    return key


def _sealed(world: World, caller: Merchant, status: int, body: dict[str, Any]) -> Response:
    taken = fault()
    word = taken.word if taken else ""
    response = _json(status, body)
    if word == "unsigned":
        return response
    stamped, nonce = str(world.wire_seconds()), secrets.token_hex(16)
    text = f"{stamped}\n{nonce}\n".encode() + response.get_data() + b"\n"
    key = serialization.load_pem_private_key(caller.platform_private_key.encode(), None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("not an RSA key")
    signature = key.sign(text + (b"!" if word == "bad_sign" else b""), padding.PKCS1v15(), hashes.SHA256())
    response.headers["Wechatpay-Timestamp"] = stamped
    response.headers["Wechatpay-Nonce"] = nonce
    response.headers["Wechatpay-Signature"] = base64.b64encode(signature).decode()
    response.headers["Wechatpay-Signature-Type"] = SCHEME.strip()
    response.headers["Wechatpay-Serial"] = caller.platform_key_id
    return response


def _json(status: int, body: dict[str, Any]) -> Response:
    response = Response(
        json.dumps(body, ensure_ascii=False, separators=(",", ":")), status, content_type="application/json"
    )
    response.headers["Request-ID"] = secrets.token_hex(16).upper()
    return response


def _tradebill(world: World, caller: Merchant) -> dict[str, Any]:
    day, bill_type = _day(world), request.args.get("bill_type", "ALL")
    if bill_type not in wechat_bill_file.COLUMNS or request.args.get("tar_type", "GZIP") != "GZIP":
        raise Refused(400, "PARAM_ERROR", "参数错误")
    if request.args.get("sub_mchid"):
        raise Refused(403, "NO_AUTH", "sub_mchid与商户号无关系")
    found = wechat_bill_damage.switches(world, mch_id=caller.mch_id, bill_date=day.isoformat())
    ready = datetime.combine(day + timedelta(days=1), time.fromisoformat(caller.bill_ready), tzinfo=BEIJING)
    if world.now() < ready or wechat_bill_damage.has(found, "late"):
        raise Refused(400, "STATEMENT_CREATING", "账单生成中，请稍后再试")
    rows = wechat_bill_damage.damaged(wechat_bill_file.rows_of(world, caller, day), found)
    if not rows or wechat_bill_damage.has(found, "empty"):
        raise Refused(400, "NO_STATEMENT_EXIST", "请求的账单文件不存在")
    newline = "\n" if wechat_bill_damage.has(found, "lf") else "\r\n"
    content = wechat_bill_damage.cut(wechat_bill_file.render(rows, bill_type, newline=newline), found)
    digest = hashlib.sha1(content).hexdigest()  # noqa: S324 - the protocol's
    if wechat_bill_damage.has(found, "wrong_hash"):
        digest = digest[::-1]
    return {"hash_type": "SHA1", "hash_value": digest, "download_url": _link(world, caller, content)}


def _day(world: World) -> date:
    """Raises Refused 400."""
    try:
        day = date.fromisoformat(request.args.get("bill_date", ""))
    except ValueError:
        raise Refused(400, "PARAM_ERROR", "bill_date格式错误") from None
    today = world.beijing().date()
    if not today - KEPT <= day < today:
        raise Refused(400, "INVALID_REQUEST", "账单日期不在可查询范围")
    return day


def _link(world: World, caller: Merchant, content: bytes) -> str:
    token, packed = secrets.token_urlsafe(32), request.args.get("tar_type") == "GZIP"
    world.store.insert(
        "wechat_bill_links",
        token=token,
        mch_id=caller.mch_id,
        content=content,
        gzip=int(packed),
        ends_at=stamp(world.now() + TOKEN_LIFE),
    )
    link = f"{request.host_url.rstrip('/')}{PREFIX}/v3/billdownload/file?token={token}"
    return f"{link}&tartype=gzip" if packed else link


def _file(world: World, caller: Merchant) -> Response:
    """The file itself carries no signature."""
    row = world.store.row("SELECT * FROM wechat_bill_links WHERE token = ?", request.args.get("token", ""))
    if row is None or row["mch_id"] != caller.mch_id or row["ends_at"] <= stamp(world.now()):
        raise Refused(400, "PARAM_ERROR", "token无效或已过期")
    if row["gzip"]:
        packed = gzip.compress(row["content"], mtime=0)
        return Response(packed, content_type="application/x-gzip")
    return Response(row["content"], content_type="text/plain; charset=utf-8")
