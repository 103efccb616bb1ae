"""The Alipay gateway against a peer that verifies and signs with pyca, over raw text."""

import base64
import json
import logging
from datetime import UTC, date, datetime

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from miniapp.payments import gateways
from miniapp.payments.gateways import ChargeOrder, MerchantSettings, Payer, RefundOrder, Tender
from miniapp.platforms.alipay import top_members
from tests.platforms.peers import DROP, Answer, peer

APP, NUMBER, CODE = "2021000000000001", "S001202611240001", "280000000000000017"
ORDER = ChargeOrder(NUMBER, 30000, "92号/汽油", store="S001", terminal="P03", operator="10001")
PAID = {
    "code": "10000",
    "msg": "Success",
    "trade_no": "2026112422001400000000000001",
    "out_trade_no": NUMBER,
    "total_amount": "300.00",
    "receipt_amount": "295.00",
    "buyer_pay_amount": "292.00",
    "buyer_open_id": "openid-of-payer",
    "gmt_payment": "2026-11-24 08:12:45",
}
BILL_DAY = date(2026, 11, 23)


class Alipay:
    """The gateway's side: checks the signature over what arrived, signs the node's own text."""

    def __init__(self, ours, platform, values, *, node=None, seal=True, escape=False, text=None, tail=""):
        self.ours, self.platform, self.values = ours, platform, values
        self.node, self.seal, self.escape, self.text, self.tail = node, seal, escape, text, tail

    def __call__(self, request):
        if request.path != "/gateway.do":
            return Answer(b"PK\x03\x04zip")
        sent = {**request.query, **request.form}
        signature = base64.b64decode(sent.pop("sign"))
        text = "&".join(f"{name}={sent[name]}" for name in sorted(sent) if sent[name])
        key = self.ours.handle.public_key()
        key.verify(signature, text.encode(), padding.PKCS1v15(), hashes.SHA256())
        name = self.node or sent["method"].replace(".", "_") + "_response"
        raw = json.dumps(self.values, ensure_ascii=False)
        raw = raw.replace("/", "\\/") if self.escape else raw
        body = f'{{"{name}":{self.text or raw}{self.tail}'
        if self.seal:
            signed = self.platform.handle.sign(raw.encode(), padding.PKCS1v15(), hashes.SHA256())
            body += f',"sign":"{base64.b64encode(signed).decode()}"'
        return Answer((body + "}").encode())


@pytest.fixture
def ask(our_keys, platform_keys):
    def run(values, what, **more):
        with peer(Alipay(our_keys, platform_keys, values, **more)) as other:
            bare = "".join(platform_keys.public.splitlines()[1:-1])  # as the console shows it
            mine = MerchantSettings(
                "main",
                "alipay",
                "2088000000000001",
                APP,
                other.base,
                app_key=our_keys.private,
                platform_key=bare,
            )
            return what(gateways.of(mine)), other.seen

    return run


def charge(gateway):
    return gateway.charge(ORDER, CODE)


def query(gateway):
    return gateway.query(NUMBER)


def test_a_charge_is_posted_with_the_code_in_its_body(ask, clock):
    answer, seen = ask(PAID, charge)
    content = json.loads(seen[0].form["biz_content"])
    assert (content["auth_code"], content["total_amount"], content["terminal_id"]) == (CODE, "300.00", "P03")
    assert content["subject"] == "92号汽油"
    assert seen[0].query["timestamp"] == "2026-11-24 10:30:00"  # wall clock of GMT+8
    assert seen[0].method == "POST" and CODE not in seen[0].target and len(seen) == 1
    assert answer.payer == Payer(APP, "openid-of-payer") and answer.amount_fen == 30000
    assert answer.paid_at == datetime(2026, 11, 24, 0, 12, 45, tzinfo=UTC)
    assert answer.tenders == (
        Tender("wallet", "customer", 29200),
        Tender("coupon", "merchant", 500),
        Tender("coupon", "platform", 300),
    )


def test_tenders_come_from_the_fund_list_where_it_adds_up(ask):
    funds = [
        {"fund_channel": "ALIPAYACCOUNT", "amount": "200.00"},
        {"fund_channel": "PCREDIT", "amount": "90.00"},
        {"fund_channel": "MDISCOUNT", "amount": "5.00"},
        {"fund_channel": "POINT", "amount": "3.00"},
        {"fund_channel": "NEVER_HEARD_OF", "amount": "2"},
    ]
    answer, _ = ask({**PAID, "fund_bill_list": funds}, charge)
    assert answer.tenders == (
        Tender("wallet", "customer", 29000),
        Tender("coupon", "merchant", 500),
        Tender("points", "platform", 300),
        Tender("other", "other", 200),
    )


@pytest.mark.parametrize(
    "words", ["a } b", 'quote " and { brace', "back\\slash }", "https://qr.alipay.com/x"]
)
@pytest.mark.parametrize("escape", [True, False])
def test_the_signed_text_is_cut_out_exactly(ask, words, escape):
    tail = ',"alipay_cert_sn":"0123"'
    answer, _ = ask({**PAID, "store_name": words}, charge, escape=escape, tail=tail)
    assert isinstance(answer, gateways.Paid)


