"""A phone with the account's chat open: WeChat or Alipay, told from the person."""

from __future__ import annotations

import json
from typing import Any

from flask import Blueprint, Response, abort, jsonify, make_response, render_template, request

from miniapp.sandbox import alipay_life_wire, wechat_callbacks, wechat_menu, wechat_parties
from miniapp.sandbox.screens import hosts
from miniapp.sandbox.screens.messages import shown
from miniapp.sandbox.store import Row
from miniapp.sandbox.world import World

SHOWN_AT_FIRST = 60


def blueprint(world: World) -> Blueprint:
    """`/phone`, and what its script asks for below `/phone/api`."""
    bp = Blueprint("phone", __name__)

    @bp.get("/phone")
    def page() -> Response:
        entry = hosts.person_of_request(world)
        if entry is None:
            return make_response(render_template("sandbox_index.html", **hosts.frame(world, "index")))
        wallet = hosts.wallet_of(entry)
        answer = make_response(
            render_template(
                "sandbox_phone.html",
                person=entry,
                wallet=wallet,
                account=_account_name(world, entry, wallet),
                **hosts.frame(world, f"person:{entry['code']}"),
            )
        )
        # The platforms' login pages ask whose phone it is.
        answer.set_cookie("sandbox_person", str(entry["code"]), samesite="Lax")
        return answer

    _chat(bp, world)
    return bp


def person(world: World) -> Row:
    """The person of a call of the phone's script."""
    entry = hosts.person_of_request(world)
    if entry is None:
        abort(404, "no such person")
    return entry


def account_code(world: World, entry: Row, wallet: str) -> str:
    """The account whose chat is open: the person's `account`, else the first one there is."""
    family = "official_accounts" if wallet == "wechat" else "alipay_apps"
    entries = [one for one in world.entries(family) if wallet == "wechat" or one.get("gateway_callback")]
    codes = [str(one.get("code") or one.get("app_id")) for one in entries]
    wanted = str(entry.get("account", ""))
    return wanted if wanted in codes else (codes[0] if codes else "")


def _chat(bp: Blueprint, world: World) -> None:
    @bp.get("/phone/api/messages")
    def messages() -> Response:
        entry = person(world)
        wallet = hosts.wallet_of(entry)
        account = account_code(world, entry, wallet)
        after = int(request.args.get("after", 0))
        rows = world.messages(after=after, platform=wallet, account=account, person=str(entry["code"]))
        rows = rows if after else rows[-SHOWN_AT_FIRST:]
        last = rows[-1]["id"] if rows else after
        return jsonify(last=last, messages=[m for m in (shown(row, entry, account) for row in rows) if m])

    @bp.get("/phone/api/menu")
    def menu() -> Response:
        entry = person(world)
        wallet = hosts.wallet_of(entry)
        account = account_code(world, entry, wallet)
        return jsonify([_button(one, entry, account) for one in _menu(world, wallet, account)])

    @bp.post("/phone/api/say")
    def say() -> Response:
        text = str(request.get_json().get("text", "")).strip()[:2000]
        return jsonify(ok=bool(text) and _act(world, person(world), kind="text", value=text))

    @bp.post("/phone/api/click")
    def click() -> Response:
        return jsonify(
            ok=_act(world, person(world), kind="click", value=str(request.get_json().get("key", "")))
        )

    @bp.post("/phone/api/follow")
    def follow() -> Response:
        is_on = bool(request.get_json().get("on", True))
        return jsonify(ok=_act(world, person(world), kind="follow" if is_on else "unfollow", value=""))


def _act(world: World, entry: Row, *, kind: str, value: str) -> bool:
    """Do it as the platform does; true when the account's server answered rightly."""
    wallet, code = hosts.wallet_of(entry), str(entry["code"])
    account = account_code(world, entry, wallet)
    if wallet == "alipay":
        app = world.find("alipay_apps", "code", account) or world.entry("alipay_apps", account) or {}
        sent = alipay_life_wire.send(
            world, app, person=code, kind=kind, key=value, text=value if kind == "text" else ""
        )
        return bool(sent["ok"])
    there = wechat_parties.account(world, account)
    if there is None or not there.callback_url:
        return False
    if kind == "text":
        return not wechat_callbacks.push_text(world, there, code, value).banner
    if kind == "click":
        wechat_parties.earn_quota(world, account, code, "click")
        return not wechat_callbacks.push_event(
            world, there, code, {"Event": "CLICK", "EventKey": value}
        ).banner
    return _follow(world, there, code, is_on=kind == "follow")


def _follow(world: World, account: wechat_parties.Account, code: str, *, is_on: bool) -> bool:
    wechat_parties.set_follows(world, account.code, code, is_on)
    if is_on:
        wechat_parties.earn_quota(world, account.code, code, "subscribe")
    event: dict[str, str | int] = {"Event": "subscribe" if is_on else "unsubscribe", "EventKey": ""}
    body: dict[str, Any] = dict(event)
    world.record_message(
        platform="wechat",
        account=account.code,
        person=code,
        direction="in",
        kind="event",
        body=body,
        via="event",
    )
    return not wechat_callbacks.push_event(world, account, code, event).banner


def _account_name(world: World, entry: Row, wallet: str) -> str:
    code = account_code(world, entry, wallet)
    family = "official_accounts" if wallet == "wechat" else "alipay_apps"
    found = world.find(family, "code", code) or {}
    return str(found.get("name") or code or "（还没有公众号）")


def _menu(world: World, wallet: str, account: str) -> list[Row]:
    if wallet == "wechat":
        menu = wechat_menu.current(world, account)
    else:
        app = world.find("alipay_apps", "code", account) or {}
        row = world.store.row("SELECT content FROM alipay_menus WHERE app_id = ?", app.get("app_id", account))
        menu = json.loads(row["content"]) if row else None
    buttons: list[Row] = (menu or {}).get("button", [])
    return buttons


def _button(button: Row, entry: Row, account: str) -> dict[str, Any]:
    children = button.get("sub_button") or []
    if children:
        return {"name": button["name"], "children": [_button(child, entry, account) for child in children]}
    if button.get("type") == "view" or button.get("action_type") == "link":
        url = str(button.get("url") or button.get("action_param"))
        return {"name": button["name"], "url": hosts.as_seen_by(entry, url, account=account)}
    return {"name": button["name"], "key": str(button.get("key") or button.get("action_param") or "")}
