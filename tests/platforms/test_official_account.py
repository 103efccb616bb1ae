"""Official account: tokens, messages, menu and login, against a peer that keeps the platform's rules."""

import json
import threading
import time
from urllib.parse import parse_qs, urlsplit

import pytest

from miniapp.chat import senders
from miniapp.chat.senders import Link
from miniapp.chat.senders.wechat import fitted
from miniapp.customers import logins
from miniapp.customers.logins import AccountSettings
from miniapp.platforms import official_account
from tests.platforms.peers import DROP, Answer, peer


class Account:
    """Hands out tokens, takes messages; ``refuse`` is the errcode of the next messages."""

    def __init__(self):
        self.tokens = 0
        self.valid = ""
        self.forced = 0
        self.sticky = False
        self.slow = 0.0
        self.messages = []
        self.refuse = []
        self.answer = None

    def __call__(self, request):
        if request.path == "/cgi-bin/stable_token":
            return self._token(json.loads(request.body))
        if request.path == "/sns/oauth2/access_token":
            return Answer(json.dumps(self.answer).encode())
        if request.query.get("access_token") != self.valid:
            return Answer(b'{"errcode":40001,"errmsg":"invalid credential"}')
        if self.refuse:
            code = self.refuse.pop(0)
            return DROP if code is None else Answer(json.dumps({"errcode": code, "errmsg": "no"}).encode())
        self.messages.append((request.path, request.body))
        if request.path == "/cgi-bin/media/upload":
            return Answer(b'{"type":"image","media_id":"MEDIA","created_at":1}')
        return Answer(b'{"errcode":0,"errmsg":"ok","msgid":200228332}')

    def _token(self, asked):
        if asked["secret"] != "secret":
            return Answer(b'{"errcode":40125,"errmsg":"invalid appsecret"}')
        time.sleep(self.slow)
        self.forced += bool(asked.get("force_refresh"))
        if not self.sticky or asked.get("force_refresh"):
            self.tokens += 1
        self.valid = f"token-{self.tokens}"
        return Answer(json.dumps({"access_token": self.valid, "expires_in": 7200}).encode())


@pytest.fixture
def account():
    official_account.client.cache_clear()
    side = Account()
    with peer(side) as other:
        side.base, side.peer = other.base, other
        yield side


def settings(account, **more):
    values = {
        "secret": "secret",
        "api_base": account.base,
        "oauth_base": "https://open.weixin.qq.com",
        **more,
    }
    return AccountSettings("main", "wechat", "wx1", "示例商贸", **values)


def sender(account, **more):
    return senders.of(settings(account, **more))


def test_a_text_goes_out_as_raw_utf8_with_a_shared_token(account):
    for _ in range(3):
        assert isinstance(sender(account).send_text("oUser", "发票已开"), senders.Sent)
    path, body = account.messages[0]
    assert path == "/cgi-bin/message/custom/send" and "发票已开" in body.decode()
    assert json.loads(body) == {"touser": "oUser", "msgtype": "text", "text": {"content": "发票已开"}}
    assert account.tokens == 1


