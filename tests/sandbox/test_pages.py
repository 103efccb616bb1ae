"""Phones, the till's signature and the login's way back, from outside: HTTP, and a browser with zbarimg for the codes."""

import subprocess
from collections.abc import Iterator

import pytest
import requests

from miniapp.sandbox.screens import till_wire
from tests.browser import Windows, shoot
from tests.sandbox.conftest import APP_ID, Receiver, Sandbox

PEOPLE = [
    {
        "code": "customer_a",
        "name": "顾客甲",
        "wechat": {APP_ID: "oCustomerA"},
        "follows": ["main"],
        "phone_host": "wechat.localhost",
        "browses": {"shop.localhost:8000": "wechat.shop.localhost:8000"},
    },
    {"code": "customer_b", "name": "顾客乙", "alipay": {"user_id": "2088000000000102"}},
]
BEFORE = [
    {"code": "customer_a", "name": "顾客甲", "wechat": {APP_ID: "oCustomerA"}, "follows": ["main"]},
    {"code": "customer_b", "name": "顾客乙"},
]


@pytest.fixture
def pages(sandbox: Sandbox) -> Iterator[Sandbox]:
    """The sandbox with phones that have host names."""
    sandbox.post("/control/config", {"people": PEOPLE})
    yield sandbox
    sandbox.post("/control/config", {"people": BEFORE})


def api(pages: Sandbox, path: str, body: object = None, person: str = "customer_a") -> object:
    address = f"{pages.base}/phone/api/{path}{'&' if '?' in path else '?'}person={person}"
    answer = (
        requests.get(address, timeout=20) if body is None else requests.post(address, json=body, timeout=20)
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def record(pages: Sandbox, kind: str, **body: object) -> dict:
    """A message of the account, and how the phone shows it."""
    last = api(pages, "messages?after=0")["last"]
    message = {"platform": "wechat", "account": "main", "person": "customer_a", "direction": "out"}
    pages.post("/control/messages", {**message, "kind": kind, "body": body})
    (shown,) = api(pages, f"messages?after={last}")["messages"]
    return shown


def test_the_terminal_signature_is_that_of_the_specification() -> None:
    body = b'{"out_trade_no":"S031T02202606050001"}'

    signed = till_wire.signature(
        "0123456789abcdef0123456789abcdef",
        "POST",
        "/terminal/v1/transactions",
        body,
        stamp="1780620000",
        nonce="n0123456789abcdef",
    )

    assert signed == "ac73f7c5f711694b35ebb779dbee2ef690f32ccb86b85de1b4666c2d2962e2c1"


def test_what_a_person_says_reaches_the_account_and_its_answer_the_phone(
    pages: Sandbox, receiver: Receiver
) -> None:
    last = api(pages, "messages?after=0")["last"]
    assert api(pages, "say", {"text": "发票"}) == {"ok": True}

    shown = api(pages, f"messages?after={last}")["messages"]

    assert [(one["from"], one["parts"]) for one in shown] == [("me", [["发票", ""]])]
    assert len(receiver.got) == 1


def test_a_broken_server_shows_the_banner_that_people_know(pages: Sandbox, receiver: Receiver) -> None:
    receiver.answer = lambda path, body: (500, b"")
    last = api(pages, "messages?after=0")["last"]

    assert api(pages, "say", {"text": "发票"}) == {"ok": False}

    assert "提供的服务出现故障" in api(pages, f"messages?after={last}")["messages"][-1]["text"]


def test_anchors_and_addresses_are_links_of_this_phone(pages: Sandbox) -> None:
    shown = record(
        pages,
        "text",
        content='共 1 笔，<a href="http://shop.localhost:8000/c/?account=main&amp;x=1">点这里</a>，或 http://shop.localhost:8000/c/titles。',
    )

    texts, urls = zip(*shown["parts"], strict=True)
    assert texts == ("共 1 笔，", "点这里", "，或 ", "http://shop.localhost:8000/c/titles", "。")
    assert urls[1] == "http://wechat.shop.localhost:8000/c/?account=main&x=1"
    assert urls[3] == "http://wechat.shop.localhost:8000/c/titles?account=main"


def test_a_template_message_is_a_card_with_rows(pages: Sandbox) -> None:
    shown = record(
        pages, "template", text="开票提醒\n金额：¥88.00\n代码：K7Q", url="http://shop.localhost:8000/c/duty/x"
    )

    assert (shown["kind"], shown["title"]) == ("card", "开票提醒")
    assert shown["rows"] == [["金额", "¥88.00"], ["代码", "K7Q"]]
    assert shown["url"].startswith("http://wechat.shop.localhost:8000/c/duty/x")


def test_a_text_with_markup_is_text(pages: Sandbox) -> None:
    assert record(pages, "text", content="<b>x</b>")["parts"] == [["<b>x</b>", ""]]


def test_the_till_scans_the_code_that_the_phone_shows(pages: Sandbox) -> None:
    shown = api(pages, "code", {"plan": "paid"})["code"]

    scanned = pages.post("/till/api/scan", {"person": "customer_a"})["code"]

    assert scanned == shown and len(shown) == 18 and shown[:2] in {"10", "11", "12", "13", "14", "15"}


def test_each_role_has_its_host_and_its_page(pages: Sandbox) -> None:
    def led_to(host: str) -> str:
        got = requests.get(f"{pages.base}/", headers={"Host": host}, allow_redirects=False, timeout=20)
        return got.headers.get("Location", "")

    assert led_to("wechat.localhost:8001") == "/phone"
    assert led_to("till.localhost:8001") == "/till"
    assert led_to("printer.localhost:8001") == "/printer"
    assert led_to("sandbox.localhost:8001") == ""
    page = requests.get(f"{pages.base}/phone", headers={"Host": "wechat.localhost:8001"}, timeout=20)
    assert "顾客甲的手机" in page.text and page.cookies["sandbox_person"] == "customer_a"


def test_a_login_belongs_to_the_phone_that_it_comes_back_to(pages: Sandbox) -> None:
    back = "http://wechat.shop.localhost:8000/c/login/main"
    query = {
        "appid": APP_ID,
        "redirect_uri": back,
        "response_type": "code",
        "scope": "snsapi_base",
        "state": "s",
    }
    entry = pages.get("/control/people")
    assert any(one["code"] == "customer_a" for one in entry)

    sent = requests.get(
        f"{pages.base}/wechat-open/connect/oauth2/authorize", params=query, allow_redirects=False, timeout=20
    )

    assert "person=customer_a" in sent.headers["Location"]


def test_a_form_of_another_site_changes_nothing(pages: Sandbox) -> None:
    sent = requests.post(f"{pages.base}/till/api/charges", data={"till": "T01"}, timeout=20)

    assert sent.status_code == 415


def test_payment_codes_can_be_read_by_scanners(pages: Sandbox, windows: Windows) -> None:
    phone = windows.phone()
    phone.goto(f"{pages.base}/phone?person=customer_a")
    phone.click('[data-tab="wallet"]')
    phone.wait_for_selector(".code-square svg")

    picture = shoot(phone, "sandbox-payment-code", whole=False)
    code = phone.get_attribute(".code-number", "data-code")
    read = subprocess.run(["zbarimg", "-q", str(picture)], capture_output=True, text=True, timeout=60)

    assert sorted(read.stdout.split()) == [f"CODE-128:{code}", f"QR-Code:{code}"]
