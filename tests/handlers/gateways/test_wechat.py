"""The official account's door: every altered, missing, old, deep or foreign message is refused and changes nothing.

wechatpy seals and opens the messages; the program never checks itself.
"""

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from wechatpy import parse_message
from wechatpy.crypto import WeChatCrypto
from wechatpy.utils import WeChatSigner

from miniapp import db
from miniapp.app import create_app
from miniapp.chat.models import SeenMessage
from tests.handlers.gateways.clients import client_of
from tests.people import WECHAT_APP, Retailer

TOKEN, AES_KEY = "stationtoken", "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
ADDRESS = "/wechat/main/callback"
HELP = "您可以回复"


@dataclass
class Door:
    """WeChat's side of the door."""

    client: FlaskClient
    crypto: WeChatCrypto

    def send(
        self, xml: str, *, crypto: WeChatCrypto | None = None, body: bytes | None = None, **query: Any
    ) -> Any:
        """Seal a message and post it; ``query`` replaces or (None) removes parts of the address."""
        timestamp, nonce = str(int(time.time()) + query.pop("late", 0)), secrets.token_hex(8)
        sealed = (crypto or self.crypto).encrypt_message(xml, nonce, timestamp)
        encrypted = sealed.split("<Encrypt><![CDATA[")[1].split("]]>")[0]
        arguments: dict[str, Any] = {
            "timestamp": timestamp,
            "nonce": nonce,
            "signature": signed(TOKEN, timestamp, nonce),
            "msg_signature": signed(TOKEN, timestamp, nonce, encrypted),
            "encrypt_type": "aes",
            "openid": "oCustomerA",
            **query,
        }
        outer = f"<xml><ToUserName><![CDATA[gh_shop]]></ToUserName><Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>"
        return self.client.post(
            ADDRESS,
            query_string={name: value for name, value in arguments.items() if value is not None},
            data=outer.encode() if body is None else body,
            content_type="text/xml",
        )

    def says(self, text: str, *, msg_id: str = "", to: str = "gh_shop") -> str:
        """One text; answers what the person reads."""
        answer = self.send(message(text, msg_id=msg_id, to=to))
        assert answer.status_code == 200, answer.data
        return self.opened(answer)

    def opened(self, answer: Any) -> str:
        if answer.data == b"success":
            return ""
        parts = parse_parts(answer.data.decode())
        xml = self.crypto.decrypt_message(
            answer.data.decode(), parts["MsgSignature"], parts["TimeStamp"], parts["Nonce"]
        )
        return str(parse_message(xml).content)


def signed(*parts: str) -> str:
    signer = WeChatSigner()
    signer.add_data(*parts)
    return str(signer.signature)


def parse_parts(xml: str) -> dict[str, str]:
    import xmltodict

    return dict(xmltodict.parse(xml)["xml"])


def message(text: str, *, msg_id: str = "", to: str = "gh_shop", kind: str = "text", extra: str = "") -> str:
    number = msg_id or str(secrets.randbelow(10**17) + 10**17)
    return (
        f"<xml><ToUserName><![CDATA[{to}]]></ToUserName><FromUserName><![CDATA[oCustomerA]]></FromUserName>"
        f"<CreateTime>{int(time.time())}</CreateTime><MsgType><![CDATA[{kind}]]></MsgType>"
        f"<Content><![CDATA[{text}]]></Content><MsgId>{number}</MsgId>{extra}</xml>"
    )


def event(name: str, *, key: str = "", created: int = 1_780_620_000) -> str:
    return (
        "<xml><ToUserName><![CDATA[gh_shop]]></ToUserName><FromUserName><![CDATA[oCustomerA]]></FromUserName>"
        f"<CreateTime>{created}</CreateTime><MsgType><![CDATA[event]]></MsgType>"
        f"<Event><![CDATA[{name}]]></Event><EventKey><![CDATA[{key}]]></EventKey></xml>"
    )


def rows() -> int:
    with db.reading() as session:
        return session.scalar(select(func.count()).select_from(SeenMessage)) or 0


@pytest.fixture
def door(retailer: Retailer) -> Iterator[Door]:
    app = create_app(retailer.config)
    yield Door(client_of(app), WeChatCrypto(TOKEN, AES_KEY, WECHAT_APP))


def test_the_address_is_verified_with_its_echo(door: Door) -> None:
    timestamp, nonce = str(int(time.time())), "1320562132"
    good = {
        "timestamp": timestamp,
        "nonce": nonce,
        "signature": signed(TOKEN, timestamp, nonce),
        "echostr": "8a<b>",
    }
    answer = door.client.get(ADDRESS, query_string=good)
    assert (answer.status_code, answer.data) == (200, b"8a<b>")
    assert answer.content_type.startswith("text/plain")
    assert door.client.get(ADDRESS, query_string={**good, "signature": "0" * 40}).status_code == 401


def test_a_text_is_answered_in_its_own_cipher(door: Door) -> None:
    assert HELP in door.says("帮助")


def test_the_same_message_three_times_is_stored_once_and_answered_alike(door: Door) -> None:
    before = rows()
    replies = {door.says("发票", msg_id="24000000000000001") for _ in range(3)}
    assert len(replies) == 1
    assert rows() == before + 1


