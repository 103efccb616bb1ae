"""The life account in both directions: Alipay's posts to a merchant's server, messages and menu through the gateway."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

from tests.sandbox.serving_alipay import ALIPAY_KEYS, APP_ID, APP_KEYS, Sandbox, running
from tests.sandbox.test_alipay_gateway import call, signed

Reply = Callable[[dict[str, str]], str]


class Merchant:
    """A server that verifies by the document's rule and answers what it is told to."""

    def __init__(self) -> None:
        self.got: list[dict[str, str]] = []
        self.genuine: list[bool] = []
        self.reply: Reply = acknowledged
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"])).decode("ascii")
                values = dict(parse_qsl(raw, keep_blank_values=True, encoding="gbk"))
                outer.got.append(values)
                outer.genuine.append(genuine(values))
                body = outer.reply(values).encode("gbk")
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *parts: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/alipay/life/gateway"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with running(tmp_path) as running_sandbox:
        yield running_sandbox


@pytest.fixture
def merchant(sandbox: Sandbox) -> Iterator[Merchant]:
    merchant = Merchant()
    entry = sandbox.world.entry("alipay_apps", APP_ID) or {}
    sandbox.control("config", {"alipay_apps": [{**entry, "gateway_callback": merchant.url}]})
    yield merchant
    merchant.server.shutdown()
    merchant.server.server_close()


def genuine(values: dict[str, str]) -> bool:
    text = "&".join(f"{name}={value}" for name, value in sorted(values.items()) if name != "sign")
    key = serialization.load_pem_public_key(ALIPAY_KEYS.public.encode())
    try:
        sign = base64.b64decode(values.get("sign", ""))
        key.verify(sign, text.encode("gbk"), padding.PKCS1v15(), hashes.SHA256())  # type: ignore[union-attr, call-arg, arg-type]
    except Exception:
        return False
    return True


def wrapped(inner: str) -> str:
    key = serialization.load_pem_private_key(APP_KEYS.private.encode(), None)
    sign = base64.b64encode(key.sign(inner.encode("gbk"), padding.PKCS1v15(), hashes.SHA256()))  # type: ignore[union-attr, call-arg, arg-type]
    head = '<?xml version="1.0" encoding="GBK"?>'
    tail = f"<sign>{sign.decode()}</sign><sign_type>RSA2</sign_type>"
    return f"{head}<alipay><response>{inner}</response>{tail}</alipay>"


def acknowledged(values: dict[str, str]) -> str:
    return wrapped(
        "<XML><ToUserId><![CDATA[2088000000000002]]></ToUserId>"
        f"<AppId><![CDATA[{APP_ID}]]></AppId><CreateTime>1</CreateTime><MsgType><![CDATA[ack]]></MsgType></XML>"
    )


def own_key() -> str:
    return "".join(APP_KEYS.public.split("-----")[2].split())


def happen(sandbox: Sandbox, **what: object) -> dict[str, object]:
    return dict(sandbox.control("alipay/life/events", {"person": "customer_b", **what}))


def test_events_come_in_gbk_with_a_signature_that_holds(sandbox: Sandbox, merchant: Merchant) -> None:
    assert happen(sandbox, kind="text", text="发票")["ok"] is True
    assert happen(sandbox, kind="click", key="MY_INVOICE", times=2)["ok"] is True
    assert merchant.genuine == [True, True, True]
    assert "<![CDATA[发票]]>" in merchant.got[0]["biz_content"]
    assert merchant.got[1] == merchant.got[2]
    assert "<EventType><![CDATA[click]]></EventType>" in merchant.got[1]["biz_content"]
    assert merchant.got[1]["service"] == "alipay.mobile.public.message.notify"
    assert [row["direction"] for row in sandbox.ledger()["messages"]] == ["in", "in"]


@pytest.mark.parametrize("damage", ["bad_sign", "no_sign", "altered"])
def test_damaged_posts_do_not_verify(sandbox: Sandbox, merchant: Merchant, damage: str) -> None:
    happen(sandbox, kind="text", text="发票", damage=damage)
    assert merchant.genuine == [False]


