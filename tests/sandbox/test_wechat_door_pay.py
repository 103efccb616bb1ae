"""WeChat Pay v2 doors: signatures, outcomes of a payment code, giving back. Signatures by wechatpy."""

import secrets
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
import xmltodict
from wechatpy.pay.utils import calculate_signature, calculate_signature_hmac

from miniapp.sandbox import wechat_pay_wire
from tests.sandbox.conftest import APP_ID, MCH_ID, V2_KEY, Sandbox, number


def send(sandbox: Sandbox, path: str, *, sign_type: str = "MD5", **fields: object) -> requests.Response:
    values = {"appid": APP_ID, "mch_id": MCH_ID, "nonce_str": secrets.token_hex(16)}
    values |= {name: str(value) for name, value in fields.items()}
    if sign_type != "MD5":
        values["sign_type"] = sign_type
    sign = calculate_signature if sign_type == "MD5" else calculate_signature_hmac
    values.setdefault("sign", sign(values, V2_KEY))
    body = xmltodict.unparse({"xml": values}).encode()
    return requests.post(f"{sandbox.base}/wechat-pay{path}", data=body, timeout=30)


def call(sandbox: Sandbox, path: str, **fields: object) -> dict:
    answer = xmltodict.parse(send(sandbox, path, **fields).content)["xml"]
    if answer["return_code"] == "SUCCESS":
        sign = calculate_signature if fields.get("sign_type", "MD5") == "MD5" else calculate_signature_hmac
        assert answer["sign"] == sign({k: v for k, v in answer.items() if k != "sign"}, V2_KEY)
    return answer


def charge(sandbox: Sandbox, out_trade_no: str, auth_code: str, fen: int = 8800, **more: object) -> dict:
    fields = {
        "body": "92号汽油",
        "out_trade_no": out_trade_no,
        "total_fee": fen,
        "spbill_create_ip": "127.0.0.1",
    }
    return call(sandbox, "/pay/micropay", **fields, auth_code=auth_code, **more)


def query(sandbox: Sandbox, out_trade_no: str) -> dict:
    return call(sandbox, "/pay/orderquery", out_trade_no=out_trade_no)


def test_signature_vectors_of_the_protocol():
    values = {"appid": "wxd930ea5d5a258f4f", "mch_id": "10000100", "device_info": "1000", "body": "test"}
    values["nonce_str"] = "ibuaiVcKdpRxkhJA"
    assert wechat_pay_wire.sign(values, V2_KEY) == "9A0A8659F005D6984697E2CA0A9CF3B7"
    hmac = wechat_pay_wire.sign(values, V2_KEY, "HMAC-SHA256")
    assert hmac == "6A9AE1657590FD6257D693A078E1C3E4BB6BA4DC30B23E0EE2496E54170DACD6"


@pytest.mark.parametrize("sign_type", ["MD5", "HMAC-SHA256"])
def test_payment_code_is_charged_once(sandbox: Sandbox, sign_type: str):
    mine, code = number(), sandbox.code()
    paid = charge(sandbox, mine, code, device_info="S001-P03", attach="S001|P03|1", sign_type=sign_type)
    assert paid["result_code"] == "SUCCESS"
    assert (paid["openid"], paid["total_fee"], paid["cash_fee"]) == ("oCustomerA", "8800", "8800")
    assert (paid["is_subscribe"], paid["trade_type"]) == ("Y", "MICROPAY")
    assert charge(sandbox, number(), code)["err_code"] == "AUTHCODEEXPIRE"
    assert charge(sandbox, mine, sandbox.code())["err_code"] == "ORDERPAID"
    assert charge(sandbox, mine, sandbox.code(), fen=1)["err_code"] == "OUT_TRADE_NO_USED"
    assert query(sandbox, mine)["transaction_id"] == paid["transaction_id"]
    assert [p["state"] for p in sandbox.payments() if p["out_trade_no"] == mine] == ["paid"]


def test_code_lives_a_minute_and_only_if_a_phone_shows_it(sandbox: Sandbox):
    code = sandbox.code()
    sandbox.post("/control/clock", {"advance": 61})
    assert charge(sandbox, number(), code)["err_code"] == "AUTHCODEEXPIRE"
    assert charge(sandbox, number(), "134567890123456789")["err_code"] == "AUTH_CODE_INVALID"
    assert charge(sandbox, number(), "994567890123456789")["err_code"] == "AUTH_CODE_ERROR"


