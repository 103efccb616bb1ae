"""WeChat posting to the account's server: encrypted messages and events, real retries, the reply checked.

Driven by `/control/wechat/<account>/…`; faults at the door `wechat_callback` are looked up for every attempt.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, abort, jsonify, request

from miniapp.sandbox import outgoing, wechat_crypto, wechat_menu, wechat_parties, wechat_tokens
from miniapp.sandbox.faults import Fault
from miniapp.sandbox.wechat_parties import Account
from miniapp.sandbox.wechat_reply import BadReply, read_reply
from miniapp.sandbox.world import World, stamp

BANNER = "该公众号提供的服务出现故障，请稍后再试"
ATTEMPTS = 3
SECONDS = 5.0
# Events after which a person sees the banner; the others fail in silence.
VISIBLE = ("CLICK", "SUBSCRIBE", "SCAN", "SCANCODE_WAITMSG")


@dataclass
class Outcome:
    """What one message led to."""

    msg_id: str
    attempts: list[dict[str, Any]] = field(default_factory=list)
    reply: dict[str, Any] | None = None
    banner: bool = False


def blueprint(world: World) -> Blueprint:
    """What a person does to an account, by the phone's page or by a test."""
    bp = Blueprint("wechat_callbacks", __name__, url_prefix="/control/wechat/<code>")

    _chat_doors(world, bp)
    _follower_doors(world, bp)
    _other_doors(world, bp)
    return bp


def push_text(world: World, account: Account, person: str, text: str, *, msg_id: str = "") -> Outcome:
    """A person writes to the account. `msg_id` given: that message once more."""
    msg_id = msg_id or str(24_000_000_000_000_000 + secrets.randbelow(10**15))
    _record(world, account, person, "in", "text", {"content": text}, "chat", msg_id)
    wechat_parties.earn_quota(world, account.code, person, "message")
    message = _common(world, account, person, "text")
    message |= {"Content": text, "MsgId": int(msg_id)}
    return _deliver(world, account, person, message, msg_id=msg_id, visible=True)


def push_event(world: World, account: Account, person: str, event: dict[str, str | int]) -> Outcome:
    """An event; the fields beyond the common ones in the protocol's names."""
    name = str(event["Event"])
    message = _common(world, account, person, "event") | event
    return _deliver(world, account, person, message, msg_id="", visible=name.upper() in VISIBLE)


def _chat_doors(world: World, bp: Blueprint) -> None:
    @bp.post("/say")
    def say(code: str) -> Response:
        given = request.get_json()
        more = {"msg_id": given["msg_id"]} if given.get("msg_id") else {}
        return jsonify(asdict(push_text(world, _there(world, code), given["person"], given["text"], **more)))

    @bp.post("/click")
    def click(code: str) -> Response:
        given = request.get_json()
        return _event(
            world, _there(world, code), given["person"], {"Event": "CLICK", "EventKey": given["key"]}, "click"
        )

    @bp.post("/view")
    def view(code: str) -> Response:
        given = request.get_json()
        return _event(
            world, _there(world, code), given["person"], {"Event": "VIEW", "EventKey": given["url"]}
        )


def _follower_doors(world: World, bp: Blueprint) -> None:
    @bp.post("/follow")
    def follow(code: str) -> Response:
        given = request.get_json()
        return jsonify(
            asdict(_follow(world, _there(world, code), given["person"], given.get("scene", ""), ""))
        )

    @bp.post("/unfollow")
    def unfollow(code: str) -> Response:
        account, person = _there(world, code), request.get_json()["person"]
        wechat_parties.set_follows(world, account.code, person, False)
        return _event(world, account, person, {"Event": "unsubscribe", "EventKey": ""})

    @bp.post("/scan")
    def scan(code: str) -> Response:
        return _scan(world, _there(world, code), request.get_json())