def test_a_text_signed_without_the_escape_of_slashes_is_accepted(ask):
    values = {**PAID, "store_name": "a/b"}
    escaped = json.dumps(values).replace("/", "\\/")
    assert isinstance(ask(values, charge, text=escaped)[0], gateways.Paid)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"code": "10003", "msg": "waiting"}, gateways.Waiting),
        ({"code": "20000", "sub_code": "aop.ACQ.SYSTEM_ERROR"}, gateways.Unknown),
        ({"code": "40004", "sub_code": "ACQ.SYSTEM_ERROR"}, gateways.Unknown),
        ({"code": "40004", "sub_code": "ACQ.TRADE_HAS_SUCCESS"}, gateways.Unknown),
        ({"code": "40004", "sub_code": "ACQ.CONTEXT_INCONSISTENT"}, gateways.Unknown),
        ({"code": "40004", "sub_code": "ACQ.NEVER_HEARD_OF"}, gateways.Unknown),
        ({"code": "40004", "sub_code": "ACQ.PAYMENT_AUTH_CODE_INVALID"}, gateways.Failed),
        ({"code": "40004", "sub_code": "ACQ.BUYER_BALANCE_NOT_ENOUGH"}, gateways.Failed),
        ({"code": "40006", "sub_code": "isv.insufficient-isv-permissions"}, gateways.Failed),
        ({**PAID, "out_trade_no": "S001202611240002"}, gateways.Unknown),
        ({**PAID, "total_amount": "300.001"}, gateways.Unknown),
        ({**PAID, "total_amount": "３"}, gateways.Unknown),
    ],
)
def test_each_outcome_of_a_charge(ask, values, kind):
    answer, _ = ask(values, charge)
    assert isinstance(answer, kind)
    if kind is gateways.Failed:
        assert answer.final


def test_no_money_follows_from_what_is_not_signed(ask, our_keys, platform_keys):
    refusal = {"code": "40002", "sub_code": "isv.invalid-app-id"}
    assert isinstance(ask(refusal, charge, node="error_response", seal=False)[0], gateways.Unknown)
    assert isinstance(ask(PAID, charge, seal=False)[0], gateways.Unknown)
    wrong = json.dumps({**PAID, "total_amount": "3000.00"})
    assert isinstance(ask(PAID, charge, text=wrong)[0], gateways.Unknown)
    assert isinstance(ask(PAID, query, node="alipay_trade_pay_response")[0], gateways.Unknown)


def test_silence_and_rubbish_are_unknown(our_keys, platform_keys):
    deep = b'{"alipay_trade_pay_response":' + b"[" * 100_000
    for answer in (DROP, Answer(b"{", 200), Answer(b"<html>", 502), Answer(deep), Answer(b"\xff\xfe")):
        with peer(lambda _, answer=answer: answer) as other:
            mine = MerchantSettings(
                "m",
                "alipay",
                "2088",
                APP,
                other.base,
                app_key=our_keys.private,
                platform_key=platform_keys.public,
            )
            assert isinstance(gateways.of(mine).charge(ORDER, CODE), gateways.Unknown)


def test_the_payment_code_is_written_nowhere(ask, caplog):
    caplog.set_level(logging.DEBUG)
    echo = {"code": "40004", "sub_code": "ACQ.PAYMENT_AUTH_CODE_INVALID", "sub_msg": f"bad {CODE}"}
    answers = [ask(values, charge)[0] for values in (PAID, echo, {**echo, "sub_code": "ACQ.X"})]
    said = "".join(str(record.__dict__) + record.getMessage() for record in caplog.records)
    said += "".join(repr(answer) + str(answer.evidence) for answer in answers)
    assert CODE not in said and answers[1].words == "bad ***"


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ({"trade_status": "TRADE_SUCCESS"}, gateways.Paid),
        ({"trade_status": "TRADE_FINISHED"}, gateways.Paid),
        ({"trade_status": "WAIT_BUYER_PAY"}, gateways.Waiting),
        ({"trade_status": "TRADE_CLOSED"}, gateways.Closed),
        ({"trade_status": "NEVER_HEARD_OF"}, gateways.Unknown),
        ({"code": "40004", "sub_code": "ACQ.TRADE_NOT_EXIST"}, gateways.NotFound),
        ({"code": "40004", "sub_code": "ACQ.SYSTEM_ERROR"}, gateways.Unknown),
    ],
)
def test_each_state_of_an_order(ask, more, kind):
    answer, _ = ask({**PAID, **more}, query)
    assert isinstance(answer, kind)
    if kind is gateways.Paid:
        ours = {"merchant_no": "2088000000000001", "out_trade_no": NUMBER, "amount_fen": 30000}
        assert gateways.disagreements(answer, **ours) == []


