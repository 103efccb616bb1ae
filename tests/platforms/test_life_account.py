"""Life account: messages, login and the gateway's signatures in GBK."""

import base64
import json

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from miniapp.chat import senders
from miniapp.chat.senders import Link
from miniapp.customers import logins
from miniapp.customers.logins import AccountSettings
from miniapp.platforms import life_account, rsa
from tests.platforms.peers import Answer, peer


@pytest.fixture
def wire(our_keys, platform_keys):
    """``wire(values)`` -> settings of an account whose gateway answers so, and what it has seen."""
    opened = []

    def start(values, *, node=None, seal=True):
        def side(request):
            raw = json.dumps(values, ensure_ascii=False)
            name = node or request.query["method"].replace(".", "_") + "_response"
            signed = platform_keys.handle.sign(raw.encode(), padding.PKCS1v15(), hashes.SHA256())
            sign = f',"sign":"{base64.b64encode(signed).decode()}"' if seal else ""
            return Answer(f'{{"{name}":{raw}{sign}}}'.encode())

        context = peer(side)
        other = context.__enter__()
        opened.append(context)
        account = AccountSettings(
            "life",
            "alipay",
            "2021000000000002",
            "示例商贸",
            app_key=our_keys.private,
            platform_key=platform_keys.public,
            gateway_base=other.base,
            oauth_base="https://openauth.alipay.com",
        )
        return account, other.seen

    yield start
    for context in opened:
        context.__exit__(None, None, None)


def test_a_text_and_a_card_go_to_an_open_id_or_an_older_number(wire):
    account, seen = wire({"code": "10000", "msg": "Success"})
    one = senders.of(account)
    assert one.send_text("open-id-1", "发票已开") == senders.Sent()
    assert (
        one.send_link("2088102122485786", Link("发票", "300.00 元", "https://x.test/i/1")) == senders.Sent()
    )
    text, card = (json.loads(request.form["biz_content"]) for request in seen)
    assert text["open_id"] == "open-id-1" and text["text"]["content"] == "发票已开"
    assert card["to_user_id"] == "2088102122485786" and card["articles"][0]["url"] == "https://x.test/i/1"
    assert seen[0].query["method"] == "alipay.open.public.message.custom.send"


@pytest.mark.parametrize(
    ("values", "answer"),
    [
        (
            {"code": "40004", "sub_code": "PUB.MSG_TIME_LIMIT", "sub_msg": "x"},
            senders.Refused("PUB.MSG_TIME_LIMIT", window_closed=True, words="x"),
        ),
        (
            {"code": "40004", "sub_code": "PUB.NOT_FOLLOW", "sub_msg": "x"},
            senders.Refused("PUB.NOT_FOLLOW", unreachable=True, words="x"),
        ),
        ({"code": "40005", "msg": "x"}, senders.Refused("40005", again=True, words="x")),
        ({"code": "20000", "sub_code": "isp.unknow-error"}, senders.Unknown("refused")),
    ],
)
def test_why_a_message_was_refused(wire, values, answer):
    account, _ = wire(values)
    assert senders.of(account).send_text("o", "x") == answer


def test_the_menu_is_changed(wire):
    account, seen = wire({"code": "10000"})
    buttons = [{"name": "我的", "children": [{"name": "发票", "url": "https://x.test/c"}]}]
    assert senders.of(account).set_menu(buttons) == senders.Sent()
    sub = json.loads(seen[0].form["biz_content"])["button"][0]["sub_button"]
    assert sub == [{"name": "发票", "action_type": "link", "action_param": "https://x.test/c"}]


@pytest.mark.parametrize(
    ("values", "more", "found"),
    [
        ({"open_id": "o1", "access_token": "t"}, {}, logins.Identity("2021000000000002", "o1")),
        (
            {"user_id": "2088102122485786", "union_id": "u"},
            {},
            logins.Identity("2021000000000002", "2088102122485786", union_id="u", user_id="2088102122485786"),
        ),
        (
            {"code": "40002", "sub_code": "isv.code-invalid"},
            {"node": "error_response"},
            logins.Refused("isv.code-invalid"),
        ),
        (
            {"code": "40002", "sub_code": "isv.invalid-app-id"},
            {"node": "error_response", "seal": False},
            logins.Refused("isv.invalid-app-id", alarm=True),
        ),
        ({"open_id": "o1"}, {"seal": False}, logins.Unknown("bad_signature")),
        ({"access_token": "t"}, {}, logins.Unknown("unreadable")),
    ],
)
def test_who_came(wire, values, more, found):
    account, seen = wire(values, **more)
    assert logins.of(account).identify("CODE") == found
    assert seen[0].form["code"] == "CODE" and seen[0].form["grant_type"] == "authorization_code"


def test_the_login_address(wire):
    account, _ = wire({})
    url = logins.of(account).authorize_url("s1", "https://shop.test/c/back")
    assert url.startswith(
        "https://openauth.alipay.com/oauth2/publicAppAuthorize.htm?app_id=2021000000000002&"
    )
    assert "scope=auth_base" in url and "state=s1" in url


def test_a_gateway_post_is_verified_over_gbk_with_its_sign_type(our_keys, platform_keys):
    fields = {
        "service": "alipay.mobile.public.message.notify",
        "sign_type": "RSA2",
        "biz_content": "<XML>开票</XML>",
    }
    text = "&".join(f"{name}={fields[name]}" for name in sorted(fields)).encode("gbk")
    signed = platform_keys.handle.sign(text, padding.PKCS1v15(), hashes.SHA256())
    whole = [*fields.items(), ("sign", base64.b64encode(signed).decode())]
    assert life_account.signed_by_alipay(whole, platform_keys.public)
    assert not life_account.signed_by_alipay(whole, our_keys.public)
    assert not life_account.signed_by_alipay([("service", "x"), *whole], platform_keys.public)
    assert not life_account.signed_by_alipay(
        [(name, value + "x") for name, value in whole], platform_keys.public
    )
    assert not life_account.signed_by_alipay([*fields.items(), ("sign", "签名")], platform_keys.public)


def test_the_answer_is_signed_over_exactly_what_stands_inside(our_keys):
    body = life_account.sealed(
        life_account.verified_gateway(our_keys.public, right=True), our_keys.private
    ).decode("gbk")
    inner = body.partition("<response>")[2].partition("</response>")[0]
    seal = base64.b64decode(body.partition("<sign>")[2].partition("</sign>")[0])
    our_keys.handle.public_key().verify(seal, inner.encode("gbk"), padding.PKCS1v15(), hashes.SHA256())
    assert rsa.public_of(our_keys.private) == our_keys.public
    assert "BEGIN" not in inner and "<success>true</success><biz_content>MI" in inner
