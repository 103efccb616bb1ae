"""The life account's door: GBK, signed with sign_type inside; answers are signed over what stands in ``response``.

The sandbox plays Alipay for whole messages; ``cryptography`` signs and verifies the hand-made ones.
"""

import base64
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from flask.testing import FlaskClient
from sqlalchemy import func, select

from miniapp import db
from miniapp.app import create_app
from miniapp.chat.models import Notice, SeenMessage
from tests.handlers.gateways.clients import client_of
from tests.people import ALIPAY_APP, Retailer, World

ADDRESS = "/alipay/life/gateway"
MESSAGE = "alipay.mobile.public.message.notify"


@dataclass
class Door:
    """Alipay's side of the door."""

    client: FlaskClient
    world: World

    def post(self, fields: dict[str, str], **replaced: str) -> Any:
        given = {"sign_type": "RSA2", "charset": "GBK", **fields}
        text = "&".join(f"{name}={given[name]}" for name in sorted(given))
        given["sign"] = self._sign(text.encode("gbk"))
        given.update(replaced)
        return self.client.post(
            ADDRESS,
            data=urlencode(given, encoding="gbk"),
            content_type="application/x-www-form-urlencoded",
        )

    def says(self, text: str, **more: str) -> Any:
        return self.post({"service": MESSAGE, "biz_content": content(text, **more)})

    def _sign(self, text: bytes) -> str:
        key: Any = serialization.load_pem_private_key(self.world.alipay.private.encode(), None)
        return base64.b64encode(key.sign(text, padding.PKCS1v15(), hashes.SHA256())).decode()

    def is_sealed(self, answer: Any) -> bool:
        """Is the answer signed by our app over exactly the inner text, in GBK?"""
        found = re.search(
            rb"<response>(.*)</response><sign>(.*)</sign><sign_type>RSA2</sign_type>", answer.data, re.S
        )
        assert found, answer.data
        key: Any = serialization.load_pem_public_key(self.world.app.public.encode())
        key.verify(base64.b64decode(found[2]), found[1], padding.PKCS1v15(), hashes.SHA256())
        return True


def content(text: str, *, app: str = ALIPAY_APP, number: str = "") -> str:
    return (
        '<?xml version="1.0" encoding="gbk"?><XML>'
        f"<AppId><![CDATA[{app}]]></AppId><FromAlipayUserId><![CDATA[2088100000000001]]></FromAlipayUserId>"
        f"<CreateTime>1380111761024</CreateTime><MsgType><![CDATA[text]]></MsgType>"
        f"<MsgId>{number or secrets.token_hex(8)}</MsgId><Text><Content><![CDATA[{text}]]></Content></Text></XML>"
    )


def rows() -> tuple[int, int]:
    with db.reading() as session:
        return tuple(  # type: ignore[return-value]
            session.scalar(select(func.count()).select_from(model)) or 0 for model in (SeenMessage, Notice)
        )


@pytest.fixture
def door(retailer: Retailer) -> Iterator[Door]:
    yield Door(client_of(create_app(retailer.config)), retailer.world)


def test_the_gateway_check_is_answered_with_our_public_key(door: Door) -> None:
    answer = door.post({"service": "alipay.service.check", "biz_content": "<XML></XML>"})
    assert answer.status_code == 200 and door.is_sealed(answer)
    bare = "".join(door.world.app.public.splitlines()[1:-1])
    assert f"<success>true</success><biz_content>{bare}</biz_content>" in answer.data.decode("gbk")
    refused = door.post({"service": "alipay.service.check", "biz_content": "<XML></XML>"}, sign_type="RSA")
    assert b"VERIFY_FAILED" in refused.data and door.is_sealed(refused)


def test_a_text_is_acknowledged_at_once_and_answered_by_a_message(door: Door, retailer: Retailer) -> None:
    answer = door.says("发票", number="m1")
    assert b"<MsgType><![CDATA[ack]]></MsgType>" in answer.data and door.is_sealed(answer)
    door.says("发票", number="m1")
    assert rows() == (1, 1)
    retailer.work()
    sent = [
        one
        for one in retailer.ledger()["messages"]
        if one["platform"] == "alipay" and one["direction"] == "out"
    ]
    assert sent
    with db.reading() as session:
        assert session.scalars(select(Notice.state)).all() == ["sent"]


@pytest.mark.parametrize(
    "replaced",
    [
        {"sign": "AAAA"},
        {"sign": "é"},
        {"sign": ""},
        {"sign_type": "RSA"},
        {"biz_content": content("改", number="1")},
        {"charset": "big5"},
    ],
    ids=str,
)
def test_an_altered_field_is_refused(door: Door, replaced: dict[str, str]) -> None:
    before = rows()
    answer = door.post({"service": MESSAGE, "biz_content": content("发票")}, **replaced)
    assert 400 <= answer.status_code < 500
    assert rows() == before


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"a",
        b"service=%ff%ff&sign=1",
        b"sign=1&sign=2&service=" + MESSAGE.encode(),
        b"&".join(b"a%d=1" % at for at in range(100)),
        "服务=1".encode(),
        b"biz_content=" + b"A" * 70_000,
    ],
    ids=range(7),
)
def test_a_body_of_another_shape_is_refused(door: Door, body: bytes) -> None:
    before = rows()
    answer = door.client.post(ADDRESS, data=body, content_type="application/x-www-form-urlencoded")
    assert 400 <= answer.status_code < 500
    assert rows() == before


def test_another_app_or_service_is_refused(door: Door) -> None:
    assert door.says("发票", app="2021000000009999").status_code == 401
    answer = door.post({"service": "alipay.other", "biz_content": content("发票")})
    assert answer.status_code == 422


@pytest.mark.parametrize(
    "inner", ["", "<XML/>", "<!DOCTYPE a><XML></XML>", "<XML><AppId>1</AppId><AppId>2</AppId></XML>"]
)
def test_signed_nonsense_is_refused(door: Door, inner: str) -> None:
    answer = door.post({"service": MESSAGE, "biz_content": inner})
    assert 400 <= answer.status_code < 500


def test_a_real_gateway_is_content_with_us(door: Door) -> None:
    assert door.client.get(ADDRESS).status_code == 405
    assert door.client.post("/alipay/main/gateway", data=b"a=1").status_code == 404
