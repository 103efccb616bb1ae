"""The WeChat gateway against a peer that signs as the platform does (wechatpy's signature, pyca's RSA)."""

import base64
import gzip
import hashlib
import json
import logging
import time
from datetime import UTC, date, datetime

import pytest
import xmltodict
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from wechatpy.pay.utils import calculate_signature, calculate_signature_hmac, dict_to_xml

from miniapp.payments import gateways
from miniapp.payments.gateways import ChargeOrder, MerchantSettings, Payer, RefundOrder, Tender
from miniapp.platforms import flat_xml, wechat_pay_v2
from tests.platforms.peers import DROP, Answer, peer

KEY = "192006250b4c09247ec02edce69f6a2d"
APP, MERCHANT, CODE, NUMBER = "wx8888888888888888", "1900000109", "130000000000000017", "S001202611240001"
ORDER = ChargeOrder(NUMBER, 30000, "92号汽油", store="S001", terminal="P03", operator="10001")
PAID = {
    "result_code": "SUCCESS",
    "openid": "oPayer",
    "trade_type": "MICROPAY",
    "total_fee": "30000",
    "cash_fee": "30000",
    "transaction_id": "4200002468202611231234567801",
    "out_trade_no": NUMBER,
    "time_end": "20261124081245",
}
BILL_DAY = date(2026, 11, 23)


def settings(base, **more):
    values = {"api_v2_key": KEY, "cert_serial": "AB12", "platform_key_id": "PUB_KEY_ID_01", **more}
    return MerchantSettings("main", "wechat", MERCHANT, APP, base, **values)


def signed(fields, *, key=KEY, **altered):
    whole = {"return_code": "SUCCESS", "appid": APP, "mch_id": MERCHANT, "nonce_str": "n", **fields}
    seal = calculate_signature(whole, key)
    return Answer(dict_to_xml({**whole, **altered}, seal).encode())


def ask(answer, what):
    """What our gateway makes of one answer, and the request that it sent."""
    with peer(lambda _: answer) as other:
        result = what(gateways.of(settings(other.base)))
    return result, other.seen


def test_signature_vector_of_the_platform():
    fields = {
        "appid": "wxd930ea5d5a258f4f",
        "mch_id": "10000100",
        "device_info": "1000",
        "body": "test",
        "nonce_str": "ibuaiVcKdpRxkhJA",
        "empty": "",
    }
    assert wechat_pay_v2.signature(fields, KEY) == "9A0A8659F005D6984697E2CA0A9CF3B7"
    hmac = wechat_pay_v2.signature(fields, KEY, "HMAC-SHA256")
    assert hmac == "6A9AE1657590FD6257D693A078E1C3E4BB6BA4DC30B23E0EE2496E54170DACD6"
    assert hmac == calculate_signature_hmac(fields, KEY)


def test_a_charge_is_one_signed_call_and_its_answer_is_proof():
    answer, seen = ask(signed(PAID), lambda gateway: gateway.charge(ORDER, CODE))
    sent = xmltodict.parse(seen[0].body)["xml"]
    seal = sent.pop("sign")
    assert seal == calculate_signature(sent, KEY)
    assert (sent["auth_code"], sent["total_fee"], sent["device_info"]) == (CODE, "30000", "P03")
    assert sent["attach"] == "S001|P03|10001" and seen[0].path == "/pay/micropay" and len(seen) == 1
    assert isinstance(answer, gateways.Paid)
    assert answer.payer == Payer(APP, "oPayer")
    assert answer.tenders == (Tender("wallet", "customer", 30000),)
    assert answer.paid_at == datetime(2026, 11, 24, 0, 12, 45, tzinfo=UTC)
    ours = {"merchant_no": MERCHANT, "out_trade_no": NUMBER, "amount_fen": 30000}
    assert gateways.disagreements(answer, **ours) == []
    assert gateways.disagreements(answer, **{**ours, "amount_fen": 30001}) == ["amount_fen"]
    assert gateways.disagreements(answer, **{**ours, "merchant_no": "1"}) == ["merchant_no"]


@pytest.mark.parametrize(
    ("more", "tenders"),
    [
        ({"cash_fee": "29000", "coupon_fee": "1000", "settlement_total_fee": "29000"}, [("merchant", 1000)]),
        ({"cash_fee": "28000", "coupon_fee": "2000"}, [("platform", 2000)]),
        (
            {
                "cash_fee": "28000",
                "coupon_fee": "2000",
                "promotion_detail": json.dumps(
                    {"promotion_detail": [{"merchant_contribute": 500, "wxpay_contribute": 1000}]}
                ),
            },
            [("merchant", 500), ("platform", 1000), ("other", 500)],
        ),
    ],
)
def test_coupons_are_told_apart_by_who_funded_them(more, tenders):
    answer, _ = ask(signed({**PAID, **more}), lambda gateway: gateway.charge(ORDER, CODE))
    assert [(part.funder, part.amount_fen) for part in answer.tenders[1:]] == tenders
    assert sum(part.amount_fen for part in answer.tenders) == 30000


