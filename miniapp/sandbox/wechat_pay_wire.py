"""WeChat Pay v2 on the wire: XML in, signature, common refusals, signed XML out."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps

from flask import Blueprint, Response, request

from miniapp.sandbox import wechat_crypto
from miniapp.sandbox.doors import door, fault
from miniapp.sandbox.wechat_parties import Merchant, account_of_app, merchant
from miniapp.sandbox.world import World

Fields = dict[str, str]
Values = dict[str, str | int]

# What the platform says with each err_code.
SAYINGS = {
    "USERPAYING": "需要用户输入支付密码",
    "SYSTEMERROR": "系统超时",
    "BANKERROR": "银行系统异常",
    "ORDERPAID": "订单已支付",
    "ORDERCLOSED": "订单已关闭",
    "ORDERREVERSED": "订单已撤销",
    "OUT_TRADE_NO_USED": "商户订单号重复",
    "AUTHCODEEXPIRE": "二维码已过期，请用户在微信上刷新后再试",
    "AUTH_CODE_ERROR": "授权码参数错误",
    "AUTH_CODE_INVALID": "授权码检验错误",
    "NOTENOUGH": "余额不足",
    "NOTSUPORTCARD": "不支持卡类型",
    "TRADE_ERROR": "交易错误",
    "BUYER_MISMATCH": "支付帐号错误",
    "ORDERNOTEXIST": "此交易订单号不存在",
    "REFUNDNOTEXIST": "退款订单查询失败",
    "APPID_NOT_EXIST": "APPID不存在",
    "APPID_MCHID_NOT_MATCH": "appid和mch_id不匹配",
    "LACK_PARAMS": "缺少必要的请求参数",
    "PARAM_ERROR": "参数错误",
    "NOAUTH": "商户无此接口权限",
    "REVERSE_EXPIRE": "订单无法撤销，超过7天",
    "REFUND_FEE_MISMATCH": "订单金额或退款金额与之前请求不一致，请核实后再试",
    "TRADE_STATE_ERROR": "订单状态错误",
    "TRADE_OVERDUE": "订单已经超过退款期限",
    "INVALID_REQUEST": "参数错误",
}
NUMBER = re.compile(r"[0-9A-Za-z_\-|*]{1,32}")


class Failed(Exception):
    """A business failure: result_code FAIL with its err_code; `more` are further fields of the answer."""

    def __init__(self, err_code: str, text: str = "", **more: str | int) -> None:
        super().__init__(err_code)
        self.err_code = err_code
        self.text = text or SAYINGS.get(err_code, err_code)
        self.more = more


class Rejected(Exception):
    """A transport failure: return_code FAIL, unsigned."""


@dataclass(frozen=True)
class Call:
    """A request that is well signed by a known merchant."""

    merchant: Merchant
    fields: Fields

    @property
    def app_id(self) -> str:
        """The app id that the request names."""
        return self.fields["appid"]

    def need(self, *names: str) -> None:
        """Raises Failed LACK_PARAMS for a field that is missing or empty."""
        missing = [name for name in names if not self.fields.get(name)]
        if missing:
            raise Failed("LACK_PARAMS", f"缺少参数{missing[0]}")

    def fen(self, name: str) -> int:
        """A positive amount. Raises Failed PARAM_ERROR."""
        text = self.fields.get(name, "")
        if not re.fullmatch(r"[1-9][0-9]{0,10}", text):
            raise Failed("PARAM_ERROR", f"参数{name}错误")
        return int(text)


def sign(values: dict[str, str], key: str, sign_type: str = "MD5") -> str:
    """The v2 signature of all non-empty values but `sign`."""
    text = "&".join(f"{name}={values[name]}" for name in sorted(values) if values[name] and name != "sign")
    text += f"&key={key}"
    if sign_type == "HMAC-SHA256":
        return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest().upper()
    return hashlib.md5(text.encode()).hexdigest().upper()  # noqa: S324 - the protocol's


def endpoint(
    world: World, bp: Blueprint, rule: str, name: str, *, certificate: bool = False
) -> Callable[[Callable[[Call], Values]], Callable[[Call], Values]]:
    """Make a function of a checked Call the door `name`; its values go out signed.

    Faults of all v2 doors: `err:CODE` (nothing is done), `bad_sign`, `unsigned`, `foreign` (signed, another's numbers).
    """

    def wrap(act: Callable[[Call], Values]) -> Callable[[Call], Values]:
        @wraps(act)
        def view() -> Response:
            try:
                call = _checked(world, certificate=certificate)
            except Rejected as problem:
                return _xml({"return_code": "FAIL", "return_msg": str(problem)})
            return _signed(call, _outcome(call, act))

        bp.add_url_rule(rule, name.replace(".", "_"), door(world, name)(view), methods=["POST", "GET", "PUT"])
        return act

    return wrap


def _outcome(call: Call, act: Callable[[Call], Values]) -> Values:
    taken = fault()
    try:
        if taken is not None and taken.word == "err":
            raise Failed(taken.argument)
        return {"result_code": "SUCCESS", **act(call)}
    except Failed as failed:
        return {
            "result_code": "FAIL",
            "err_code": failed.err_code,
            "err_code_des": failed.text,
            **failed.more,
        }


def _checked(world: World, *, certificate: bool) -> Call:
    """Raises Rejected."""
    if request.method != "POST":
        raise Rejected("请使用post方法")
    try:
        fields = wechat_crypto.fields(request.get_data())
    except wechat_crypto.Unreadable:
        raise Rejected("XML格式错误") from None
    found = merchant(world, fields.get("mch_id", ""))
    if found is None:
        raise Rejected("商户号mch_id或sub_mch_id不存在")
    sign_type = fields.get("sign_type") or "MD5"
    if sign_type not in ("MD5", "HMAC-SHA256"):
        raise Rejected("签名类型错误")
    given = fields.get("sign", "")
    if not hmac.compare_digest(given.encode(), sign(fields, found.api_v2_key, sign_type).encode()):
        raise Rejected("签名错误")
    if not 1 <= len(fields.get("nonce_str", "")) <= 32:
        raise Rejected("缺少参数nonce_str")
    # Mutual TLS would end in front of this process: the header says which certificate was seen there.
    seen = request.headers.get("X-Client-Certificate-Serial", "").upper()
    if certificate and found.client_certificate and seen != found.cert_serial.upper():
        raise Rejected("证书已过期或不存在")
    if account_of_app(world, fields.get("appid", "")) is None and fields.get("appid") not in found.app_ids:
        raise Rejected("appid不存在")
    if fields["appid"] not in found.app_ids:
        raise Rejected("appid和mch_id不匹配")
    return Call(found, fields)


def _signed(call: Call, values: Values) -> Response:
    taken = fault()
    word = taken.word if taken else ""
    body: Values = {
        "return_code": "SUCCESS",
        "return_msg": "OK",
        "appid": call.app_id,
        "mch_id": call.merchant.mch_id,
        "nonce_str": secrets.token_hex(16),
        **values,
    }
    if word == "foreign":
        body |= {
            name: "FOREIGN" + secrets.token_hex(8)
            for name in ("out_trade_no", "transaction_id")
            if name in body
        }
    text = {name: str(value) for name, value in body.items() if value != ""}
    sign_type = call.fields.get("sign_type") or "MD5"
    signature = sign(text, call.merchant.api_v2_key, sign_type)
    if word == "bad_sign":
        signature = "0" * len(signature)
    if word != "unsigned":
        body["sign"] = signature
    return _xml(body)


def _xml(values: Values) -> Response:
    text = {name: str(value) for name, value in values.items() if value != ""}
    return Response(wechat_crypto.xml_of(dict(text)), content_type="text/plain; charset=utf-8")
