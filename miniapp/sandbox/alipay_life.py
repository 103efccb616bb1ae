"""The life account: messages and menu through the gateway, and the account's server called with what people do.

Lasting switches on door `alipay.messages`: `window` (48 hours after the person's last word are over),
`quota`; a person who left is refused always. `not_granted` in the app's configuration lists methods answering 40006.
"""

from __future__ import annotations

import json
import secrets
from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, jsonify, request

from miniapp.sandbox import alipay_people as people
from miniapp.sandbox.alipay_answers import failed
from miniapp.sandbox.alipay_gateway import Call, Method
from miniapp.sandbox.alipay_life_wire import send
from miniapp.sandbox.world import World, stamp

SCHEMA = """
CREATE TABLE IF NOT EXISTS alipay_menus (
    app_id TEXT PRIMARY KEY, menu_key TEXT NOT NULL, content TEXT NOT NULL, at TEXT NOT NULL);
"""
SWITCHES = "alipay.messages"
WINDOW = timedelta(hours=48)
ACTIONS = ("out", "link", "tel", "map", "consumption")


def custom_send(call: Call) -> dict[str, Any]:
    """alipay.open.public.message.custom.send: text or image-text to one person; kept in the ledger's messages."""
    person = people.person_of(
        call.world,
        call.app,
        user=call.text("to_user_id"),
        opened=call.text("to_open_id") or call.text("open_id"),
    )
    if person is None:
        raise failed("PUB.USER_NOT_EXIST", "用户不存在")
    _refuse_message(call, person)
    kind = call.text("msg_type")
    if kind == "text":
        body = _text_body(call.biz.get("text"))
    elif kind == "image-text":
        body = {"articles": _articles(call.biz.get("articles"))}
    else:
        raise failed("PUB.INVALID_MSG_TYPE", "msg_type不支持")
    call.world.record_message(
        platform="alipay",
        account=str(call.app.get("code") or call.app["app_id"]),
        person=person,
        direction="out",
        kind="news" if kind == "image-text" else "text",
        body=body,
        via="custom",
        ref=secrets.token_hex(8),
    )
    return {}


def menu_create(call: Call) -> dict[str, Any]:
    """alipay.open.public.menu.create, and modify: the whole menu at once."""
    buttons = call.biz.get("button")
    if not isinstance(buttons, list) or not 1 <= len(buttons) <= 4:
        raise failed("PUB.MENU_INVALID", "一级菜单应为1到4个")
    for button in buttons:
        _check_button(button, first=True)
    key = secrets.token_hex(12)
    with call.world.store.writing() as db:
        db.execute(
            "INSERT OR REPLACE INTO alipay_menus (app_id, menu_key, content, at) VALUES (?, ?, ?, ?)",
            (call.app["app_id"], key, json.dumps(call.biz, ensure_ascii=False), stamp(call.world.now())),
        )
    return {"menu_key": key}


def menu_query(call: Call) -> dict[str, Any]:
    """alipay.open.public.menu.query: `menu_content` is JSON text."""
    row = call.world.store.row("SELECT * FROM alipay_menus WHERE app_id = ?", call.app["app_id"])
    if row is None:
        raise failed("PUB.MENU_NOT_EXIST", "菜单不存在")
    return {"menu_content": row["content"]}


METHODS: dict[str, Method] = {
    "alipay.open.public.message.custom.send": custom_send,
    "alipay.open.public.menu.create": menu_create,
    "alipay.open.public.menu.modify": menu_create,
    "alipay.open.public.menu.query": menu_query,
}


