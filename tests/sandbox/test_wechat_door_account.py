"""The official-account doors: tokens, menu, messages, codes, OAuth, callbacks; wechatpy is the other reader."""

import json
import time
from urllib.parse import parse_qs, urlsplit

import requests
from wechatpy import parse_message
from wechatpy.crypto import WeChatCrypto
from wechatpy.utils import check_signature

from miniapp.sandbox import wechat_crypto
from tests.sandbox.conftest import AES_KEY, APP_ID, TOKEN, Receiver, Sandbox

VECTOR_XML = (
    "<xml><ToUserName><![CDATA[gh_test]]></ToUserName><FromUserName><![CDATA[oUser1]]></FromUserName>"
    "<CreateTime>1409735669</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[hi]]></Content>"
    "<MsgId>24000000000000001</MsgId></xml>"
)
VECTOR_ENCRYPT = (
    "Q3stYC6hdFzMh9T8HCvyDCeJX8zYLTKMqi4SjlPVHZEeyv3Kjdt0OwmijtEXasIE7WV7w2mz8e6e1Zt7ITJMrnJGL7JP0HaIaFWrAFX8vVQ5"
    "902Yt0OGMbZsz6hGL23pe1qmEbTKwfZuXFtB1L7PhpIznmhi9hXisXeNmqBSJnZJwl1x997ik7SUh5rFjVdNEuHfX7p+8qXdukGVTYlhcIbP"
    "NZjBh+6f3MipewUwxzicuOBoy3wB8iGZgzE8Wf809F+4k70zsDRG6pcXVGrvWgYdl3MWlRDc2aX7El57npxWDfwCV6HPD9vFIu3d03FtBYi2"
    "ZkDP6oyzgWf4z4DGPF7750jra2L0cK/9TPJ1F4I9ft0IRVixzF4UQrDqxJco"
)


def stable_token(sandbox: Sandbox, **more: object) -> str:
    body = {"grant_type": "client_credential", "appid": APP_ID, "secret": "s3cret", **more}
    return sandbox.post("/wechat-api/cgi-bin/stable_token", body)["access_token"]


def call(sandbox: Sandbox, path: str, body: dict, token: str = "") -> dict:
    raw = json.dumps(body, ensure_ascii=False).encode()
    token = token or stable_token(sandbox)
    url = f"{sandbox.base}/wechat-api/cgi-bin{path}"
    return sandbox.http.post(url, params={"access_token": token}, data=raw, timeout=30).json()


def test_crypto_vector_of_the_protocol():
    assert len(VECTOR_XML.encode()) == 237
    sealed = wechat_crypto.encrypt(VECTOR_XML, aes_key=AES_KEY, app_id=APP_ID, random=b"0123456789abcdef")
    assert sealed == VECTOR_ENCRYPT
    plain = wechat_crypto.signature(TOKEN, "1409735669", "1320562132")
    assert plain == "08d5e6cfc837ced2ae29ddd445c962ee2eeb6756"
    signed = wechat_crypto.signature(TOKEN, "1409735669", "1320562132", sealed)
    assert signed == "4340a9f118fde70f26d21c912d3dd39f249c523f"


def test_stable_token_stays_and_plain_tokens_follow_each_other(sandbox: Sandbox):
    assert stable_token(sandbox) == stable_token(sandbox)
    query = {"grant_type": "client_credential", "appid": APP_ID, "secret": "s3cret"}
    first = sandbox.get("/wechat-api/cgi-bin/token", **query)["access_token"]
    second = sandbox.get("/wechat-api/cgi-bin/token", **query)["access_token"]
    assert first != second
    path = "/wechat-api/cgi-bin/ticket/getticket"
    assert sandbox.get(path, access_token=first, type="jsapi")["errcode"] == 0
    sandbox.post("/control/clock", {"advance": 301})
    assert sandbox.get(path, access_token=first, type="jsapi")["errcode"] == 42001
    assert sandbox.get(path, access_token=second, type="jsapi")["errcode"] == 0
    assert sandbox.get(path, access_token="nonsense", type="jsapi")["errcode"] == 40001


def test_secret_and_app_are_told_apart(sandbox: Sandbox):
    body = {"grant_type": "client_credential", "appid": APP_ID, "secret": "wrong"}
    assert sandbox.post("/wechat-api/cgi-bin/stable_token", body)["errcode"] == 40125
    assert sandbox.post("/wechat-api/cgi-bin/stable_token", {**body, "appid": "wxnone"})["errcode"] == 40013


def test_menu_limits_and_escaped_text(sandbox: Sandbox):
    good = {
        "button": [
            {
                "name": "我的",
                "sub_button": [{"type": "view", "name": "发票", "url": "https://h5.example.com/"}],
            }
        ]
    }
    assert call(sandbox, "/menu/create", good)["errcode"] == 0
    assert sandbox.get("/control/wechat/main/menu") == good
    long_name = {"button": [{"type": "click", "name": "一二三四五六", "key": "K"}]}
    assert call(sandbox, "/menu/create", long_name)["errcode"] == 40018
    token = stable_token(sandbox)
    escaped = sandbox.http.post(
        f"{sandbox.base}/wechat-api/cgi-bin/menu/create?access_token={token}", json=good, timeout=9
    )
    assert escaped.json()["errcode"] == 40033


