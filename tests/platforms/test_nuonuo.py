"""The Nuonuo channel: the vector, each code and status, token, files and notices."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest

from miniapp.invoices import channels
from miniapp.invoices.channels import Buyer, ChannelSettings, IssueOrder, Line, Seller
from miniapp.platforms import nuonuo
from tests.platforms.peers import DROP, Answer, peer

TAXPAYER, SERIAL, NUMBER = "339902999999789113", "R20261124000001", "26312000000000000001"
ORDER = IssueOrder(
    serial=SERIAL,
    seller=Seller(TAXPAYER, "上海示例商贸有限公司"),
    buyer=Buyer("company", "北京示例商贸有限公司", "91110000710926094P"),
    invoice_kind="ordinary",
    lines=(
        Line(
            "92号汽油",
            "1070101010000000000",
            "0.13",
            17699,
            2301,
            20000,
            unit="升",
            quantity="26.1438",
            price="6.77",
        ),
    ),
    net_fen=17699,
    tax_fen=2301,
    total_fen=20000,
    ordered_at=datetime(2026, 11, 24, 2, 30, tzinfo=UTC),
    callback_url="https://shop.test/notify/channels/nuonuo/t",
)
ROW = {
    "serialNo": "2611240001",
    "orderNo": SERIAL,
    "status": "2",
    "allElectronicInvoiceNumber": NUMBER,
    "invoiceTime": 1795485845000,
    "taxAmount": "23.01",
    "orderAmount": "200.00",
    "payerName": "北京示例商贸有限公司",
    "payerTaxNo": "91110000710926094P",
    "pdfUrl": "PDF",
}


class Nuonuo:
    """The platform: checks token and signature over the bytes, then answers what it was told to."""

    def __init__(self):
        self.answers, self.tokens, self.lost = [], 0, False
        self.asked = []

    def __call__(self, request):
        if request.path == "/accessToken":
            if request.form["client_secret"] != "SECRET":
                return Answer(b'{"error":"070307","error_description":"no"}', 400)
            self.tokens += 1
            return Answer(json.dumps({"access_token": f"t{self.tokens}", "expires_in": 86400}).encode())
        if request.path == "/file.pdf":
            return Answer(self.answers.pop(0))
        query = request.query
        head = f"a=services&l=v1&p=open&k={query['appkey']}&i={query['senid']}&n={query['nonce']}&t={query['timestamp']}&f="
        seal = base64.b64encode(
            hmac.new(b"SECRET", head.encode() + request.body, hashlib.sha1).digest()
        ).decode()
        assert request.headers["x-nuonuo-sign"] == seal and request.headers["usertax"] == TAXPAYER
        if self.lost or request.headers["accesstoken"] != f"t{self.tokens}":
            return Answer(b'{"code":"070305","describe":"token"}')
        self.asked.append((request.headers["method"], json.loads(request.body)))
        answer = self.answers.pop(0)
        return answer if isinstance(answer, Answer) else Answer(json.dumps(answer).encode())


@pytest.fixture
def platform():
    side = Nuonuo()
    with peer(side) as other:
        side.base = other.base
        yield side


def channel(platform, **more):
    values = {
        "app_key": "APPKEY",
        "app_secret": "SECRET",
        "token_base": platform.base,
        "api_base": platform.base,
        "taxpayer_no": TAXPAYER,
        "clerk": "开票员甲",
        **more,
    }
    return channels.of(ChannelSettings("tax", "nuonuo", values))


def row(**more):
    return {"code": "E0000", "describe": "ok", "result": [{**ROW, **more}]}


def test_signature_vector():
    found = nuonuo.signature("SECRET", "APPKEY", "SENID", "12345678", "1700000000", b'{"a":1}')
    assert found == "7iSZiR+0g+376QEJ38xLM+3vGDs="


def test_an_order_is_text_only_with_all_three_amounts_and_nobody_written_to(platform):
    platform.answers = [{"code": "E0000", "describe": "ok", "result": {"invoiceSerialNum": "26112"}}]
    answer = channel(platform).issue(ORDER)
    assert isinstance(answer, channels.Accepted) and answer.channel_ref == "26112"
    method, body = platform.asked[0]
    order, line = body["order"], body["order"]["invoiceDetail"][0]
    assert method == "nuonuo.OpeMplatform.requestBillingNew"
    assert (order["pushMode"], order["orderNo"], order["invoiceLine"]) == ("-1", SERIAL, "pc")
    assert order["invoiceDate"] == "2026-11-24 10:30:00" and order["clerk"] == "开票员甲"
    amounts = line["taxIncludedAmount"], line["taxExcludedAmount"], line["tax"]
    assert amounts == ("200.00", "176.99", "23.01")
    assert all(
        isinstance(value, str)
        for value in (*line.values(), *(v for v in order.values() if v != order["invoiceDetail"]))
    )


def test_a_serial_too_long_is_our_own_fault_and_never_sent(platform):
    with pytest.raises(ValueError):
        channel(platform).issue(IssueOrder(**{**ORDER.__dict__, "serial": "R" * 21}))
    assert platform.asked == []


@pytest.mark.parametrize(
    ("code", "kind", "alarm"),
    [
        ("E9106", channels.Accepted, None),
        ("E9121", channels.Refused, True),
        ("E9131", channels.Refused, True),
        ("E9302", channels.Refused, True),
        ("E9104", channels.Refused, False),
        ("E9999", channels.Unknown, None),
        ("E7777", channels.Unknown, None),
    ],
)
def test_each_code_of_an_issue(platform, code, kind, alarm):
    platform.answers = [{"code": code, "describe": "words"}]
    answer = channel(platform).issue(ORDER)
    assert isinstance(answer, kind)
    if alarm is not None:
        assert answer.alarm is alarm and answer.words == "words"


@pytest.mark.parametrize("answer", [DROP, Answer(b"", 504), Answer(b"{"), Answer(b'{"x":1}')])
def test_no_answer_to_an_issue_is_unknown(platform, answer):
    platform.answers = [answer]
    found = channel(platform).issue(ORDER)
    assert isinstance(found, channels.Unknown) and found.sent


def test_an_issued_invoice_carries_what_the_channel_says(platform):
    platform.answers = [row()]
    done = channel(platform).find(SERIAL)
    assert isinstance(done, channels.Done)
    assert (done.invoice_no, done.total_fen, done.tax_fen) == (NUMBER, 20000, 2301)
    assert done.issued_at == datetime(2026, 11, 24, 2, 4, 5, tzinfo=UTC)
    assert channels.answers_ours(ORDER, done) == []
    assert platform.asked[0][1]["orderNos"] == [SERIAL]


@pytest.mark.parametrize(
    ("more", "wrong"),
    [
        ({"payerName": "顾客乙"}, ["buyer_name"]),
        ({"payerTaxNo": ""}, ["buyer_taxpayer_no"]),
        ({"orderAmount": "200.01"}, ["total_fen"]),
        ({"taxAmount": "23.02"}, ["tax_fen"]),
        ({"salerTaxNum": "91110000710925462X"}, ["seller_taxpayer_no"]),
    ],
)
def test_an_answer_that_is_not_ours_is_seen(platform, more, wrong):
    platform.answers = [row(**more)]
    assert channels.answers_ours(ORDER, channel(platform).find(SERIAL)) == wrong


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (row(status="20"), channels.Accepted),
        (row(status="21"), channels.Accepted),
        (row(status="24"), channels.Accepted),
        (row(status="22", failCause="额度不足"), channels.Refused),
        (row(status="3"), channels.Unknown),
        (row(allElectronicInvoiceNumber="", invoiceNo="12345678"), channels.Unknown),
        (row(allElectronicInvoiceNumber="", invoiceNo=NUMBER), channels.Done),
        (row(orderNo="somebody"), channels.Unknown),
        (row(orderAmount="1e3"), channels.Unknown),
        ({"code": "E0000", "result": [{**ROW, "status": "22"}, {**ROW, "status": "20"}]}, channels.Accepted),
        ({"code": "E0000", "result": [ROW, {**ROW, "orderNo": "somebody"}]}, channels.Unknown),
        ({"code": "E0000", "result": []}, channels.NotFound),
        ({"code": "E9500", "describe": "none"}, channels.NotFound),
        ({"code": "E9999"}, channels.Unknown),
        (DROP, channels.Unknown),
    ],
)
def test_each_state_of_a_query(platform, answer, kind):
    platform.answers = [answer]
    assert isinstance(channel(platform).find(SERIAL), kind)


def test_of_two_numbers_for_one_serial_the_first_is_kept_and_the_other_told(platform):
    later = {
        **ROW,
        "allElectronicInvoiceNumber": "26312000000000000002",
        "invoiceTime": ROW["invoiceTime"] + 1,
    }
    platform.answers = [{"code": "E0000", "result": [later, ROW]}]
    done = channel(platform).find(SERIAL)
    assert (done.invoice_no, done.other_numbers) == (NUMBER, ("26312000000000000002",))


def test_a_lost_token_is_renewed_once(platform):
    platform.answers = [row(), row()]
    one = channel(platform)
    one.find(SERIAL)
    platform.tokens = 7  # ours no longer counts
    assert isinstance(one.find(SERIAL), channels.Done) and platform.tokens == 8
    platform.lost = True
    assert isinstance(one.find(SERIAL), channels.Unknown) and platform.tokens == 9


def test_without_a_token_nothing_is_sent_and_the_channel_is_not_ready(platform):
    one = channel(platform, app_secret="wrong")
    answer = one.issue(ORDER)
    assert isinstance(answer, channels.Unknown) and not answer.sent
    assert one.ready() == channels.Readiness(False, "channel.settings_wrong")
    assert channel(platform).ready().ready


@pytest.mark.parametrize(("content", "good"), [(b"%PDF-1.7 ...", True), (b"<html>wait</html>", False)])
def test_a_file_is_known_by_its_content(platform, content, good):
    platform.answers = [row(pdfUrl=f"{platform.base}/file.pdf"), content]
    one = channel(platform)
    file = one.file("pdf", one.find(SERIAL))
    assert isinstance(file, channels.File) is good
    if good:
        assert file.content == content


def test_a_file_elsewhere_is_not_fetched(platform):
    platform.answers = [row(pdfUrl="http://127.0.0.1:9/file.pdf")]
    one = channel(platform)
    assert one.file("pdf", one.find(SERIAL)) == channels.NoFile("foreign_address", again=False)
    assert one.file("ofd", channels.Done(SERIAL, NUMBER, None, "", "", "", 1, 0)).again


@pytest.mark.parametrize(
    ("raw", "serial"),
    [
        (urlencode({"operater": "callback", "orderno": SERIAL, "content": "{}"}), SERIAL),
        (urlencode({"content": json.dumps({"c_orderno": SERIAL})}), SERIAL),
        ("orderno=%3Cscript%3E", None),
        ("content=%5B1", None),
        ("", None),
        ("\udcff", None),
    ],
)
def test_a_notice_is_a_hint_with_a_serial(platform, raw, serial):
    assert channel(platform).parse_notice(raw.encode("utf-8", "surrogateescape")) == serial