def _other_doors(world: World, bp: Blueprint) -> None:
    @bp.post("/event")
    def event(code: str) -> Response:
        given = request.get_json()
        return _event(world, _there(world, code), given["person"], given["fields"])

    @bp.post("/verify")
    def verify(code: str) -> Response:
        return jsonify(_verify(world, _there(world, code)))

    @bp.post("/forget_tokens")
    def forget_tokens(code: str) -> Response:
        wechat_tokens.forget(world, _there(world, code).app_id)
        return jsonify(ok=True)

    @bp.get("/menu")
    def menu(code: str) -> Response:
        return jsonify(wechat_menu.current(world, _there(world, code).code) or {"button": []})

    @bp.get("/person")
    def person(code: str) -> Response:
        account, name = _there(world, code), request.args["person"]
        known = {"open_id": wechat_parties.open_id(world, name, account.app_id)}
        return jsonify(known | {"follows": wechat_parties.follows(world, account.code, name)})


def _there(world: World, code: str) -> Account:
    found = wechat_parties.account(world, code)
    if found is None:
        abort(404, "no such account")
    return found


def _event(
    world: World, account: Account, person: str, event: dict[str, str | int], earned: str = ""
) -> Response:
    _record(world, account, person, "in", "event", dict(event), "menu" if earned else "event", "")
    if earned:
        wechat_parties.earn_quota(world, account.code, person, earned)
    return jsonify(asdict(push_event(world, account, person, event)))


def _follow(world: World, account: Account, person: str, scene: str, ticket: str) -> Outcome:
    wechat_parties.set_follows(world, account.code, person, True, scene)
    wechat_parties.earn_quota(world, account.code, person, "subscribe")
    event: dict[str, str | int] = {"Event": "subscribe", "EventKey": f"qrscene_{scene}" if scene else ""}
    if ticket:
        event["Ticket"] = ticket
    _record(world, account, person, "in", "event", dict(event), "event", "")
    return push_event(world, account, person, event)


def _scan(world: World, account: Account, given: dict[str, Any]) -> Response:
    """A parametric code by its ticket or url: `SCAN` for a follower, else `subscribe`."""
    found = world.store.row(
        "SELECT * FROM wechat_qrcodes WHERE account = ? AND (ticket = ? OR url = ?)"
        " AND (ends_at IS NULL OR ends_at > ?)",
        account.code,
        given.get("ticket", ""),
        given.get("url", ""),
        stamp(world.now()),
    )
    if found is None:
        abort(404, "no such code, or it has expired")
    person = given["person"]
    if not wechat_parties.follows(world, account.code, person):
        return jsonify(asdict(_follow(world, account, person, found["scene"], found["ticket"])))
    event: dict[str, str | int] = {"Event": "SCAN", "EventKey": found["scene"], "Ticket": found["ticket"]}
    return _event(world, account, person, event, "scan")


def _verify(world: World, account: Account) -> dict[str, Any]:
    """The GET with which the console checks a server address."""
    timestamp, nonce = str(world.wire_seconds()), secrets.token_hex(8)
    echo = str(secrets.randbelow(10**18))
    signature = wechat_crypto.signature(account.token, timestamp, nonce)
    query = urlencode({"signature": signature, "timestamp": timestamp, "nonce": nonce, "echostr": echo})
    got = outgoing.get(f"{account.callback_url}?{query}")
    return {"ok": got.status == 200 and got.body == echo.encode(), "status": got.status}


def _common(world: World, account: Account, person: str, kind: str) -> dict[str, str | int]:
    return {
        "ToUserName": account.original_id,
        "FromUserName": wechat_parties.open_id(world, person, account.app_id),
        "CreateTime": int(world.now().timestamp()),
        "MsgType": kind,
    }


