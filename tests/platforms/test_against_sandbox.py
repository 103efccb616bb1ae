"""Every wire client against the sandbox, which was written by another hand; its own ledger judges."""

import secrets
from datetime import UTC, datetime, timedelta

import pytest
import requests

from miniapp.chat import senders
from miniapp.core import clock
from miniapp.customers import logins
from miniapp.customers.logins import AccountSettings
from miniapp.invoices import channels
from miniapp.invoices.channels import Buyer, ChannelSettings, IssueOrder, Line, Seller
from miniapp.payments import gateways
from miniapp.payments.gateways import ChargeOrder, MerchantSettings, RefundOrder
from tests.platforms.peers import certificate
from tests.processes import Processes, free_port

APP, MERCHANT, V2_KEY, SELLER = (
    "wx1234567890abcdef",
    "1900000109",
    "192006250b4c09247ec02edce69f6a2d",
    "339902999999789113",
)
ALIPAY_APP, PID = "2021000000000001", "2088720000000001"


class Sandbox:
    def __init__(self, base, ours, platform, pem):
        self.base, self.ours, self.platform, self.pem = base, ours, platform, pem
        self.http = requests.Session()
        self.http.trust_env = False
        self.post("config", self._cast())

    def post(self, path, body):
        answer = self.http.post(f"{self.base}/control/{path}", json=body, timeout=20)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def ledger(self, out_trade_no):
        payments = self.http.get(f"{self.base}/control/ledger", timeout=20).json()["payments"]
        return next(one for one in payments if one["out_trade_no"] == out_trade_no)

    def fault(self, door, kind, times=1):
        self.post("faults", {"door": door, "kind": kind, "times": times})

    def code(self, platform, **plan):
        person = {"wechat": "customer_a", "alipay": "customer_b"}[platform]
        return self.post("payment_code", {"person": person, "platform": platform, "plan": plan})["code"]

    def wechat(self):
        return gateways.of(
            MerchantSettings(
                "w",
                "wechat",
                MERCHANT,
                APP,
                f"{self.base}/wechat-pay",
                api_v2_key=V2_KEY,
                cert_serial="5157F09EFDC096DE15EBE81A47057A72",
                merchant_key=self.ours.private,
                merchant_cert=self.pem,
                platform_key=self.platform.public,
                platform_key_id="PUB_KEY_ID_0119000001092024",
            )
        )

    def alipay(self):
        keys = {"app_key": self.ours.private, "platform_key": self.platform.public}
        return gateways.of(MerchantSettings("a", "alipay", PID, ALIPAY_APP, f"{self.base}/alipay", **keys))

    def gateway(self, platform):
        return self.wechat() if platform == "wechat" else self.alipay()

    def account(self):
        return AccountSettings(
            "main",
            "wechat",
            APP,
            "示例商贸",
            secret="s3cret",
            api_base=f"{self.base}/wechat-api",
            oauth_base=f"{self.base}/wechat-open",
        )

    def channel(self):
        values = {"app_key": "SD00000001", "app_secret": "SECRET", "taxpayer_no": SELLER, "clerk": "开票员甲"}
        values |= {"token_base": f"{self.base}/nuonuo", "api_base": f"{self.base}/nuonuo"}
        return channels.of(ChannelSettings("tax", "nuonuo", values))

    def _cast(self):
        account = {
            "code": "main",
            "app_id": APP,
            "secret": "s3cret",
            "original_id": "gh_test",
            "token": "stationtoken",
        }
        account |= {"aes_key": "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"}
        account |= {
            "templates": {"T1": "金额：{{amount1.DATA}}\n抬头：{{thing2.DATA}}"},
            "oauth_domain": "h5.example.com",
        }
        merchant = {"mch_id": MERCHANT, "app_ids": [APP], "api_v2_key": V2_KEY, "api_v3_key": "0" * 32}
        merchant |= {"cert_serial": "5157F09EFDC096DE15EBE81A47057A72", "merchant_certificate": self.pem}
        merchant |= {
            "platform_private_key": self.platform.private,
            "platform_key_id": "PUB_KEY_ID_0119000001092024",
        }
        alipay = {"app_id": ALIPAY_APP, "app_public_key": self.ours.public, "pid": PID, "code": "life"}
        alipay |= {"alipay_private_key": self.platform.private}
        nuonuo = {"app_key": "SD00000001", "app_secret": "SECRET", "taxpayer_no": SELLER}
        nuonuo |= {"walk": {"signing_after_seconds": None, "done_after_seconds": None}}
        people = [
            {"code": "customer_a", "name": "顾客甲", "wechat": {APP: "oCustomerA"}, "follows": ["main"]},
            {"code": "customer_b", "name": "顾客乙", "alipay": {"user_id": "2088000000000002"}},
        ]
        return {
            "official_accounts": [account],
            "wechat_merchants": [merchant],
            "alipay_apps": [alipay],
            "nuonuo": [nuonuo],
            "people": people,
        }