def add_control(bp: Blueprint, world: World) -> None:
    """`/control/alipay/<app>/verify`, `/events` and `/menu`; <app> is an app id or its `code`."""

    @bp.post("/control/alipay/<name>/verify")
    def verify(name: str) -> Response | tuple[Response, int]:
        app = _app(world, name)
        if app is None or not request.is_json:
            return jsonify(error="no such app, or not JSON"), 400
        return jsonify(send(world, app, person="", kind="verifygw"))

    @bp.post("/control/alipay/<name>/events")
    def events(name: str) -> Response | tuple[Response, int]:
        app = _app(world, name)
        if app is None or not request.is_json:
            return jsonify(error="no such app, or not JSON"), 400
        given = request.get_json()
        sent = send(
            world,
            app,
            person=str(given["person"]),
            kind=str(given["kind"]),
            key=str(given.get("key", "")),
            text=str(given.get("text", "")),
            times=int(given.get("times", 1)),
            damage=str(given.get("damage", "")),
        )
        return jsonify(sent)

    @bp.get("/control/alipay/<name>/menu")
    def menu(name: str) -> Response | tuple[Response, int]:
        app = _app(world, name)
        row = world.store.row("SELECT * FROM alipay_menus WHERE app_id = ?", app["app_id"]) if app else None
        return jsonify(json.loads(row["content"]) if row else {"button": []})


def _app(world: World, name: str) -> dict[str, Any] | None:
    return world.entry("alipay_apps", name) or world.find("alipay_apps", "code", name)


def _refuse_message(call: Call, person: str) -> None:
    account = str(call.app.get("code") or call.app["app_id"])
    last = call.world.store.row(
        "SELECT * FROM messages WHERE platform = 'alipay' AND account = ? AND person = ? AND direction = 'in'"
        " ORDER BY id DESC",
        account,
        person,
    )
    if last and json.loads(last["body"]).get("event") == "unfollow":
        raise failed("PUB.USER_NOT_FOLLOW", "用户未关注")
    if call.world.faults.on(SWITCHES, "quota"):
        raise failed("PUB.MSG_SEND_QUOTA_EXCEEDED", "消息发送次数超限")
    silent = last is None or last["at"] < stamp(call.world.now() - WINDOW)
    if silent and call.world.faults.on(SWITCHES, "window"):
        raise failed("PUB.MSG_OUT_OF_WINDOW", "超过48小时未互动，不能发送消息")


def _text_body(text: object) -> dict[str, Any]:
    content = text.get("content") if isinstance(text, dict) else None
    if not isinstance(content, str) or not content:
        raise failed("PUB.INVALID_TEXT", "text.content不能为空")
    if len(content.encode("gb18030")) > 2000:
        raise failed("PUB.INVALID_TEXT", "text.content过长")
    return {"content": content}


def _articles(articles: object) -> list[dict[str, str]]:
    if not isinstance(articles, list) or not 1 <= len(articles) <= 10:
        raise failed("PUB.INVALID_ARTICLES", "articles应为1到10个")
    for article in articles:
        if not isinstance(article, dict) or not article.get("title") or not article.get("url"):
            raise failed("PUB.INVALID_ARTICLES", "图文缺少title或url")
    return articles


def _check_button(button: object, *, first: bool) -> None:
    if not isinstance(button, dict) or not isinstance(button.get("name"), str) or not button["name"]:
        raise failed("PUB.MENU_INVALID", "菜单名称不能为空")
    # The stricter of both documents: 4 Chinese characters on the first level, 9 below.
    if len(button["name"].encode("gb18030")) > (8 if first else 18):
        raise failed("PUB.MENU_INVALID", f"菜单名称过长：{button['name']}")
    below = button.get("sub_button")
    if below:
        if not first or not isinstance(below, list) or len(below) > 5:
            raise failed("PUB.MENU_INVALID", "二级菜单应为1到5个")
        for inner in below:
            _check_button(inner, first=False)
        return
    action, parameter = button.get("action_type"), button.get("action_param") or ""
    if action not in ACTIONS:
        raise failed("PUB.MENU_INVALID", f"action_type不支持：{action}")
    if action != "consumption" and not 0 < len(str(parameter)) <= 255:
        raise failed("PUB.MENU_INVALID", "action_param应为1到255个字符")
    if action == "out" and ":" in str(parameter):
        raise failed("PUB.MENU_INVALID", "action_param不能含有冒号")