def test_the_gateway_check_wants_the_apps_own_key_signed(sandbox: Sandbox, merchant: Merchant) -> None:
    merchant.reply = lambda _: wrapped(f"<success>true</success><biz_content>{own_key()}</biz_content>")
    assert sandbox.control("alipay/life/verify", {})["ok"] is True
    assert merchant.got[0]["service"] == "alipay.service.check"
    for reply in (
        wrapped("<success>true</success><biz_content>AAAA</biz_content>"),
        wrapped(f"<success>false</success><biz_content>{own_key()}</biz_content>"),
        wrapped(f"<success>true</success><biz_content>{own_key()}</biz_content>").replace(
            "</success>", "</success> "
        ),
        "success",
    ):
        merchant.reply = lambda _, reply=reply: reply  # type: ignore[misc]
        assert sandbox.control("alipay/life/verify", {})["ok"] is False


def test_wrong_acknowledgements_are_named(sandbox: Sandbox, merchant: Merchant) -> None:
    merchant.reply = lambda _: "success"
    assert "wrapper" in str(happen(sandbox, kind="enter")["problem"])
    merchant.reply = lambda values: acknowledged(values).replace(APP_ID, "1")
    assert "signature" in str(happen(sandbox, kind="enter")["problem"])


def send(sandbox: Sandbox, content: str = "发票已开好") -> dict[str, str]:
    biz = json.dumps({"to_user_id": "2088000000000002", "msg_type": "text", "text": {"content": content}})
    values = signed(method="alipay.open.public.message.custom.send", biz_content=biz)
    return dict(next(iter(call(sandbox, values).json().values())))


def test_messages_reach_the_person(sandbox: Sandbox) -> None:
    assert send(sandbox)["code"] == "10000"
    message = sandbox.ledger()["messages"][0]
    assert (message["person"], message["via"], message["body"]) == (
        "customer_b",
        "custom",
        {"content": "发票已开好"},
    )
    assert send(sandbox, "")["code"] == "40004"


def test_messages_can_be_refused(sandbox: Sandbox, merchant: Merchant) -> None:
    sandbox.fault("alipay.messages", "window", times=None)
    assert send(sandbox)["sub_code"] == "PUB.MSG_OUT_OF_WINDOW"
    happen(sandbox, kind="text", text="发票")
    assert send(sandbox)["code"] == "10000"
    happen(sandbox, kind="unfollow")
    assert send(sandbox)["sub_code"] == "PUB.USER_NOT_FOLLOW"
    entry = sandbox.world.entry("alipay_apps", APP_ID) or {}
    refused = {**entry, "not_granted": ["alipay.open.public.message.custom.send"]}
    sandbox.control("config", {"alipay_apps": [refused]})
    assert send(sandbox)["code"] == "40006"


def menu(sandbox: Sandbox, *buttons: dict[str, object]) -> dict[str, str]:
    values = signed(method="alipay.open.public.menu.create", biz_content=json.dumps({"button": buttons}))
    return dict(next(iter(call(sandbox, values).json().values())))


def test_menus_within_their_limits(sandbox: Sandbox) -> None:
    invoice = {"name": "发票", "action_type": "link", "action_param": "http://shop.localhost/c/"}
    assert menu(sandbox, {"name": "我的", "sub_button": [invoice]})["menu_key"]
    values = signed(method="alipay.open.public.menu.query", biz_content="{}")
    found = call(sandbox, values).json()["alipay_open_public_menu_query_response"]
    assert json.loads(found["menu_content"])["button"][0]["name"] == "我的"
    for bad in (
        {**invoice, "name": "我的电子发票"},
        {**invoice, "action_param": "x" * 256},
        {"name": "空"},
        {"name": "点", "action_type": "out", "action_param": "a:b"},
        {"name": "我的", "sub_button": [invoice] * 6},
    ):
        assert menu(sandbox, bad)["code"] == "40004", bad
    assert menu(sandbox, *[invoice] * 5)["code"] == "40004"
