"""Alipay posting to a life account's gateway: GBK form, signature over everything but `sign`, and the reply judged."""

from __future__ import annotations

import re
import secrets
from typing import Any

from miniapp.sandbox import alipay_people as people
from miniapp.sandbox import alipay_signing as signing
from miniapp.sandbox.outgoing import post
from miniapp.sandbox.world import World

EVENTS = ("follow", "unfollow", "enter", "click")
WRAPPER = re.compile(
    r'<\?xml version="1\.0" encoding="(?:GBK|gbk)"\?>\s*<alipay><response>(.*)</response>'
    r"<sign>([A-Za-z0-9+/=]+)</sign><sign_type>(RSA2?)</sign_type></alipay>\s*",
    re.S,
)
DAMAGES = ("", "bad_sign", "no_sign", "altered", "foreign_app", "utf8")


def send(
    world: World,
    app: dict[str, Any],
    *,
    person: str,
    kind: str,
    key: str = "",
    text: str = "",
    times: int = 1,
    damage: str = "",
) -> dict[str, Any]:
    """Post one happening (`verifygw`, an event of EVENTS, or `text`) `times` times, the same bytes each.

    `damage` (one of DAMAGES) spoils it. Answers `{"ok", "problem", "replies": [{"status", "body", "signed"}]}`:
    ok when every reply was 200, signed rightly and of the right form. Raises ValueError for an unknown kind.
    """
    if damage not in DAMAGES or (kind not in EVENTS and kind not in ("verifygw", "text")):
        raise ValueError(f"unknown kind or damage: {kind} {damage}")
    body = _post_body(
        world, app, _xml(world, app, person=person, kind=kind, key=key, text=text), kind, damage
    )
    if person:
        _record(world, app, person=person, kind=kind, key=key, text=text)
    replies, problem = [], ""
    for _ in range(times):
        answer = post(
            app["gateway_callback"], body, content_type="application/x-www-form-urlencoded;charset=GBK"
        )
        shown = answer.body.decode("gb18030", "replace")
        found = answer.problem or (f"status {answer.status}" if answer.status != 200 else "")
        found = found or fault_of_reply(app, shown, kind=kind)
        replies.append({"status": answer.status, "body": shown, "signed": bool(WRAPPER.fullmatch(shown))})
        problem = problem or found
        world.log("alipay.life", kind, found or "ok")
    return {"ok": not problem, "problem": problem, "replies": replies}


def fault_of_reply(app: dict[str, Any], shown: str, *, kind: str) -> str:
    """What is wrong with a reply; empty if it is right. The bare acknowledgement of old wrappers passes, unsigned."""
    wrapped = WRAPPER.fullmatch(shown)
    if wrapped is None:
        bare = kind != "verifygw" and _is_ack(app, shown)
        return "" if bare else "neither signed wrapper nor bare acknowledgement"
    inner, signature, _ = wrapped.groups()
    key = signing.public_key(app["app_public_key"])
    if not signing.verified(inner, signature, key=key, charset="gbk"):
        return "signature does not fit the inner text of <response>"
    if kind != "verifygw":
        return "" if _is_ack(app, inner) else "response holds no acknowledgement"
    own = f"<biz_content>{signing.one_line(key)}</biz_content>"
    if own not in inner:
        return "biz_content is not the app's public key"
    return "" if "<success>true</success>" in inner else "success is not true"


def _is_ack(app: dict[str, Any], text: str) -> bool:
    wanted = (f"<AppId><![CDATA[{app['app_id']}]]></AppId>", "<MsgType><![CDATA[ack]]></MsgType>")
    return "<XML>" in text and "<ToUserId>" in text and all(piece in text for piece in wanted)


def _xml(world: World, app: dict[str, Any], *, person: str, kind: str, key: str, text: str) -> str:
    head = '<?xml version="1.0" encoding="gbk"?><XML>'
    created = f"<CreateTime><![CDATA[{int(world.now().timestamp() * 1000)}]]></CreateTime>"
    app_id = f"<AppId>{_cdata(app['app_id'])}</AppId>"
    if kind == "verifygw":
        return (
            f"{head}{app_id}<FromUserId></FromUserId>{created}<MsgType><![CDATA[event]]></MsgType>"
            "<EventType><![CDATA[verifygw]]></EventType><ActionParam></ActionParam><AccountNo></AccountNo></XML>"
        )
    user = people.user_id(world, person)
    opened = people.open_id(world, person, app_id=app["app_id"])
    sender = f"<FromUserId>{_cdata(secrets.token_urlsafe(8) if not person else opened + '==')}</FromUserId>"
    if app.get("id_mode") == "open_id":
        sender += f"<FromOpenId>{_cdata(opened)}</FromOpenId>"
    else:
        sender += f"<FromAlipayUserId>{_cdata(user)}</FromAlipayUserId>"
    name = (world.entry("people", person) or {}).get("name", "")
    info = f'{{"logon_id":"{people.logon_id(world, person)}","user_name":"*{name[-1:]}"}}'
    tail = f"<UserInfo>{_cdata(info)}</UserInfo></XML>"
    if kind == "text":
        message = f"<MsgType><![CDATA[text]]></MsgType><MsgId>{_cdata(secrets.token_hex(8))}</MsgId>"
        return f"{head}{app_id}{sender}{created}{message}<Text><Content>{_cdata(text)}</Content></Text>{tail}"
    event = f"<MsgType><![CDATA[event]]></MsgType><EventType>{_cdata(kind)}</EventType>"
    param = f"<ActionParam>{_cdata(key)}</ActionParam><AgreementId></AgreementId><AccountNo></AccountNo>"
    return f"{head}{app_id}{sender}{created}{event}{param}{tail}"


def _post_body(world: World, app: dict[str, Any], xml: str, kind: str, damage: str) -> bytes:
    if damage == "foreign_app":
        xml = xml.replace(app["app_id"], "2088000000000000")
    values = {
        "service": "alipay.service.check" if kind == "verifygw" else "alipay.mobile.public.message.notify",
        "charset": "GBK",
        "sign_type": "RSA2",
        "biz_content": xml,
    }
    key = signing.private_key(app["alipay_private_key"])
    signature = signing.sign(signing.canonical(values), key=key, charset="gbk")
    if damage == "bad_sign":
        signature = signing.sign("something else", key=key)
    if damage == "altered":
        values["biz_content"] = xml.replace("</XML>", "<Extra>1</Extra></XML>")
    if damage != "no_sign":
        values["sign"] = signature
    return signing.encoded(values, charset="utf-8" if damage == "utf8" else "gbk")


def _record(world: World, app: dict[str, Any], *, person: str, kind: str, key: str, text: str) -> None:
    body = {"content": text} if kind == "text" else {"event": kind, "key": key}
    world.record_message(
        platform="alipay",
        account=str(app.get("code") or app["app_id"]),
        person=person,
        direction="in",
        kind="text" if kind == "text" else "event",
        body=body,
        via="chat" if kind == "text" else "menu",
    )


def _cdata(text: str) -> str:
    return "<![CDATA[" + text.replace("]]>", "]]]]><![CDATA[>") + "]]>"