def test_many_at_once_fetch_one_token(account):
    account.slow = 0.2
    threads = [threading.Thread(target=sender(account).send_text, args=("o", "x")) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (account.tokens, len(account.messages)) == (1, 12)


def test_a_lost_token_is_renewed_once_and_a_bad_one_is_not_asked_for_ever(account):
    one = sender(account)
    one.send_text("o", "x")
    account.valid = "somebody else's"
    assert isinstance(one.send_text("o", "y"), senders.Sent) and account.tokens == 2
    account.refuse = [40001] * 5
    refused = one.send_text("o", "z")
    assert isinstance(refused, senders.Refused) and refused.alarm and len(account.refuse) == 3


def test_a_stable_token_that_stays_the_same_is_forced(account):
    one = sender(account)
    one.send_text("o", "x")
    account.sticky, account.refuse = True, [42001]
    assert isinstance(one.send_text("o", "y"), senders.Sent)
    assert account.forced == 1


def test_a_template_carries_our_key_and_fits_its_fields(account):
    fields = {"thing1": "上海示例商贸有限公司第一分公司徐汇门店", "amount2": "¥300.00", "phrase3": "待确认"}
    sent = sender(account).send_template("o", "T1", fields, url="https://x.test/r", client_id="n-1")
    assert sent == senders.Sent("200228332")
    message = json.loads(account.messages[0][1])
    assert message["client_msg_id"] == "n-1" and message["url"] == "https://x.test/r"
    assert len(message["data"]["thing1"]["value"]) <= 20


@pytest.mark.parametrize(
    ("name", "value", "fits"),
    [
        ("thing4", "一" * 21, "一" * 19 + "…"),
        ("thing4", "a\r\nb", "a b"),
        ("thing4", " ", "-"),
        ("character_string1", "单号S001-1", "S001-1"),
        ("phrase2", "已完成开票啦", "已完成开票"),
        ("phrase2", "ok", "无"),
        ("amount3", "¥300.00", "¥300.00"),
    ],
)
def test_template_values_keep_their_kinds_limits(name, value, fits):
    assert fitted(name, value) == fits


@pytest.mark.parametrize(
    ("code", "flags"),
    [
        (45015, {"window_closed": True}),
        (45047, {"window_closed": True}),
        (43004, {"unreachable": True}),
        (45009, {"again": True}),
        (47003, {"alarm": True}),
    ],
)
def test_why_a_message_was_refused(account, code, flags):
    account.refuse = [code]
    refused = sender(account).send_text("o", "x")
    assert refused == senders.Refused(str(code), words="no", **flags)


def test_silence_is_unknown_and_a_token_that_cannot_be_had_means_unsent(account):
    account.refuse = [None, -1]
    assert sender(account).send_text("o", "x") == senders.Unknown("cut")
    assert sender(account).send_text("o", "x") == senders.Unknown("busy")
    account.peer.answer = lambda _: DROP
    official_account.tokens.use(official_account.tokens.InMemory())
    assert sender(account).send_text("o", "x") == senders.Unknown("cut", sent=False)
    wrong = sender(account, secret="wrong")
    account.peer.answer = account
    refused = wrong.send_text("o", "x")
    assert isinstance(refused, senders.Refused) and refused.alarm


def test_a_picture_is_uploaded_and_a_link_is_a_card(account):
    one = sender(account)
    assert isinstance(one.send_picture("o", b"\x89PNG..."), senders.Sent)
    assert account.messages[0][0] == "/cgi-bin/media/upload" and b"\x89PNG..." in account.messages[0][1]
    assert json.loads(account.messages[1][1])["image"] == {"media_id": "MEDIA"}
    assert isinstance(one.send_link("o", Link("发票已开", "300.00 元", "https://x.test/i/1")), senders.Sent)
    assert json.loads(account.messages[2][1])["msgtype"] == "news"


def test_the_menu(account):
    children = [{"name": "发票", "url": "https://x.test/c"}, {"name": "帮助", "key": "HELP"}]
    assert isinstance(sender(account).set_menu([{"name": "我的", "children": children}]), senders.Sent)
    path, body = account.messages[0]
    assert path == "/cgi-bin/menu/create" and "我的".encode() in body
    sub = json.loads(body)["button"][0]["sub_button"]
    assert [button["type"] for button in sub] == ["view", "click"]


def test_the_login_address_has_the_platforms_order_and_fragment(account):
    url = logins.of(settings(account)).authorize_url("state1", "https://shop.test/c/back?x=1")
    assert url.endswith("&state=state1#wechat_redirect")
    query = parse_qs(urlsplit(url).query)
    assert list(query) == ["appid", "redirect_uri", "response_type", "scope", "state"]
    assert query["redirect_uri"] == ["https://shop.test/c/back?x=1"] and query["scope"] == ["snsapi_base"]


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ({"openid": "o1", "unionid": "u1"}, logins.Identity("wx1", "o1", union_id="u1")),
        ({"openid": "o1", "is_snapshotuser": 1}, logins.Identity("wx1", "o1", snapshot=True)),
        ({"errcode": 40163, "errmsg": "code been used"}, logins.Refused("40163")),
        ({"errcode": 40125, "errmsg": "secret"}, logins.Refused("40125", alarm=True)),
        ({}, logins.Unknown("unreadable")),
        ([], logins.Unknown("unreadable")),
    ],
)
def test_who_came(account, answer, found):
    account.answer = answer
    assert logins.of(settings(account)).identify("CODE") == found


def test_no_secret_in_what_is_printed(account):
    assert "secret" not in repr(settings(account)).replace("secret=", "")