@pytest.mark.parametrize(
    "code", ["SYSTEMERROR", "BANKERROR", "ORDERPAID", "OUT_TRADE_NO_USED", "NEVER_HEARD_OF"]
)
def test_these_refusals_are_unknown(code):
    answer, _ = ask(
        signed({"result_code": "FAIL", "err_code": code}), lambda gateway: gateway.charge(ORDER, CODE)
    )
    assert isinstance(answer, gateways.Unknown) and answer.code == code and answer.sent


@pytest.mark.parametrize(
    "code",
    [
        "AUTHCODEEXPIRE",
        "AUTH_CODE_ERROR",
        "AUTH_CODE_INVALID",
        "NOTENOUGH",
        "NOTSUPORTCARD",
        "TRADE_ERROR",
        "BUYER_MISMATCH",
        "ORDERCLOSED",
        "ORDERREVERSED",
        "NOAUTH",
        "PARAM_ERROR",
        "SIGNERROR",
    ],
)
def test_these_refusals_are_final_and_have_words(code):
    answer, _ = ask(
        signed({"result_code": "FAIL", "err_code": code}), lambda gateway: gateway.charge(ORDER, CODE)
    )
    assert isinstance(answer, gateways.Failed) and answer.final and answer.code == code
    assert answer.alarm == (code in ("NOAUTH", "PARAM_ERROR", "SIGNERROR"))


def test_the_password_box_is_waiting():
    waits = signed({"result_code": "FAIL", "err_code": "USERPAYING"})
    assert isinstance(ask(waits, lambda gateway: gateway.charge(ORDER, CODE))[0], gateways.Waiting)


@pytest.mark.parametrize(
    "answer",
    [
        signed(PAID, key="another key"),
        signed(PAID, total_fee="1"),
        signed({**PAID, "mch_id": "1900000110"}),
        signed({**PAID, "out_trade_no": "S001202611240002"}),
        signed({**PAID, "total_fee": "３００"}),
        Answer(b"<xml><return_code>SUCCESS</return_code><result_code>SUCCESS</result_code></xml>"),
        Answer(b"<xml><return_code>FAIL</return_code><return_msg>sign error</return_msg></xml>"),
        Answer(b'<!DOCTYPE x [<!ENTITY e "SUCCESS">]><xml><return_code>&e;</return_code></xml>'),
        Answer(b"<html>504</html>"),
        Answer(b"", 504),
        DROP,
    ],
)
def test_an_answer_that_cannot_be_believed_is_unknown(answer):
    assert isinstance(ask(answer, lambda gateway: gateway.charge(ORDER, CODE))[0], gateways.Unknown)


def test_a_reply_cut_at_every_tenth_byte_is_unknown():
    whole = signed(PAID).body
    with peer(lambda _: None) as other:
        gateway = gateways.of(settings(other.base))
        for cut in range(0, len(whole), 10):
            short = Answer(whole[:cut])  # of a matching length: only the content can tell
            other.answer = lambda _, answer=short: answer
            assert isinstance(gateway.charge(ORDER, CODE), gateways.Unknown)


def test_the_payment_code_is_written_nowhere(caplog):
    caplog.set_level(logging.DEBUG)
    echo = signed(
        {"result_code": "FAIL", "err_code": "AUTHCODEEXPIRE", "err_code_des": f"code {CODE} expired"}
    )
    found = [ask(answer, lambda gateway: gateway.charge(ORDER, CODE))[0] for answer in (signed(PAID), DROP)]
    refused, _ = ask(echo, lambda gateway: gateway.charge(ORDER, CODE))
    denied = Answer(f"<xml><return_code>FAIL</return_code><return_msg>{CODE}</return_msg></xml>".encode())
    unsigned, _ = ask(denied, lambda gateway: gateway.charge(ORDER, CODE))
    # wechatpy signs for the peer here and writes its key down; our program does not use that function.
    ours = [record for record in caplog.records if not record.name.startswith("wechatpy")]
    said = "".join(str(record.__dict__) + record.getMessage() for record in ours)
    for answer in (*found, refused, unsigned):
        said += repr(answer) + str(answer.evidence)
    assert ours and CODE not in said and KEY not in said
    assert refused.words == "code *** expired"


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("SUCCESS", gateways.Paid),
        ("REFUND", gateways.PartlyRefunded),
        ("NOTPAY", gateways.Waiting),
        ("USERPAYING", gateways.Waiting),
        ("ACCEPT", gateways.Waiting),
        ("CLOSED", gateways.Closed),
        ("REVOKED", gateways.Revoked),
        ("PAYERROR", gateways.Failed),
        ("WHATEVER", gateways.Unknown),
    ],
)
def test_each_state_of_an_order(state, kind):
    answer, seen = ask(signed({**PAID, "trade_state": state}), lambda gateway: gateway.query(NUMBER))
    assert isinstance(answer, kind) and seen[0].path == "/pay/orderquery"
    if state == "PAYERROR":
        assert not answer.final
    if state == "REFUND":
        assert answer.payment.amount_fen == 30000