def test_template_fields_are_held_to_their_kinds(sandbox: Sandbox):
    def send(**changed: str) -> dict:
        values = {
            "amount1": "¥88.00",
            "thing2": "上海示例商贸有限公司",
            "character_string3": "K7Q",
            "phrase4": "待确认",
        }
        data = {name: {"value": value} for name, value in (values | changed).items()}
        return call(
            sandbox, "/message/template/send", {"touser": "oCustomerA", "template_id": "T1", "data": data}
        )

    assert send()["errcode"] == 0
    assert sandbox.messages(kind="template")[-1]["body"]["text"].startswith("金额：¥88.00\n抬头：上海示例")
    for field, bad in [
        ("thing2", "长" * 21),
        ("thing2", "两\n行"),
        ("character_string3", "单号1"),
        ("phrase4", "六个汉字太长"),
        ("amount1", ""),
    ]:
        answer = send(**{field: bad})
        assert answer["errcode"] == 47003
        assert f"data.{field}.value" in answer["errmsg"]


def test_template_needs_a_follower_and_a_known_template(sandbox: Sandbox):
    data = {"amount1": {"value": "1"}}
    assert (
        call(sandbox, "/message/template/send", {"touser": "oCustomerA", "template_id": "X", "data": data})[
            "errcode"
        ]
        == 40037
    )
    assert (
        call(sandbox, "/message/template/send", {"touser": "nobody", "template_id": "T1", "data": data})[
            "errcode"
        ]
        == 40003
    )


def test_customer_service_quota(sandbox: Sandbox, receiver: Receiver):
    def send() -> int:
        return call(
            sandbox,
            "/message/custom/send",
            {"touser": "oCustomerA", "msgtype": "text", "text": {"content": "您好"}},
        )["errcode"]

    sandbox.post("/control/clock", {"advance": 100 * 3600})
    assert send() == 45015
    sandbox.post("/control/wechat/main/view", {"person": "customer_a", "url": "https://h5.example.com/"})
    assert send() == 45015
    sandbox.post("/control/wechat/main/click", {"person": "customer_a", "key": "K"})
    assert [send() for _ in range(4)] == [0, 0, 0, 45047]
    sandbox.post("/control/clock", {"advance": 61})
    assert send() == 45015
    sandbox.post("/control/wechat/main/say", {"person": "customer_a", "text": "在吗"})
    assert [send() for _ in range(6)] == [0, 0, 0, 0, 0, 45047]


def test_picture_is_uploaded_and_sent(sandbox: Sandbox, receiver: Receiver):
    token = stable_token(sandbox)
    url = f"{sandbox.base}/wechat-api/cgi-bin/media/upload?access_token={token}&type=image"
    png = b"\x89PNG\r\n\x1a\n" + b"0" * 100
    media_id = sandbox.http.post(url, files={"media": ("a.png", png, "image/png")}, timeout=9).json()[
        "media_id"
    ]
    refused = sandbox.http.post(
        url, files={"media": ("a.pdf", b"%PDF-1.7", "application/pdf")}, timeout=9
    ).json()
    assert refused["errcode"] == 40005
    sandbox.post("/control/wechat/main/say", {"person": "customer_a", "text": "在吗"})
    body = {"touser": "oCustomerA", "msgtype": "image", "image": {"media_id": media_id}}
    assert call(sandbox, "/message/custom/send", body)["errcode"] == 0
    shown = sandbox.http.get(f"{sandbox.base}/wechat-api/sandbox/media/{media_id}", timeout=9)
    assert shown.content == png


def test_oauth_code_works_once_and_five_minutes(sandbox: Sandbox):
    page = f"{sandbox.base}/wechat-open/connect/oauth2/authorize"
    query = {
        "appid": APP_ID,
        "redirect_uri": "https://h5.example.com/back?a=1",
        "response_type": "code",
        "scope": "snsapi_base",
        "state": "S1",
    }

    def code(person: str) -> str:
        answer = requests.get(
            page, params=query, cookies={"sandbox_person": person}, allow_redirects=False, timeout=9
        )
        back = urlsplit(answer.headers["Location"])
        assert back.netloc == "h5.example.com"
        assert parse_qs(back.query)["state"] == ["S1"]
        return parse_qs(back.query)["code"][0]

    def exchange(given: str) -> dict:
        fields = {"appid": APP_ID, "secret": "s3cret", "code": given, "grant_type": "authorization_code"}
        return sandbox.get("/wechat-api/sns/oauth2/access_token", **fields)

    given = code("customer_a")
    assert exchange(given)["openid"] == "oCustomerA"
    assert exchange(given)["errcode"] == 40163
    assert exchange("nonsense")["errcode"] == 40029
    snapshot = exchange(code("snapshot"))
    assert snapshot["is_snapshotuser"] == 1
    assert snapshot["openid"] != exchange(code("snapshot"))["openid"]
    late = code("customer_a")
    sandbox.post("/control/clock", {"advance": 301})
    assert exchange(late)["errcode"] == 42003
    assert "微信客户端" in requests.get(page, params=query, timeout=9).content.decode()
    other = {**query, "redirect_uri": "https://other.example.com/"}
    assert (
        "10003"
        in requests.get(
            page, params=other, cookies={"sandbox_person": "customer_a"}, timeout=9
        ).content.decode()
    )