def test_wrong_signature_merchant_or_app_is_refused_unsigned(sandbox: Sandbox):
    for changed in ({"sign": "0" * 32}, {"mch_id": "1"}, {"appid": "wxother"}):
        answer = xmltodict.parse(send(sandbox, "/pay/orderquery", out_trade_no="x", **changed).content)["xml"]
        assert answer["return_code"] == "FAIL"
        assert "sign" not in answer
    raw = requests.post(f"{sandbox.base}/wechat-pay/pay/orderquery", data=b"<!DOCTYPE x><xml/>", timeout=9)
    assert "XML" in raw.content.decode()
    assert call(sandbox, "/pay/micropay", out_trade_no=number())["err_code"] == "LACK_PARAMS"


def test_password_is_awaited_until_the_person_answers(sandbox: Sandbox):
    mine = number()
    assert charge(sandbox, mine, sandbox.code(), fen=100_001)["err_code"] == "USERPAYING"
    assert query(sandbox, mine)["trade_state"] == "USERPAYING"
    sandbox.post("/control/payments/answer", {"person": "customer_a"})
    assert query(sandbox, mine)["trade_state"] == "SUCCESS"


def test_password_by_queries_and_refusal(sandbox: Sandbox):
    paid, refused = number(), number()
    charge(sandbox, paid, sandbox.code(outcome="userpaying:2"))
    assert [query(sandbox, paid)["trade_state"] for _ in range(2)] == ["USERPAYING", "SUCCESS"]
    charge(sandbox, refused, sandbox.code(outcome="payerror"))
    assert query(sandbox, refused)["trade_state"] == "PAYERROR"
    assert charge(sandbox, number(), sandbox.code(outcome="notenough"))["err_code"] == "NOTENOUGH"


def test_unknown_outcomes(sandbox: Sandbox):
    mine = number()
    sandbox.fault("wechat_pay.micropay", "systemerror_but_paid")
    assert charge(sandbox, mine, sandbox.code())["err_code"] == "SYSTEMERROR"
    assert query(sandbox, mine)["trade_state"] == "SUCCESS"
    for kind in ("commit_then_drop", "cut_reply:40", "cut_reply:0"):
        mine = number()
        sandbox.fault("wechat_pay.micropay", kind)
        with pytest.raises(requests.RequestException):
            charge(sandbox, mine, sandbox.code())
        assert query(sandbox, mine)["trade_state"] == "SUCCESS"
    mine = number()
    sandbox.fault("wechat_pay.micropay", "http_504_but_done", match={"out_trade_no": mine})
    assert send(sandbox, "/pay/orderquery", out_trade_no=mine).status_code == 200
    code = sandbox.code()
    fields = {"body": "x", "out_trade_no": mine, "total_fee": 1, "spbill_create_ip": "::1", "auth_code": code}
    assert send(sandbox, "/pay/micropay", **fields).status_code == 504
    assert query(sandbox, mine)["trade_state"] == "SUCCESS"
    sandbox.fault("wechat_pay.micropay", "drop")
    with pytest.raises(requests.ConnectionError):
        charge(sandbox, number(), sandbox.code())


def test_order_may_be_hidden_for_a_while(sandbox: Sandbox):
    mine = number()
    charge(sandbox, mine, sandbox.code(hidden_queries=1))
    assert query(sandbox, mine)["err_code"] == "ORDERNOTEXIST"
    assert query(sandbox, mine)["trade_state"] == "SUCCESS"


def test_bad_signature_and_foreign_answer(sandbox: Sandbox):
    mine = number()
    charge(sandbox, mine, sandbox.code())
    sandbox.fault("wechat_pay.orderquery", "bad_sign")
    assert (
        xmltodict.parse(send(sandbox, "/pay/orderquery", out_trade_no=mine).content)["xml"]["sign"]
        == "0" * 32
    )
    sandbox.fault("wechat_pay.orderquery", "foreign")
    assert query(sandbox, mine)["out_trade_no"] != mine