def test_an_order_that_does_not_exist_is_not_found_and_a_busy_platform_unknown():
    gone = signed({"result_code": "FAIL", "err_code": "ORDERNOTEXIST"})
    busy = signed({"result_code": "FAIL", "err_code": "SYSTEMERROR"})
    assert isinstance(ask(gone, lambda gateway: gateway.query(NUMBER))[0], gateways.NotFound)
    assert isinstance(ask(busy, lambda gateway: gateway.query(NUMBER))[0], gateways.Unknown)


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"result_code": "SUCCESS", "recall": "N"}, gateways.Cancelled),
        ({"result_code": "SUCCESS", "recall": "Y"}, gateways.CancelAgain),
        ({"result_code": "FAIL", "err_code": "SYSTEMERROR", "recall": "Y"}, gateways.CancelAgain),
        ({"result_code": "FAIL", "err_code": "REVERSE_EXPIRE", "recall": "N"}, gateways.Failed),
    ],
)
def test_cancel(fields, kind):
    answer, seen = ask(signed(fields), lambda gateway: gateway.cancel(NUMBER))
    assert isinstance(answer, kind) and seen[0].path == "/secapi/pay/reverse"


def test_an_accepted_refund_is_not_a_refund_until_it_is_queried():
    order = RefundOrder(NUMBER, "R1", 30000, 5000)
    accepted = signed({"result_code": "SUCCESS", "refund_id": "503", "out_refund_no": "R1"})
    assert isinstance(ask(accepted, lambda gateway: gateway.refund(order))[0], gateways.Refunding)
    poor = signed({"result_code": "FAIL", "err_code": "NOTENOUGH"})
    assert ask(poor, lambda gateway: gateway.refund(order))[0].final
    again = signed({"result_code": "FAIL", "err_code": "BIZERR_NEED_RETRY"})
    assert isinstance(ask(again, lambda gateway: gateway.refund(order))[0], gateways.Unknown)


def test_a_refund_query_finds_its_own_among_several():
    fields = {"result_code": "SUCCESS", "out_trade_no": NUMBER, "refund_count": "2"}
    fields |= {"out_refund_no_0": "R0", "refund_status_0": "PROCESSING", "refund_fee_0": "100"}
    fields |= {
        "out_refund_no_1": "R1",
        "refund_status_1": "SUCCESS",
        "refund_fee_1": "5000",
        "refund_id_1": "503",
    }
    fields |= {"coupon_refund_fee_1": "200", "refund_success_time_1": "2026-11-24 10:20:00"}
    done, _ = ask(signed(fields), lambda gateway: gateway.query_refund(NUMBER, "R1"))
    assert (done.refund_fen, done.platform_refund_no) == (5000, "503")
    assert done.tenders == (Tender("wallet", "customer", 4800), Tender("coupon", "platform", 200))
    assert done.refunded_at == datetime(2026, 11, 24, 2, 20, tzinfo=UTC)
    open_one, _ = ask(signed(fields), lambda gateway: gateway.query_refund(NUMBER, "R0"))
    assert isinstance(open_one, gateways.Refunding)
    foreign, _ = ask(signed(fields), lambda gateway: gateway.query_refund(NUMBER, "R9"))
    assert isinstance(foreign, gateways.Unknown)
    gone = signed({"result_code": "FAIL", "err_code": "REFUNDNOTEXIST"})
    assert isinstance(ask(gone, lambda gateway: gateway.query_refund(NUMBER, "R1"))[0], gateways.NotFound)


