"""Web login: the authorise page of open.weixin.qq.com and `/wechat-api/sns`."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from flask import Blueprint, Response, jsonify, redirect, request

from miniapp.sandbox import wechat_parties
from miniapp.sandbox.doors import door
from miniapp.sandbox.wechat_tokens import ApiError, api, app_with_secret
from miniapp.sandbox.world import World, stamp

SCHEMA = """
CREATE TABLE IF NOT EXISTS wechat_oauth_codes (
    code TEXT PRIMARY KEY, app_id TEXT NOT NULL, person TEXT NOT NULL, scope TEXT NOT NULL, snapshot INTEGER NOT NULL,
    issued_at TEXT NOT NULL, used_at TEXT);
CREATE TABLE IF NOT EXISTS wechat_oauth_tokens (
    token TEXT PRIMARY KEY, open_id TEXT NOT NULL, person TEXT NOT NULL, scope TEXT NOT NULL, ends_at TEXT NOT NULL);
"""
CODE_LIFE = timedelta(minutes=5)
OUTSIDE_WECHAT = "请在微信客户端打开链接"
WRONG_DOMAIN = "redirect_uri域名与后台配置不一致，错误码:10003"


def blueprint(world: World) -> Blueprint:
    """The page that the phone is sent through, and the exchange behind it."""
    world.store.create(SCHEMA)
    bp = Blueprint("wechat_oauth", __name__)

    @bp.get("/wechat-open/connect/oauth2/authorize")
    @door(world, "wechat.authorize")
    def authorize() -> Any:
        return _authorize(world)

    @api(world, bp, "GET", "/wechat-api/sns/oauth2/access_token", "wechat.oauth_token")
    def exchange() -> Response:
        app_with_secret(world, request.args.get("appid", ""), request.args.get("secret", ""))
        if request.args.get("grant_type") != "authorization_code":
            raise ApiError(40002, "invalid grant_type")
        return jsonify(_exchange(world, request.args["appid"], request.args.get("code", "")))

    @api(world, bp, "GET", "/wechat-api/sns/userinfo", "wechat.oauth_userinfo")
    def userinfo() -> Response:
        token = world.store.row(
            "SELECT * FROM wechat_oauth_tokens WHERE token = ?", request.args.get("access_token", "")
        )
        if token is None or token["open_id"] != request.args.get("openid"):
            raise ApiError(40001, "invalid credential")
        if token["scope"] != "snsapi_userinfo":
            raise ApiError(48001, "api unauthorized")
        entry = world.entry("people", token["person"]) or {}
        return jsonify(
            openid=token["open_id"],
            nickname=entry.get("name", ""),
            sex=0,
            province="",
            city="",
            country="",
            headimgurl="",
            privilege=[],
        )

    return bp


def _authorize(world: World) -> Any:
    account = wechat_parties.account_of_app(world, request.args.get("appid", ""))
    scope, target = request.args.get("scope", ""), urlsplit(request.args.get("redirect_uri", ""))
    if account is None or request.args.get("response_type") != "code":
        return _page("参数错误")
    if scope not in ("snsapi_base", "snsapi_userinfo"):
        return _page("Scope 参数错误或没有 Scope 权限")
    if not target.netloc or (account.oauth_domain and target.netloc != account.oauth_domain):
        return _page(WRONG_DOMAIN)
    person = request.args.get("person") or request.cookies.get("sandbox_person", "")
    entry = world.entry("people", person)
    if entry is None:
        return _page(OUTSIDE_WECHAT)
    code = secrets.token_urlsafe(24)
    world.store.insert(
        "wechat_oauth_codes",
        code=code,
        app_id=account.app_id,
        person=person,
        scope=scope,
        snapshot=int(bool(entry.get("snapshot"))),
        issued_at=stamp(world.now()),
    )
    query = f"{target.query}&" if target.query else ""
    query += f"code={quote(code)}&state={quote(request.args.get('state', ''), safe='')}"
    return redirect(urlunsplit(target._replace(query=query)), 302)


def _exchange(world: World, app_id: str, code: str) -> dict[str, Any]:
    """Raises ApiError 40029, 40163 or 42003."""
    with world.store.writing() as db:
        row = world.store.row("SELECT * FROM wechat_oauth_codes WHERE code = ? AND app_id = ?", code, app_id)
        if row is None:
            raise ApiError(40029, "invalid code")
        if row["used_at"]:
            raise ApiError(40163, "code been used")
        if row["issued_at"] < stamp(world.now() - CODE_LIFE):
            raise ApiError(42003, "oauth_code expired")
        db.execute("UPDATE wechat_oauth_codes SET used_at = ? WHERE code = ?", (stamp(world.now()), code))
        # A snapshot user's open id is a made-up one that never comes again.
        virtual = "oSNAPSHOT" + secrets.token_urlsafe(15)[:19]
        open_id = virtual if row["snapshot"] else wechat_parties.open_id(world, row["person"], app_id)
        token = secrets.token_urlsafe(64)
        ends_at = stamp(world.now() + timedelta(seconds=7200))
        world.store.insert(
            "wechat_oauth_tokens",
            token=token,
            open_id=open_id,
            person=row["person"],
            scope=row["scope"],
            ends_at=ends_at,
        )
    union = (world.entry("people", row["person"]) or {}).get("union_id")
    return {
        "access_token": token,
        "expires_in": 7200,
        "refresh_token": secrets.token_urlsafe(64),
        "openid": open_id,
        "scope": row["scope"],
        **({"is_snapshotuser": 1} if row["snapshot"] else {}),
        **({"unionid": union} if union and not row["snapshot"] else {}),
    }


def _page(text: str) -> Response:
    return Response(
        f'<!doctype html><html lang="zh-CN"><meta charset="utf-8"><title>微信</title><p>{text}</p></html>',
        content_type="text/html; charset=utf-8",
    )