def test_coupons_show_in_every_answer(sandbox: Sandbox):
    mine = number()
    code = sandbox.code(merchant_discount_fen=1000, platform_discount_fen=500)
    paid = charge(sandbox, mine, code, fen=30_000)
    assert (paid["cash_fee"], paid["coupon_fee"], paid["settlement_total_fee"]) == ("28500", "1500", "29000")
    assert '"merchant_contribute":1000' in paid["promotion_detail"]
    found = query(sandbox, mine)
    assert (found["coupon_count"], found["coupon_type_0"], found["coupon_fee_1"]) == ("2", "NO_CASH", "500")


def test_reverse_closes_or_gives_back_once(sandbox: Sandbox):
    unpaid, paid = number(), number()
    charge(sandbox, unpaid, sandbox.code(outcome="userpaying"))
    charge(sandbox, paid, sandbox.code())
    for mine in (unpaid, paid, paid):
        assert call(sandbox, "/secapi/pay/reverse", out_trade_no=mine)["recall"] == "N"
        assert query(sandbox, mine)["trade_state"] == "REVOKED"
    assert sandbox.payment(unpaid)["state"] == "closed"
    assert [r["amount_fen"] for r in sandbox.payment(paid)["refunds"]] == [8800]
    assert charge(sandbox, paid, sandbox.code())["err_code"] == "ORDERREVERSED"
    assert call(sandbox, "/secapi/pay/reverse", out_trade_no=number())["err_code"] == "ORDERNOTEXIST"
    sandbox.fault("wechat_pay.reverse", "recall")
    assert call(sandbox, "/secapi/pay/reverse", out_trade_no=paid)["recall"] == "Y"


def refund(sandbox: Sandbox, mine: str, refund_no: str, fen: int, total: int = 8800) -> dict:
    fields = {"out_trade_no": mine, "out_refund_no": refund_no, "total_fee": total, "refund_fee": fen}
    return call(sandbox, "/secapi/pay/refund", **fields)


def test_refunds_are_partial_cumulative_and_idempotent(sandbox: Sandbox):
    mine, first, second = number(), number(), number()
    charge(sandbox, mine, sandbox.code())
    assert refund(sandbox, mine, first, 3000)["result_code"] == "SUCCESS"
    assert refund(sandbox, mine, first, 3000)["result_code"] == "SUCCESS"
    assert refund(sandbox, mine, first, 3001)["err_code"] == "REFUND_FEE_MISMATCH"
    assert refund(sandbox, mine, second, 5801)["err_code"] == "INVALID_REQUEST"
    assert refund(sandbox, mine, second, 1, total=9)["err_code"] == "REFUND_FEE_MISMATCH"
    assert refund(sandbox, mine, second, 5800)["result_code"] == "SUCCESS"
    found = call(sandbox, "/pay/refundquery", out_trade_no=mine)
    assert (found["refund_count"], found["refund_fee_0"], found["refund_status_1"]) == (
        "2",
        "3000",
        "SUCCESS",
    )
    assert query(sandbox, mine)["trade_state"] == "REFUND"
    assert sum(r["amount_fen"] for r in sandbox.payment(mine)["refunds"]) == 8800
    assert call(sandbox, "/pay/refundquery", out_refund_no=number())["err_code"] == "REFUNDNOTEXIST"


def test_refund_under_way_and_lost_answer(sandbox: Sandbox):
    mine, refund_no = number(), number()
    charge(sandbox, mine, sandbox.code())
    sandbox.fault("wechat_pay.refund", "processing:2")
    refund(sandbox, mine, refund_no, 100)
    seen = [call(sandbox, "/pay/refundquery", out_refund_no=refund_no)["refund_status_0"] for _ in range(2)]
    assert seen == ["PROCESSING", "SUCCESS"]
    sandbox.fault("wechat_pay.refund", "systemerror_but_done")
    lost = number()
    assert refund(sandbox, mine, lost, 200)["err_code"] == "SYSTEMERROR"
    assert call(sandbox, "/pay/refundquery", out_refund_no=lost)["refund_fee_0"] == "200"


def test_one_number_pays_once_under_a_race(sandbox: Sandbox):
    mine, several = number(), [sandbox.code() for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda code: charge(sandbox, mine, code), several))
    assert sum(answer["result_code"] == "SUCCESS" for answer in answers) == 1
    assert len([p for p in sandbox.payments() if p["out_trade_no"] == mine]) == 1