def test_message_is_encrypted_and_the_encrypted_reply_reaches_the_person(
    sandbox: Sandbox, receiver: Receiver
):
    crypto = WeChatCrypto(TOKEN, AES_KEY, APP_ID)
    seen = []

    def answer(path: str, body: bytes) -> tuple[int, bytes]:
        query = {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}
        check_signature(TOKEN, query["signature"], query["timestamp"], query["nonce"])
        xml = crypto.decrypt_message(body, query["msg_signature"], query["timestamp"], query["nonce"])
        message = parse_message(xml)
        seen.append(message)
        reply = (
            f"<xml><ToUserName><![CDATA[{message.source}]]></ToUserName><FromUserName><![CDATA[{message.target}]]>"
            "</FromUserName><CreateTime>1</CreateTime><MsgType><![CDATA[text]]></MsgType>"
            "<Content><![CDATA[收到]]></Content></xml>"
        )
        return 200, crypto.encrypt_message(reply, "123", "1409735669").encode()

    receiver.answer = answer
    done = sandbox.post("/control/wechat/main/say", {"person": "customer_a", "text": "发票 & <抬头>"})
    assert seen[0].content == "发票 & <抬头>"
    assert seen[0].id == int(done["msg_id"])
    assert done["reply"]["Content"] == "收到"
    assert sandbox.messages(person="customer_a", direction="out", kind="text")[-1]["body"] == {
        "content": "收到"
    }


def test_a_lost_answer_is_tried_three_times_with_new_signatures(sandbox: Sandbox, receiver: Receiver):
    sandbox.fault("wechat_callback", "commit_then_drop", times=None)
    done = sandbox.post("/control/wechat/main/say", {"person": "customer_a", "text": "发票"})
    assert len(done["attempts"]) == 3
    assert done["banner"] is True
    crypto, plain, queries = WeChatCrypto(TOKEN, AES_KEY, APP_ID), set(), set()
    for path, body in receiver.got:
        query = {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}
        plain.add(crypto.decrypt_message(body, query["msg_signature"], query["timestamp"], query["nonce"]))
        queries.add(query["nonce"])
    assert len(receiver.got) == 3
    assert len(plain) == 1
    assert len(queries) == 3
    assert sandbox.messages(kind="banner")[-1]["person"] == "customer_a"


def test_an_unencrypted_reply_shows_the_banner(sandbox: Sandbox, receiver: Receiver):
    receiver.answer = lambda path, body: (200, b"<xml><MsgType>text</MsgType></xml>")
    done = sandbox.post("/control/wechat/main/say", {"person": "customer_a", "text": "发票"})
    assert done["banner"] is True
    assert len(done["attempts"]) == 1


def test_events_have_no_message_id_and_follow_the_person(sandbox: Sandbox, receiver: Receiver):
    crypto = WeChatCrypto(TOKEN, AES_KEY, APP_ID)
    made = call(
        sandbox,
        "/qrcode/create",
        {
            "action_name": "QR_STR_SCENE",
            "expire_seconds": 600,
            "action_info": {"scene": {"scene_str": "t=1"}},
        },
    )
    sandbox.post("/control/wechat/main/scan", {"person": "customer_b", "url": made["url"]})
    sandbox.post("/control/wechat/main/scan", {"person": "customer_b", "ticket": made["ticket"]})
    sandbox.post("/control/wechat/main/unfollow", {"person": "customer_b"})
    events = []
    for path, body in receiver.got:
        query = {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}
        xml = crypto.decrypt_message(body, query["msg_signature"], query["timestamp"], query["nonce"])
        events.append(wechat_crypto.fields(xml))
    assert [event["Event"] for event in events] == ["subscribe", "SCAN", "unsubscribe"]
    assert [event["EventKey"] for event in events] == ["qrscene_t=1", "t=1", ""]
    assert not any("MsgId" in event for event in events)


def test_server_address_is_verified(sandbox: Sandbox, receiver: Receiver):
    receiver.answer = lambda path, body: (200, parse_qs(urlsplit(path).query)["echostr"][0].encode())
    assert sandbox.post("/control/wechat/main/verify", {})["ok"] is True


def test_an_answer_after_five_seconds_counts_as_none(sandbox: Sandbox, receiver: Receiver):
    def slow_once(path: str, body: bytes) -> tuple[int, bytes]:
        if len(receiver.got) == 1:
            time.sleep(5.5)
        return 200, b"success"

    receiver.answer = slow_once
    done = sandbox.post("/control/wechat/main/say", {"person": "customer_a", "text": "发票"})
    assert [attempt["status"] for attempt in done["attempts"]] == [0, 200]
    assert done["banner"] is False
    assert sandbox.get("/control/wechat/main/person", person="customer_a")["follows"] is True