@pytest.fixture(scope="module")
def world(our_keys, platform_keys, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sandbox")
    pem, _, _ = certificate(our_keys, "merchant", folder)
    processes, port = Processes(folder), free_port()
    command = ["python", "-m", "miniapp.sandbox.run", "--port", str(port), "--data", str(folder / "data")]
    processes.start("sandbox", *command, port=port)
    yield Sandbox(f"http://127.0.0.1:{port}", our_keys, platform_keys, pem)
    processes.stop_all()


@pytest.fixture
def sandbox(world):
    world.http.delete(f"{world.base}/control/faults", timeout=20)
    world.post("clock", {"offset": 0})
    yield world
    clock.set_clock(None)


def order(amount_fen=8800):
    return ChargeOrder(
        "T" + secrets.token_hex(10), amount_fen, "92号汽油", store="S1", terminal="P1", operator="1"
    )


def is_proof(answer, gateway, one):
    merchant_no = MERCHANT if "Wechat" in type(gateway).__name__ else PID
    ours = {"merchant_no": merchant_no, "out_trade_no": one.out_trade_no, "amount_fen": one.amount_fen}
    return isinstance(answer, gateways.Paid) and gateways.disagreements(answer, **ours) == []


both = pytest.mark.parametrize("platform", ["wechat", "alipay"])


@both
def test_paid_queried_refunded_in_part(sandbox, platform):
    gateway, one = sandbox.gateway(platform), order()
    paid = gateway.charge(one, sandbox.code(platform))
    assert is_proof(paid, gateway, one) and paid.payer
    assert sum(part.amount_fen for part in paid.tenders) == one.amount_fen
    assert is_proof(gateway.query(one.out_trade_no), gateway, one)

    assert isinstance(gateway.query_refund(one.out_trade_no, "R-none"), gateways.NotFound)
    back = RefundOrder(one.out_trade_no, "R" + secrets.token_hex(6), one.amount_fen, 3000, "退货")
    for _ in range(2):  # the same number twice is one refund
        assert isinstance(gateway.refund(back), gateways.Refunded | gateways.Refunding)
    found = gateway.query_refund(one.out_trade_no, back.out_refund_no)
    assert isinstance(found, gateways.Refunded) and found.refund_fen == 3000
    assert sum(refund["amount_fen"] for refund in sandbox.ledger(one.out_trade_no)["refunds"]) == 3000
    state = gateway.query(one.out_trade_no)
    if platform == "wechat":
        assert isinstance(state, gateways.PartlyRefunded) and state.payment.amount_fen == one.amount_fen
    else:
        assert gateway.hides_partial_refunds and is_proof(state, gateway, one)


@both
def test_discounts_are_tenders_by_who_funded_them(sandbox, platform):
    gateway, one = sandbox.gateway(platform), order(10000)
    paid = gateway.charge(one, sandbox.code(platform, merchant_discount_fen=500, platform_discount_fen=300))
    funded = {}
    for part in paid.tenders:
        funded[part.funder] = funded.get(part.funder, 0) + part.amount_fen
    assert funded == {"customer": 9200, "merchant": 500, "platform": 300}


@both
@pytest.mark.parametrize("fault", ["commit_then_drop", "cut_reply:60", "http_504_but_done", "bad_sign"])
def test_a_lost_answer_to_a_charge_is_unknown_and_then_proved_by_a_query(sandbox, platform, fault):
    gateway, one = sandbox.gateway(platform), order()
    sandbox.fault({"wechat": "wechat_pay.micropay", "alipay": "alipay.trade.pay"}[platform], fault)
    assert isinstance(gateway.charge(one, sandbox.code(platform)), gateways.Unknown)
    assert is_proof(gateway.query(one.out_trade_no), gateway, one)


@both
def test_the_password_box_and_a_cancel(sandbox, platform):
    gateway, one = sandbox.gateway(platform), order()
    assert isinstance(gateway.charge(one, sandbox.code(platform, outcome="userpaying")), gateways.Waiting)
    assert isinstance(gateway.query(one.out_trade_no), gateways.Waiting | gateways.NotFound)
    assert isinstance(gateway.cancel(one.out_trade_no), gateways.Cancelled)
    assert not isinstance(gateway.query(one.out_trade_no), gateways.Paid)


@both
def test_a_paid_order_is_taken_back_by_a_cancel(sandbox, platform):
    gateway, one = sandbox.gateway(platform), order()
    assert is_proof(gateway.charge(one, sandbox.code(platform)), gateway, one)
    assert isinstance(gateway.cancel(one.out_trade_no), gateways.Cancelled)
    state = gateway.query(one.out_trade_no)
    assert isinstance(state, gateways.Revoked) or (
        isinstance(state, gateways.Closed) and state.may_be_refunded
    )


@both
def test_a_used_code_and_an_unknown_number(sandbox, platform):
    gateway, code = sandbox.gateway(platform), sandbox.code(platform)
    assert isinstance(gateway.charge(order(), code), gateways.Paid)
    refused = gateway.charge(order(), code)
    assert isinstance(refused, gateways.Failed) and refused.final and not refused.alarm
    assert isinstance(gateway.query(order().out_trade_no), gateways.NotFound)


@both
def test_the_next_mornings_bill(sandbox, platform):
    gateway, one = sandbox.gateway(platform), order()
    gateway.charge(one, sandbox.code(platform))
    day = clock.bill_date(datetime.now(UTC))
    sandbox.post("clock", {"tomorrow": "12:30"})
    moved = clock.from_beijing(f"{day + timedelta(days=1)} 12:30:00")
    clock.set_clock(lambda: moved)
    bill = gateway.fetch_bill(day)
    assert isinstance(bill, gateways.FetchedBill), bill
    assert bill.content[:2] == b"PK" if platform == "alipay" else one.out_trade_no.encode() in bill.content
    if platform == "wechat":
        assert isinstance(gateway.fetch_bill(day - timedelta(days=3)), gateways.EmptyDay)


def test_messages_arrive_in_the_chat_of_the_phone(sandbox):
    sender = senders.of(sandbox.account())
    assert isinstance(
        sender.send_template("oCustomerA", "T1", {"amount1": "¥88.00", "thing2": "甲"}), senders.Sent
    )
    refused = sender.send_text("oNobody", "x")
    assert isinstance(refused, senders.Refused)
    answer = sender.set_menu(
        [{"name": "我的", "children": [{"name": "发票", "url": "https://h5.example.com/c"}]}]
    )
    assert isinstance(answer, senders.Sent), answer
    seen = sandbox.http.get(
        f"{sandbox.base}/control/messages", params={"person": "customer_a"}, timeout=20
    ).json()
    assert any("88.00" in str(message) for message in seen)


def test_a_code_of_the_web_login_is_a_person_once(sandbox):
    login = logins.of(sandbox.account())
    url = login.authorize_url("state1", "https://h5.example.com/c/back")
    back = sandbox.http.get(url, params={"person": "customer_a"}, allow_redirects=False, timeout=20)
    code = back.headers["Location"].partition("code=")[2].partition("&")[0]
    assert login.identify(code) == logins.Identity(APP, "oCustomerA")
    assert login.identify(code) == logins.Refused("40163")


def test_an_alipay_person_logs_in(sandbox):
    account = AccountSettings(
        "life",
        "alipay",
        ALIPAY_APP,
        "示例商贸",
        app_key=sandbox.ours.private,
        platform_key=sandbox.platform.public,
        gateway_base=f"{sandbox.base}/alipay",
        oauth_base=f"{sandbox.base}/alipay-oauth",
    )
    login = logins.of(account)
    url = login.authorize_url("state1", "https://h5.example.com/c/back")
    back = sandbox.http.get(f"{url}&person=customer_b", allow_redirects=False, timeout=20)
    code = back.headers["Location"].partition("auth_code=")[2].partition("&")[0]
    assert login.identify(code).open_id == "2088000000000002"
    assert isinstance(login.identify(code), logins.Refused)


def invoice(serial):
    buyer = Buyer("company", "北京示例商贸有限公司", "91110000710926094P")
    line = Line("92号汽油", "1070101010000000000", "0.13", 17699, 2301, 20000, unit="升", quantity="26.1438")
    seller = Seller(SELLER, "上海示例商贸有限公司", "上海市示例路1号", "021-00000000")
    at = datetime.now(UTC)
    return IssueOrder(serial, seller, buyer, "ordinary", (line,), 17699, 2301, 20000, at)


def done(channel, serial):
    for _ in range(5):
        answer = channel.find(serial)
        if not isinstance(answer, channels.Accepted):
            return answer
    raise AssertionError(answer)


def test_an_invoice_is_issued_found_and_fetched(sandbox):
    channel, one = sandbox.channel(), invoice("R" + secrets.token_hex(9))
    assert isinstance(channel.find(one.serial), channels.NotFound)
    accepted = channel.issue(one)
    assert isinstance(accepted, channels.Accepted), accepted
    again = channel.issue(one)  # E9106
    assert isinstance(again, channels.Accepted) and again.reason == "exists"
    found = done(channel, one.serial)
    assert isinstance(found, channels.Done) and channels.answers_ours(one, found) == []
    for kind in channel.file_kinds:
        assert isinstance(channel.file(kind, found), channels.File), kind


@pytest.mark.parametrize("fault", ["commit_then_drop", "http_504_but_done", "cut_reply:20", "token_lost"])
def test_a_lost_answer_of_the_channel_is_queried(sandbox, fault):
    channel, one = sandbox.channel(), invoice("R" + secrets.token_hex(9))
    sandbox.fault("nuonuo.requestBillingNew", fault)
    answer = channel.issue(one)
    assert isinstance(answer, channels.Accepted if fault == "token_lost" else channels.Unknown)
    assert isinstance(done(channel, one.serial), channels.Done)


def test_a_foreign_answer_is_seen_and_two_numbers_are_told(sandbox):
    channel, one = sandbox.channel(), invoice("R" + secrets.token_hex(9))
    channel.issue(one)
    done(channel, one.serial)
    sandbox.fault("nuonuo.queryInvoiceResult", "foreign_answer")
    foreign = done(channel, one.serial)
    assert isinstance(foreign, channels.Unknown) or channels.answers_ours(one, foreign)
    sandbox.fault("nuonuo.requestBillingNew", "two_numbers")
    two = invoice("R" + secrets.token_hex(9))
    channel.issue(two)
    first = done(channel, two.serial)
    later = channel.find(two.serial)  # the second one turns up afterwards
    assert isinstance(first, channels.Done) and isinstance(later, channels.Done)
    assert len({later.invoice_no, *later.other_numbers}) == 2