@pytest.mark.parametrize(
    ("values", "kind", "action"),
    [
        ({"code": "10000", "retry_flag": "N", "action": "refund"}, gateways.Cancelled, "refund"),
        ({"code": "10000", "retry_flag": "N", "action": "close"}, gateways.Cancelled, "close"),
        ({"code": "10000", "retry_flag": "N"}, gateways.Cancelled, "none"),
        ({"code": "10000", "retry_flag": "Y"}, gateways.CancelAgain, None),
        ({"code": "20000"}, gateways.CancelAgain, None),
        ({"code": "40004", "sub_code": "ACQ.REASON_ILLEGAL_STATUS"}, gateways.Failed, None),
    ],
)
def test_cancel(ask, values, kind, action):
    answer, _ = ask(values, lambda gateway: gateway.cancel(NUMBER))
    assert isinstance(answer, kind)
    if action:
        assert answer.action == action


def test_a_refund_counts_only_when_this_call_moved_the_money(ask):
    order = RefundOrder(NUMBER, "R1", 30000, 5000)
    done = {
        "code": "10000",
        "fund_change": "Y",
        "out_trade_no": NUMBER,
        "trade_no": "2026",
        "refund_fee": "80.00",
    }
    parts = {"present_refund_buyer_amount": "48.00", "present_refund_discount_amount": "2.00"}
    answer, seen = ask({**done, **parts}, lambda gateway: gateway.refund(order))
    assert answer.refund_fen == 5000  # refund_fee is what the trade gave back in all
    assert answer.tenders == (Tender("wallet", "customer", 4800), Tender("coupon", "platform", 200))
    assert json.loads(seen[0].form["biz_content"])["out_request_no"] == "R1"
    repeated, _ = ask({**done, "fund_change": "N"}, lambda gateway: gateway.refund(order))
    assert isinstance(repeated, gateways.Refunding)
    poor = {"code": "40004", "sub_code": "ACQ.SELLER_BALANCE_NOT_ENOUGH"}
    assert ask(poor, lambda gateway: gateway.refund(order))[0].final


def test_refund_query(ask):
    found = {
        "code": "10000",
        "refund_status": "REFUND_SUCCESS",
        "out_trade_no": NUMBER,
        "out_request_no": "R1",
    }
    found |= {"refund_amount": "50.00", "trade_no": "2026", "gmt_refund_pay": "2026-11-24 10:20:00"}
    answer, _ = ask(found, lambda gateway: gateway.query_refund(NUMBER, "R1"))
    assert answer.refund_fen == 5000 and answer.refunded_at == datetime(2026, 11, 24, 2, 20, tzinfo=UTC)
    other, _ = ask(found, lambda gateway: gateway.query_refund(NUMBER, "R2"))
    assert isinstance(other, gateways.Unknown)
    none, _ = ask({"code": "10000", "msg": "Success"}, lambda gateway: gateway.query_refund(NUMBER, "R1"))
    assert isinstance(none, gateways.NotFound)


@pytest.mark.parametrize(
    ("values", "at", "kind"),
    [
        ({"code": "40004", "sub_code": "isp.bill_not_exist"}, "2026-11-24 09:00:00", gateways.NotYet),
        ({"code": "40004", "sub_code": "BILL_NOT_EXIST"}, "2026-11-24 12:00:00", gateways.EmptyDay),
        (
            {"code": "10000", "bill_file_code": "EMPTY_DATA_WITH_BILL_FILE"},
            "2026-11-24 09:00:00",
            gateways.EmptyDay,
        ),
        (
            {"code": "10000", "bill_download_url": "http://127.0.0.1:9/x"},
            "2026-11-24 09:00:00",
            gateways.Unknown,
        ),
        ({"code": "40006", "sub_code": "isv.insufficient"}, "2026-11-24 09:00:00", gateways.Failed),
        ({"code": "20000"}, "2026-11-24 09:00:00", gateways.Unknown),
    ],
)
def test_why_there_is_no_bill(ask, clock, values, at, kind):
    clock.set_beijing(at)
    answer, _ = ask(values, lambda gateway: gateway.fetch_bill(BILL_DAY))
    assert isinstance(answer, kind)
    if isinstance(answer, gateways.EmptyDay):
        assert answer.proved == ("bill_file_code" in values)


def test_a_bill_is_the_zip_as_it_came(our_keys, platform_keys):
    side = Alipay(our_keys, platform_keys, {})
    with peer(side) as other:
        side.values = {
            "code": "10000",
            "bill_download_url": f"{other.base}/downloadBillFile.resource?token=1",
        }
        side.escape = True
        mine = MerchantSettings(
            "m",
            "alipay",
            "2088",
            APP,
            other.base,
            app_key=our_keys.private,
            platform_key=platform_keys.public,
        )
        bill = gateways.of(mine).fetch_bill(BILL_DAY)
    assert bill.content == b"PK\x03\x04zip" and bill.file_name == "2088_20261123.zip"


@pytest.mark.parametrize("text", ['{"a":1,"a":2}', "[1]", '{"a":1} x', '{"a" 1}', "", '{"a":1,}'])
def test_a_body_that_is_not_one_plain_object_is_refused(text):
    with pytest.raises(ValueError):
        top_members(text)
