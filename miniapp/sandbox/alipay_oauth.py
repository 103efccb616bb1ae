"""OAuth of Alipay: the authorize page of the wallet, and alipay.system.oauth.token."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

from flask import Blueprint, Response, redirect, request
from markupsafe import Markup

from miniapp.sandbox import alipay_people as people
from miniapp.sandbox.alipay_answers import Answer
from miniapp.sandbox.alipay_gateway import Call, Method
from miniapp.sandbox.doors import door
from miniapp.sandbox.world import World, stamp

SCHEMA = """
CREATE TABLE IF NOT EXISTS alipay_auth_codes (
    code TEXT PRIMARY KEY, app_id TEXT NOT NULL, person TEXT NOT NULL, scope TEXT NOT NULL,
    issued_at TEXT NOT NULL, used_at TEXT);
CREATE TABLE IF NOT EXISTS alipay_tokens (
    access_token TEXT PRIMARY KEY, refresh_token TEXT NOT NULL, app_id TEXT NOT NULL, person TEXT NOT NULL,
    issued_at TEXT NOT NULL);
"""
CODE_LIFE = timedelta(minutes=3)
TOKEN_SECONDS = 1_296_000
REFRESH_SECONDS = 2_592_000
SCOPES = ("auth_base", "auth_user")
COOKIE = "sandbox_person"
PAGE = Markup(
    "<!doctype html><meta charset=utf-8><meta name=viewport content='width=device-width'>"
    "<title>支付宝授权（沙箱）</title><style>body{{font:16px sans-serif;margin:24px}}"
    "a{{display:block;margin:12px 0;padding:12px;background:#1677ff;color:#fff;text-align:center;"
    "text-decoration:none;border-radius:6px}}</style><h1>支付宝（沙箱）</h1><p>{note}</p>{links}"
)


def blueprint(world: World) -> Blueprint:
    """`/alipay-oauth/oauth2/publicAppAuthorize.htm`."""
    bp = Blueprint("alipay_oauth", __name__)

    @bp.get("/alipay-oauth/oauth2/publicAppAuthorize.htm")
    @door(world, "alipay.oauth.authorize")
    def authorize() -> Response:
        return _authorize(world)

    return bp


def token(call: Call) -> dict[str, Any]:
    """alipay.system.oauth.token; failure is 40002 isv.code-invalid under error_response."""
    grant = call.values.get("grant_type", "")
    if grant == "authorization_code":
        person = _person_of_code(call, call.values.get("code", ""))
    elif grant == "refresh_token":
        person = _person_of_refresh(call, call.values.get("refresh_token", ""))
    else:
        raise Answer("40002", "isv.grant-type-invalid", "grant_type参数不正确", on_error_node=True)
    access, refresh = f"authbse{secrets.token_hex(16)}", f"authbse{secrets.token_hex(16)}"
    call.world.store.insert(
        "alipay_tokens",
        access_token=access,
        refresh_token=refresh,
        app_id=call.app["app_id"],
        person=person,
        issued_at=stamp(call.world.now()),
    )
    return {
        "access_token": access,
        "refresh_token": refresh,
        "expires_in": TOKEN_SECONDS,
        "re_expires_in": REFRESH_SECONDS,
        "auth_start": f"{call.world.beijing():%Y-%m-%d %H:%M:%S}",
        **people.identity(call.world, call.app, person),
    }


def user_info(call: Call) -> dict[str, Any]:
    """alipay.user.info.share for a token of this app."""
    row = call.world.store.row(
        "SELECT * FROM alipay_tokens WHERE access_token = ? AND app_id = ?",
        call.values.get("auth_token", ""),
        call.app["app_id"],
    )
    if row is None:
        raise Answer("20001", "aop.invalid-auth-token")
    entry = call.world.entry("people", row["person"]) or {}
    return {**people.identity(call.world, call.app, row["person"]), "nick_name": entry.get("name", "")}


METHODS: dict[str, Method] = {
    "alipay.system.oauth.token": token,
    "alipay.user.info.share": user_info,
}


def _authorize(world: World) -> Response:
    app = world.entry("alipay_apps", request.args.get("app_id", ""))
    target = request.args.get("redirect_uri", "")
    scopes = request.args.get("scope", "").split(",")
    problem = _problem(app, target, scopes)
    if problem or app is None:
        return _page(problem, [], status=400)
    person = request.args.get("person") or request.cookies.get(COOKIE, "")
    if world.entry("people", person) is None:
        links = [(entry["name"], {"person": entry["code"]}) for entry in world.entries("people")]
        return _page("这部手机是谁的？", links)
    if "auth_user" in scopes and request.args.get("agreed") is None:
        return _page(
            f"{app.get('name', '商家')}申请获得你的昵称、头像", [("同意", {"person": person, "agreed": "1"})]
        )
    code = secrets.token_hex(16)
    world.store.insert(
        "alipay_auth_codes",
        code=code,
        app_id=app["app_id"],
        person=person,
        scope=scopes[0],
        issued_at=stamp(world.now()),
    )
    back = {"app_id": app["app_id"], "source": "alipay_wallet", "scope": scopes[0], "auth_code": code}
    if request.args.get("state"):
        back["state"] = request.args["state"]
    answer = redirect(target + ("&" if "?" in target else "?") + urlencode(back), 302)
    answer.set_cookie(COOKIE, person, samesite="Lax")
    return Response(answer.get_data(), 302, answer.headers)


def _problem(app: dict[str, Any] | None, target: str, scopes: list[str]) -> str:
    if app is None:
        return "app_id不存在"
    if not scopes or any(scope not in SCOPES for scope in scopes):
        return "scope不正确"
    parts = urlsplit(target)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        return "redirect_uri不正确"
    # Registered call-backs are host plus the beginning of the path.
    allowed = app.get("redirect_uris")
    if allowed and not any(target.startswith(prefix) for prefix in allowed):
        return "redirect_uri与应用配置的回调地址不符"
    if len(request.args.get("state", "")) > 100:
        return "state过长"
    return ""


def _page(note: str, links: list[tuple[str, dict[str, str]]], *, status: int = 200) -> Response:
    shown = Markup("").join(
        Markup("<a href='?{query}'>{name}</a>").format(
            query=urlencode({**request.args.to_dict(), **more}), name=name
        )
        for name, more in links
    )
    return Response(PAGE.format(note=note, links=shown), status, content_type="text/html;charset=utf-8")


def _person_of_code(call: Call, code: str) -> str:
    with call.world.store.writing() as db:
        row = call.world.store.row(
            "SELECT * FROM alipay_auth_codes WHERE code = ? AND app_id = ?", code, call.app["app_id"]
        )
        if row is None or row["used_at"] or row["issued_at"] < stamp(call.world.now() - CODE_LIFE):
            raise Answer("40002", "isv.code-invalid", on_error_node=True)
        db.execute("UPDATE alipay_auth_codes SET used_at = ? WHERE code = ?", (stamp(call.world.now()), code))
    return str(row["person"])


def _person_of_refresh(call: Call, refresh: str) -> str:
    row = call.world.store.row(
        "SELECT * FROM alipay_tokens WHERE refresh_token = ? AND app_id = ?", refresh, call.app["app_id"]
    )
    oldest = stamp(call.world.now() - timedelta(seconds=REFRESH_SECONDS))
    if row is None or row["issued_at"] < oldest:
        raise Answer("40002", "isv.refresh-token-invalid", "刷新令牌无效", on_error_node=True)
    return str(row["person"])