class Bills:
    """The bill side of WeChat Pay: verifies our signature, signs its own, keeps one file."""

    def __init__(self, ours, platform, *, content=b"", packed=True, refusal=None, spoil=""):
        self.ours, self.platform, self.content = ours, platform, content
        self.packed, self.refusal, self.spoil = packed, refusal, spoil
        self.base = ""

    def __call__(self, request):
        self._check(request)
        if request.path == "/v3/billdownload/file":
            content = self.content + (b"!" if self.spoil == "content" else b"")
            return Answer(gzip.compress(content) if self.packed else content)
        if self.refusal:
            status, code = self.refusal
            return Answer(json.dumps({"code": code, "message": "x"}).encode(), status)
        host = "http://127.0.0.1:9" if self.spoil == "host" else self.base
        digest = hashlib.sha1(self.content).hexdigest()
        where = {
            "hash_type": "SHA1",
            "hash_value": digest,
            "download_url": f"{host}/v3/billdownload/file?token=t",
        }
        body = json.dumps(where).encode()
        stamp = str(int(time.time()) - (900 if self.spoil == "time" else 0))
        signed_text = f"{stamp}\nnonce\n".encode() + body + b"\n"
        signer = self.ours if self.spoil == "key" else self.platform
        seal = signer.handle.sign(signed_text, padding.PKCS1v15(), hashes.SHA256())
        if self.spoil == "body":
            body = body.replace(b"SHA1", b"SHA2")
        serial = "PUB_KEY_ID_02" if self.spoil == "serial" else "PUB_KEY_ID_01"
        heads = {"Wechatpay-Timestamp": stamp, "Wechatpay-Nonce": "nonce", "Wechatpay-Serial": serial}
        return Answer(body, headers={**heads, "Wechatpay-Signature": base64.b64encode(seal).decode()})

    def _check(self, request):
        scheme, _, rest = request.headers["authorization"].partition(" ")
        parts = dict(part.split("=", 1) for part in rest.split(","))
        parts = {name: value.strip('"') for name, value in parts.items()}
        text = f"GET\n{request.target}\n{parts['timestamp']}\n{parts['nonce_str']}\n\n"
        seal = base64.b64decode(parts["signature"])
        key = self.ours.handle.public_key()
        key.verify(seal, text.encode(), padding.PKCS1v15(), hashes.SHA256())
        assert (scheme, parts["mchid"], parts["serial_no"]) == ("WECHATPAY2-SHA256-RSA2048", MERCHANT, "AB12")


def fetch(bills, our_keys, platform_keys):
    with peer(bills) as other:
        bills.base = other.base
        mine = settings(other.base, merchant_key=our_keys.private, platform_key=platform_keys.public)
        return gateways.of(mine).fetch_bill(BILL_DAY)


@pytest.mark.parametrize("packed", [True, False])
def test_a_bill_is_fetched_at_once_and_checked_by_its_hash(our_keys, platform_keys, packed):
    content = "交易时间,公众账号ID\r\n".encode()
    bill = fetch(Bills(our_keys, platform_keys, content=content, packed=packed), our_keys, platform_keys)
    assert bill.content == content and bill.hash_checked and bill.bill_date == BILL_DAY


@pytest.mark.parametrize("spoil", ["content", "host", "body", "key", "serial", "time"])
def test_a_bill_with_a_fault_on_its_way_is_unknown(our_keys, platform_keys, spoil):
    bills = Bills(our_keys, platform_keys, content=b"a,b\r\n", spoil=spoil)
    assert isinstance(fetch(bills, our_keys, platform_keys), gateways.Unknown)


@pytest.mark.parametrize(
    ("refusal", "at", "kind"),
    [
        ((400, "STATEMENT_CREATING"), "2026-11-24 11:00:00", gateways.NotYet),
        ((400, "NO_STATEMENT_EXIST"), "2026-11-24 09:59:00", gateways.NotYet),
        ((400, "NO_STATEMENT_EXIST"), "2026-11-24 10:00:00", gateways.EmptyDay),
        ((429, "FREQUENCY_LIMITED"), "2026-11-24 10:00:00", gateways.NotYet),
        ((403, "NO_AUTH"), "2026-11-24 10:00:00", gateways.Failed),
        ((500, "SYSTEM_ERROR"), "2026-11-24 10:00:00", gateways.Unknown),
    ],
)
def test_why_there_is_no_bill(our_keys, platform_keys, clock, refusal, at, kind):
    clock.set_beijing(at)
    bills = Bills(our_keys, platform_keys, refusal=refusal)
    assert isinstance(fetch(bills, our_keys, platform_keys), kind)


@pytest.mark.parametrize(
    "text",
    [
        "<xml><a>1</a><a>2</a></xml>",
        "<xml><a><b>1</b></a></xml>",
        "<xml>x</xml>",
        "",
        "<xml><a>1</a>",
        "<!DOCTYPE xml><xml><a>1</a></xml>",
        '<!DOCTYPE x [<!ENTITY e "1">]><xml><a>&e;</a></xml>',
        "<?php x?><xml><a>1</a></xml>",
    ],
)
def test_xml_that_is_not_flat_is_refused(text):
    with pytest.raises(flat_xml.BadXml):
        flat_xml.read(text.encode())


def test_xml_round_trip_with_signs_that_need_care():
    fields = {"body": "<a>&]]>\"'", "attach": "甲|乙"}
    assert flat_xml.read(flat_xml.write(fields)) == fields
    assert xmltodict.parse(flat_xml.write(fields))["xml"] == fields
