"""The gateway as python-alipay-sdk and a bare HTTP client see it."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from alipay import AliPay
from alipay.exceptions import AliPayException, AliPayValidationError
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

from tests.sandbox.serving_alipay import ALIPAY_KEYS, APP_ID, APP_KEYS, PID, Sandbox, running


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with running(tmp_path) as running_sandbox:
        yield running_sandbox


@pytest.fixture
def sdk(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[AliPay]:
    # The SDK signs with the machine's wall clock, which Alipay reads as Beijing's.
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    client = AliPay(
        appid=APP_ID,
        app_private_key_string=APP_KEYS.private_pkcs1,
        alipay_public_key_string=ALIPAY_KEYS.public,
    )
    client._gateway = f"{sandbox.url}/alipay/gateway.do"
    yield client
    monkeypatch.undo()
    os.environ.pop("TZ", None)
    time.tzset()


def pay(sdk: AliPay, sandbox: Sandbox, number: str = "T1", amount: str = "88.00", **plan: Any) -> Any:
    return sdk.api_alipay_trade_pay(
        number,
        "bar_code",
        sandbox.code(**plan),
        "矿泉水",
        total_amount=amount,
        store_id="S1",
        terminal_id="D1",
        operator_id="OP1",
    )


def signed(**changes: str) -> dict[str, str]:
    """A request signed by hand, in a body instead of a query."""
    values = {
        "app_id": APP_ID,
        "method": "alipay.trade.query",
        "charset": "utf-8",
        "sign_type": "RSA2",
        "timestamp": f"{datetime.now(UTC) + timedelta(hours=8):%Y-%m-%d %H:%M:%S}",
        "version": "1.0",
        "biz_content": '{"out_trade_no":"T 1+&=中"}',
    }
    values |= {name: value for name, value in changes.items() if name != "sign"}
    text = "&".join(f"{name}={value}" for name, value in sorted(values.items()) if value)
    charset = "gb18030" if values["charset"] == "gbk" else "utf-8"
    key = serialization.load_pem_private_key(APP_KEYS.private.encode(), None)
    raw = key.sign(text.encode(charset), padding.PKCS1v15(), hashes.SHA256())  # type: ignore[union-attr, call-arg, arg-type]
    return {**values, "sign": changes.get("sign", base64.b64encode(raw).decode())}


def call(sandbox: Sandbox, values: dict[str, str], charset: str = "utf-8") -> requests.Response:
    body = urlencode(values, encoding="gb18030" if charset == "gbk" else "utf-8")
    return requests.post(
        f"{sandbox.url}/alipay/gateway.do?charset={values.get('charset', charset)}",
        data=body.encode(),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        timeout=5,
    )


def test_a_payment_is_paid_and_found_again(sdk: AliPay, sandbox: Sandbox) -> None:
    paid = pay(sdk, sandbox)
    assert paid["code"] == "10000" and len(paid["trade_no"]) == 28
    assert paid["buyer_user_id"] == "2088000000000002" and paid["store_name"] == "示例一店"
    found = sdk.api_alipay_trade_query(out_trade_no="T1")
    assert found["trade_status"] == "TRADE_SUCCESS" and found["total_amount"] == "88.00"
    assert [row["amount_fen"] for row in sandbox.ledger()["payments"]] == [8800]


def test_discounts_follow_the_identities(sdk: AliPay, sandbox: Sandbox) -> None:
    plan = [
        {"funder": "merchant", "amount_fen": 500, "name": "满减"},
        {"funder": "platform", "amount_fen": 300},
        {"funder": "point", "amount_fen": 20},
    ]
    paid = pay(sdk, sandbox, discounts=plan, enterprise_pay_fen=100)
    assert (paid["receipt_amount"], paid["buyer_pay_amount"], paid["point_amount"]) == (
        "83.00",
        "79.80",
        "0.20",
    )
    assert paid["invoice_amount"] == "79.80" and paid["mdiscount_amount"] == "5.00"
    assert sum(float(row["amount"]) for row in paid["fund_bill_list"]) == pytest.approx(88)
    assert [v["merchant_contribute"] for v in paid["voucher_detail_list"]] == ["5.00", "0.00"]
    assert paid["enterprise_pay_info"]["invoice_amount"] == "1.00"


def test_waiting_is_10003_until_the_queries_or_the_person_end_it(sdk: AliPay, sandbox: Sandbox) -> None:
    assert pay(sdk, sandbox, outcome="userpaying:2")["code"] == "10003"
    states = [sdk.api_alipay_trade_query(out_trade_no="T1")["trade_status"] for _ in range(2)]
    assert states == ["WAIT_BUYER_PAY", "TRADE_SUCCESS"]
    assert pay(sdk, sandbox, number="T2", outcome="userpaying")["code"] == "10003"
    sandbox.control("payments/answer", {"person": "customer_b"})
    assert sdk.api_alipay_trade_query(out_trade_no="T2")["trade_status"] == "TRADE_SUCCESS"
    pay(sdk, sandbox, number="T3", outcome="payerror:1")
    assert sdk.api_alipay_trade_query(out_trade_no="T3")["trade_status"] == "TRADE_CLOSED"


def test_same_number_never_pays_twice(sdk: AliPay, sandbox: Sandbox) -> None:
    code = sandbox.code()
    order = {"total_amount": "1.00", "subject": "水", "scene": "bar_code", "auth_code": code}
    first = sdk.server_api("alipay.trade.pay", {"out_trade_no": "T1", **order})
    again = sdk.server_api("alipay.trade.pay", {"out_trade_no": "T1", **order})
    assert (first["code"], again["code"], first["trade_no"]) == ("10000", "10000", again["trade_no"])
    used = sdk.server_api("alipay.trade.pay", {"out_trade_no": "T2", **order})
    assert used["sub_code"] == "ACQ.PAYMENT_AUTH_CODE_INVALID"
    changed = sdk.server_api("alipay.trade.pay", {"out_trade_no": "T1", **order, "total_amount": "2.00"})
    assert changed["sub_code"] == "ACQ.CONTEXT_INCONSISTENT"
    other = sdk.server_api("alipay.trade.pay", {"out_trade_no": "T1", **order, "auth_code": sandbox.code()})
    assert other["sub_code"] == "ACQ.TRADE_HAS_SUCCESS"
    assert len(sandbox.ledger()["payments"]) == 1


def test_a_refused_attempt_leaves_the_order_open(sdk: AliPay, sandbox: Sandbox) -> None:
    assert pay(sdk, sandbox, outcome="notenough")["sub_code"] == "ACQ.BUYER_BALANCE_NOT_ENOUGH"
    assert sdk.api_alipay_trade_query(out_trade_no="T1")["sub_code"] == "ACQ.TRADE_NOT_EXIST"
    assert pay(sdk, sandbox)["code"] == "10000"


def test_unknown_results_are_paid_all_the_same(sdk: AliPay, sandbox: Sandbox) -> None:
    sandbox.fault("alipay.trade.pay", "busy_but_done")
    assert pay(sdk, sandbox)["code"] == "20000"
    assert sdk.api_alipay_trade_query(out_trade_no="T1")["trade_status"] == "TRADE_SUCCESS"
    sandbox.fault("alipay.trade.pay", "commit_then_drop")
    with pytest.raises(OSError):
        pay(sdk, sandbox, number="T2")
    sandbox.fault("alipay.trade.query", "trade_not_exist")
    assert sdk.api_alipay_trade_query(out_trade_no="T2")["sub_code"] == "ACQ.TRADE_NOT_EXIST"
    assert sdk.api_alipay_trade_query(out_trade_no="T2")["trade_status"] == "TRADE_SUCCESS"
    sandbox.fault("alipay.trade.pay", "busy")
    pay(sdk, sandbox, number="T3")
    assert [row["out_trade_no"] for row in sandbox.ledger()["payments"]] == ["T1", "T2"]


def test_cancel_closes_gives_back_and_outruns_the_payment(sdk: AliPay, sandbox: Sandbox) -> None:
    pay(sdk, sandbox, outcome="userpaying")
    assert sdk.api_alipay_trade_cancel(out_trade_no="T1")["action"] == "close"
    assert pay(sdk, sandbox)["sub_code"] == "ACQ.TRADE_HAS_CLOSE"
    pay(sdk, sandbox, number="T2")
    assert sdk.api_alipay_trade_cancel(out_trade_no="T2")["action"] == "refund"
    assert sdk.api_alipay_trade_query(out_trade_no="T2")["trade_status"] == "TRADE_CLOSED"
    unknown = sdk.api_alipay_trade_cancel(out_trade_no="T3")
    assert unknown["retry_flag"] == "N" and "action" not in unknown
    assert pay(sdk, sandbox, number="T3")["sub_code"] == "ACQ.TRADE_HAS_CLOSE"
    refunds = next(row["refunds"] for row in sandbox.ledger()["payments"] if row["out_trade_no"] == "T2")
    assert [(row["kind"], row["amount_fen"]) for row in refunds] == [("cancel", 8800)]


def test_refunds_add_up_and_repeat_without_moving_money(sdk: AliPay, sandbox: Sandbox) -> None:
    pay(sdk, sandbox, merchant_discount_fen=800)
    one = sdk.api_alipay_trade_refund("22.00", out_trade_no="T1", out_request_no="R1")
    assert (one["fund_change"], one["refund_fee"], one["present_refund_buyer_amount"]) == (
        "Y",
        "22.00",
        "20.00",
    )
    assert one["present_refund_mdiscount_amount"] == "2.00"
    again = sdk.api_alipay_trade_refund("22.00", out_trade_no="T1", out_request_no="R1")
    assert (again["fund_change"], again["refund_fee"]) == ("N", "22.00")
    wrong = sdk.api_alipay_trade_refund("23.00", out_trade_no="T1", out_request_no="R1")
    assert wrong["sub_code"] == "ACQ.DISCORDANT_REPEAT_REQUEST"
    much = sdk.api_alipay_trade_refund("66.01", out_trade_no="T1", out_request_no="R2")
    assert much["sub_code"] == "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL"
    rest = sdk.api_alipay_trade_refund("66.00", out_trade_no="T1", out_request_no="R2")
    assert rest["refund_fee"] == "88.00"
    assert sdk.api_alipay_trade_query(out_trade_no="T1")["trade_status"] == "TRADE_CLOSED"
    sdk.api_alipay_trade_cancel(out_trade_no="T1")
    assert sum(row["amount_fen"] for row in sandbox.ledger()["payments"][0]["refunds"]) == 8800
    found = sdk.api_alipay_trade_fastpay_refund_query("R1", out_trade_no="T1")
    assert found["refund_status"] == "REFUND_SUCCESS" and found["refund_amount"] == "22.00"
    none = sdk.api_alipay_trade_fastpay_refund_query("R9", out_trade_no="T1")
    assert none["code"] == "10000" and "refund_status" not in none


@pytest.mark.parametrize(
    ("name", "sub_code"),
    [
        ("method", "isv.missing-method"),
        ("app_id", "isv.missing-app-id"),
        ("sign_type", "isv.missing-sign-type"),
        ("timestamp", "isv.missing-timestamp"),
        ("version", "isv.missing-version"),
        ("sign", "isv.missing-signature"),
    ],
)
def test_each_missing_parameter_has_its_sub_code(sandbox: Sandbox, name: str, sub_code: str) -> None:
    answer = call(sandbox, signed(**{name: ""})).json()
    assert answer["error_response"]["code"] == "40001" and answer["error_response"]["sub_code"] == sub_code
    assert "sign" not in answer


@pytest.mark.parametrize(
    ("changes", "sub_code"),
    [
        ({"app_id": "9999"}, "isv.invalid-app-id"),
        ({"sign": "AAAA"}, "isv.invalid-signature"),
        ({"sign": "不是签名"}, "isv.invalid-signature"),
        ({"sign_type": "RSA"}, "isv.invalid-signature-type"),
        ({"timestamp": "2020-01-01 00:00:00"}, "isv.invalid-timestamp"),
        ({"timestamp": "yesterday"}, "isv.invalid-timestamp"),
        ({"charset": "latin1"}, "isv.invalid-charset"),
        ({"format": "XML"}, "isv.invalid-format"),
        ({"version": "2.0"}, "isv.invalid-version"),
        ({"method": "alipay.trade.unknown"}, "isv.invalid-method"),
        ({"biz_content": "[1]"}, "isv.invalid-format"),
    ],
)
def test_each_bad_parameter_has_its_sub_code(
    sandbox: Sandbox, changes: dict[str, str], sub_code: str
) -> None:
    answer = call(sandbox, signed(**changes)).json()["error_response"]
    assert (answer["code"], answer["sub_code"]) == ("40002", sub_code)


def test_the_signature_covers_every_value(sandbox: Sandbox) -> None:
    good = signed()
    for name in good:
        if name in ("sign", "charset"):
            continue
        changed = {**good, name: good[name] + " "}
        assert call(sandbox, changed).json()["error_response"]["code"] == "40002", name
    extra = call(sandbox, {**good, "notify_url": "http://x"}).json()
    assert extra["error_response"]["sub_code"] == "isv.invalid-signature"


@pytest.mark.parametrize("charset", ["utf-8", "gbk"])
def test_a_post_in_either_charset_is_answered_in_it(sandbox: Sandbox, charset: str) -> None:
    answer = call(sandbox, signed(charset=charset), charset)
    text = answer.content.decode("gb18030" if charset == "gbk" else "utf-8")
    assert "交易不存在" in text and json.loads(text)["alipay_trade_query_response"]["code"] == "40004"


def test_the_answer_is_signed_over_its_raw_text(sandbox: Sandbox, sdk: AliPay) -> None:
    pay(sdk, sandbox)
    sandbox.fault("alipay.trade.query", "brace")
    text = call(sandbox, signed(biz_content='{"out_trade_no":"T1"}')).text
    name = '{"alipay_trade_query_response":'
    node, end = json.JSONDecoder().raw_decode(text, len(name))
    assert node["memo"].count("}") == 1
    key = serialization.load_pem_public_key(ALIPAY_KEYS.public.encode())
    sign = base64.b64decode(json.loads(text)["sign"])
    key.verify(sign, text[len(name) : end].encode(), padding.PKCS1v15(), hashes.SHA256())  # type: ignore[union-attr, call-arg, arg-type]


def test_a_false_signature_is_noticed_by_the_sdk(sandbox: Sandbox, sdk: AliPay) -> None:
    sandbox.fault("alipay.trade.query", "bad_sign")
    with pytest.raises(AliPayValidationError):
        sdk.api_alipay_trade_query(out_trade_no="T1")


def test_switches_answer_for_the_platform(sandbox: Sandbox, sdk: AliPay) -> None:
    for kind, code in (("limited", "40005"), ("not_granted", "40006"), ("error:ACQ.SYSTEM_ERROR", "40004")):
        sandbox.fault("alipay.trade.query", kind)
        assert sdk.api_alipay_trade_query(out_trade_no="T1")["code"] == code


def test_oauth_gives_the_person_of_the_phone_once(sandbox: Sandbox, sdk: AliPay) -> None:
    back = requests.get(
        f"{sandbox.url}/alipay-oauth/oauth2/publicAppAuthorize.htm",
        params={
            "app_id": APP_ID,
            "scope": "auth_base",
            "redirect_uri": "http://shop.localhost/back?a=1",
            "state": "xyz",
        },
        cookies={"sandbox_person": "customer_b"},
        allow_redirects=False,
        timeout=5,
    )
    assert back.status_code == 302 and back.headers["Location"].startswith(
        "http://shop.localhost/back?a=1&app_id="
    )
    assert "state=xyz" in back.headers["Location"]
    code = back.headers["Location"].split("auth_code=")[1].split("&")[0]
    token = sdk.server_api("alipay.system.oauth.token", grant_type="authorization_code", code=code)
    assert token["user_id"] == "2088000000000002" and "code" not in token
    with pytest.raises(AliPayException, match="code-invalid"):
        sdk.server_api("alipay.system.oauth.token", grant_type="authorization_code", code=code)
    info = sdk.server_api("alipay.user.info.share", auth_token=token["access_token"])
    assert info["nick_name"] == "顾客乙"


def test_oauth_without_a_person_asks_who_it_is(sandbox: Sandbox) -> None:
    page = requests.get(
        f"{sandbox.url}/alipay-oauth/oauth2/publicAppAuthorize.htm",
        params={"app_id": APP_ID, "scope": "auth_base", "redirect_uri": "http://shop.localhost/back"},
        timeout=5,
    )
    assert page.status_code == 200 and "顾客乙" in page.text


def test_open_id_mode_hides_the_user_id(sandbox: Sandbox, sdk: AliPay) -> None:
    entry = sandbox.world.entry("alipay_apps", APP_ID) or {}
    sandbox.control("config", {"alipay_apps": [{**entry, "id_mode": "open_id"}]})
    paid = pay(sdk, sandbox)
    assert paid["buyer_open_id"] and "buyer_user_id" not in paid
    assert sandbox.ledger()["payments"][0]["merchant"] == PID