def test_two_events_of_one_second_are_two(door: Door) -> None:
    before = rows()
    for xml in (event("subscribe"), event("VIEW", key="http://x"), event("subscribe"), event("没见过的事件")):
        answer = door.send(xml)
        assert answer.status_code == 200
    assert rows() == before + 3


def test_a_new_follower_is_welcomed_and_the_menu_helps(door: Door) -> None:
    assert "发票" in door.opened(door.send(event("subscribe")))
    assert HELP in door.opened(door.send(event("CLICK", key="HELP")))


@pytest.mark.parametrize(
    "query",
    [
        {"signature": "0" * 40},
        {"signature": None},
        {"signature": "é" * 40},
        {"msg_signature": "0" * 40},
        {"msg_signature": None},
        {"timestamp": None},
        {"timestamp": "١٧٨٠"},
        {"nonce": None},
        {"nonce": ["a", "b"]},
        {"late": -3600},
        {"late": 3600},
    ],
    ids=str,
)
def test_an_altered_or_missing_part_of_the_address_is_refused(door: Door, query: dict[str, Any]) -> None:
    before = rows()
    answer = door.send(message("发票"), **query)
    assert answer.status_code == 401
    assert rows() == before


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<xml/>",
        b"not xml",
        b"<xml><ToUserName>x</ToUserName></xml>",
        b'<!DOCTYPE a [<!ENTITY b "c">]><xml><Encrypt>&b;</Encrypt></xml>',
        b"<xml>" + b"<a>" * 50 + b"</a>" * 50 + b"</xml>",
        b"<xml>" + b"<a>1</a>" * 500 + b"</xml>",
        b"<xml><Encrypt>a</Encrypt><Encrypt>b</Encrypt></xml>",
        b'<xml><Encrypt a="b">c</Encrypt></xml>',
        b"<xml><Encrypt>\x00</Encrypt></xml>",
        "<xml><Encrypt>发</Encrypt></xml>".encode("gbk"),
        b"<xml><Encrypt>" + b"A" * 70_000 + b"</Encrypt></xml>",
    ],
    ids=range(12),
)
def test_a_body_of_another_shape_is_refused(door: Door, body: bytes) -> None:
    before = rows()
    answer = door.send(message("发票"), body=body)
    assert 400 <= answer.status_code < 500
    assert rows() == before


def test_a_plain_message_is_refused(door: Door) -> None:
    answer = door.send(message("发票"), body=message("发票").encode())
    assert 400 <= answer.status_code < 500


@pytest.mark.parametrize("cipher", ["QUJD", "QUJD" * 11, "!!!", "A" * 43], ids=range(4))
def test_broken_ciphertext_with_a_right_signature_is_refused(door: Door, cipher: str) -> None:
    timestamp, nonce = str(int(time.time())), "n1"
    answer = door.client.post(
        ADDRESS,
        query_string={
            "timestamp": timestamp,
            "nonce": nonce,
            "signature": signed(TOKEN, timestamp, nonce),
            "msg_signature": signed(TOKEN, timestamp, nonce, cipher),
        },
        data=f"<xml><Encrypt>{cipher}</Encrypt></xml>",
    )
    assert 400 <= answer.status_code < 500


def test_another_app_or_another_account_is_refused(door: Door) -> None:
    before = rows()
    foreign = WeChatCrypto(TOKEN, AES_KEY, "wx0000000000000000")
    assert door.send(message("发票"), crypto=foreign).status_code == 401
    assert door.send(message("发票", to="gh_other")).status_code == 401
    assert rows() == before


@pytest.mark.parametrize(
    "xml",
    [
        message("发票", extra="<Deep>" + "<a>" * 20 + "</a>" * 20 + "</Deep>"),
        message("发票", extra="<MsgId>1</MsgId>"),
        "<xml><ToUserName>gh_shop</ToUserName></xml>",
        "<other/>",
        message("发票").replace("<xml>", "<!DOCTYPE x><xml>"),
    ],
    ids=range(5),
)
def test_an_inner_message_of_another_shape_is_refused(door: Door, xml: str) -> None:
    before = rows()
    answer = door.send(xml)
    assert 400 <= answer.status_code < 500
    assert rows() == before


@pytest.mark.parametrize(
    "text", ["", "]]>", "<a href='x'>y</a>", "𠮷" * 300, "确认", "1", "\u202e发票", "😀" * 50]
)
def test_any_text_gets_an_answer(door: Door, text: str) -> None:
    assert "发票" in door.says(text.replace("]]>", "]]&gt;") if "]]>" in text else text)


def test_other_kinds_of_message_get_help(door: Door) -> None:
    assert HELP in door.opened(door.send(message("", kind="image", extra="<MediaId>1</MediaId>")))


def test_an_unknown_account_looks_like_none(door: Door) -> None:
    answer = door.client.post("/wechat/nobody/callback", data=b"<xml/>")
    assert answer.status_code == 404


def test_a_foreign_host_is_shown_nothing_of_ours(door: Door) -> None:
    answer = door.client.get("/c/", headers={"Host": "evil.example"})
    assert (answer.status_code, answer.content_type) == (400, "text/plain; charset=utf-8")
    assert b"<" not in answer.data