def _deliver(
    world: World,
    account: Account,
    person: str,
    message: dict[str, str | int],
    *,
    msg_id: str,
    visible: bool,
) -> Outcome:
    """Up to three attempts with the same message; only a missing answer is tried again."""
    outcome = Outcome(msg_id)
    xml = wechat_crypto.xml_of(message)
    read = {"account": account.code, "person": person, "type": str(message["MsgType"])}
    read |= {name: str(message[name]) for name in ("Event", "EventKey", "Content") if name in message}
    for _ in range(ATTEMPTS):
        fault = world.faults.take("wechat_callback", read)
        got = _attempt(world, account, xml, str(message["FromUserName"]), fault)
        outcome.attempts.append(
            {"status": got.status, "milliseconds": got.milliseconds, "problem": got.problem}
        )
        if got.status == 0:
            continue
        try:
            if got.status != 200:
                raise BadReply(f"status {got.status}")
            outcome.reply = read_reply(got.body, account, open_id=str(message["FromUserName"]))
        except BadReply as problem:
            outcome.attempts[-1]["problem"] = str(problem)
            break
        if outcome.reply:
            kind = str(outcome.reply["MsgType"])
            _record(world, account, person, "out", kind, _shown(outcome.reply), "reply", msg_id)
        return outcome
    outcome.banner = visible
    if visible:
        _record(world, account, person, "out", "banner", {"content": BANNER}, "platform", msg_id)
    return outcome


def _attempt(world: World, account: Account, xml: str, open_id: str, fault: Fault | None) -> outgoing.Answer:
    word = fault.word if fault else ""
    if word in ("drop", "lose"):
        return outgoing.Answer(0, b"", "", "lost by the sandbox", 0)
    if fault and word == "delay":
        time.sleep(fault.number(1000) / 1000)
    url, body = _envelope(world, account, xml, open_id, fault)
    for _ in range(fault.number(1) if fault and word == "duplicate" else 0):
        outgoing.post(url, body, content_type="text/xml", seconds=SECONDS)
    got = outgoing.post(url, body, content_type="text/xml", seconds=SECONDS)
    if word == "commit_then_drop":
        return outgoing.Answer(0, b"", "", "answer dropped by the sandbox", got.milliseconds)
    return got


def _envelope(
    world: World, account: Account, xml: str, open_id: str, fault: Fault | None
) -> tuple[str, bytes]:
    """URL and body of one attempt: every attempt has its own time, nonce, signature and ciphertext."""
    word = fault.word if fault else ""
    age = fault.number(3600) if fault and word == "old" else 0
    timestamp, nonce = str(world.wire_seconds() - age), str(secrets.randbelow(10**10))
    query = {
        "signature": wechat_crypto.signature(account.token, timestamp, nonce),
        "timestamp": timestamp,
        "nonce": nonce,
        "openid": open_id,
    }
    body = xml
    if account.mode != "plain":
        owner = "wxforeign00000000" if word == "foreign_app" else account.app_id
        sealed = wechat_crypto.encrypt(xml, aes_key=account.aes_key, app_id=owner)
        query["encrypt_type"] = "aes"
        query["msg_signature"] = wechat_crypto.signature(account.token, timestamp, nonce, sealed)
        outer = f"<ToUserName><![CDATA[{account.original_id}]]></ToUserName><Encrypt><![CDATA[{sealed}]]></Encrypt>"
        inner = xml[len("<xml>") : -len("</xml>")] if account.mode == "compat" else ""
        body = f"<xml>{inner or ''}{outer if not inner else outer.partition('</ToUserName>')[2]}</xml>"
    if word == "bad_sign":
        query["msg_signature"] = query["signature"] = "0" * 40
    return f"{account.callback_url}?{urlencode(query)}", body.encode()


def _shown(reply: dict[str, Any]) -> dict[str, Any]:
    hidden = ("ToUserName", "FromUserName", "CreateTime", "MsgType")
    shown = {name: value for name, value in reply.items() if name not in hidden}
    return {"content": shown["Content"]} if "Content" in shown else shown


def _record(
    world: World,
    account: Account,
    person: str,
    direction: str,
    kind: str,
    body: dict[str, Any],
    via: str,
    ref: str,
) -> None:
    world.record_message(
        platform="wechat",
        account=account.code,
        person=person,
        direction=direction,
        kind=kind,
        body=body,
        via=via,
        ref=ref,
    )
