"""`/wechat-api/cgi-bin`: tokens, menu, QR codes, tickets, media, followers."""

from __future__ import annotations

import json
import secrets
from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, jsonify, request

from miniapp.sandbox import wechat_menu, wechat_parties, wechat_tokens
from miniapp.sandbox.wechat_tokens import ApiError, api, app_with_secret, caller, json_body, ok
from miniapp.sandbox.world import World, stamp

SCHEMA = """
CREATE TABLE IF NOT EXISTS wechat_menus (account TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS wechat_qrcodes (
    ticket TEXT PRIMARY KEY, url TEXT NOT NULL UNIQUE, account TEXT NOT NULL, scene TEXT NOT NULL, ends_at TEXT);
CREATE TABLE IF NOT EXISTS wechat_media (
    media_id TEXT PRIMARY KEY, account TEXT NOT NULL, kind TEXT NOT NULL, content_type TEXT NOT NULL,
    bytes BLOB NOT NULL, ends_at TEXT NOT NULL);
"""

MEDIA_LIMITS = {"image": 10 << 20, "voice": 2 << 20, "video": 10 << 20, "thumb": 64 << 10}
MEDIA_LIFE = timedelta(days=3)
MAGIC = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif"}


def blueprint(world: World) -> Blueprint:
    """The doors of api.weixin.qq.com that are not messages or OAuth."""
    for schema in (SCHEMA, wechat_parties.SCHEMA, wechat_tokens.SCHEMA):
        world.store.create(schema)
    bp = Blueprint("wechat_account", __name__, url_prefix="/wechat-api")
    _tokens(world, bp)
    _menu(world, bp)
    _codes(world, bp)
    _media(world, bp)
    _users(world, bp)
    return bp


def stored_media(world: World, account: str, media_id: str) -> dict[str, Any] | None:
    """An uploaded file that is still there: kind, content_type, bytes."""
    return world.store.row(
        "SELECT * FROM wechat_media WHERE media_id = ? AND account = ? AND ends_at > ?",
        media_id,
        account,
        stamp(world.now()),
    )


def _tokens(world: World, bp: Blueprint) -> None:
    @api(world, bp, "GET", "/cgi-bin/token", "wechat.token")
    def token() -> Response:
        if request.args.get("grant_type") != "client_credential":
            raise ApiError(40002, "invalid grant_type")
        account = app_with_secret(world, request.args.get("appid", ""), request.args.get("secret", ""))
        return jsonify(wechat_tokens.issue(world, account, "plain"))

    @api(world, bp, "POST", "/cgi-bin/stable_token", "wechat.stable_token")
    def stable_token() -> Response:
        body = json_body()
        if body.get("grant_type") != "client_credential":
            raise ApiError(40002, "invalid grant_type")
        account = app_with_secret(world, str(body.get("appid", "")), str(body.get("secret", "")))
        force = body.get("force_refresh") is True
        return jsonify(wechat_tokens.issue(world, account, "stable", force=force))

    @api(world, bp, "GET", "/cgi-bin/ticket/getticket", "wechat.ticket")
    def ticket() -> Response:
        account = caller(world)
        if request.args.get("type") not in ("jsapi", "wx_card"):
            raise ApiError(40097, "invalid args")
        return ok(
            ticket=f"{request.args['type']}_{account.app_id}_{secrets.token_urlsafe(24)}", expires_in=7200
        )


def _menu(world: World, bp: Blueprint) -> None:
    @api(world, bp, "POST", "/cgi-bin/menu/create", "wechat.menu_create")
    def create() -> Response:
        account, body = caller(world), json_body()
        wechat_menu.check(body)
        with world.store.writing() as db:
            db.execute(
                "INSERT OR REPLACE INTO wechat_menus (account, body) VALUES (?, ?)",
                (account.code, json.dumps(body, ensure_ascii=False)),
            )
        return ok()

    @api(world, bp, "GET", "/cgi-bin/menu/get", "wechat.menu_get")
    def get() -> Response:
        menu = wechat_menu.current(world, caller(world).code)
        if menu is None:
            raise ApiError(46003, "menu no exist")
        return jsonify(menu={"button": menu["button"]})

    @api(world, bp, "GET", "/cgi-bin/menu/delete", "wechat.menu_delete")
    def delete() -> Response:
        account = caller(world)
        with world.store.writing() as db:
            db.execute("DELETE FROM wechat_menus WHERE account = ?", (account.code,))
        return ok()


def _codes(world: World, bp: Blueprint) -> None:
    @api(world, bp, "POST", "/cgi-bin/qrcode/create", "wechat.qrcode_create")
    def create() -> Response:
        account, body = caller(world), json_body()
        scene, seconds = _scene(body)
        ticket = "gQ" + secrets.token_urlsafe(60)
        url = "http://weixin.qq.com/q/02" + secrets.token_urlsafe(16)
        ends_at = stamp(world.now() + timedelta(seconds=seconds)) if seconds else None
        row = {"ticket": ticket, "url": url, "account": account.code, "scene": scene, "ends_at": ends_at}
        world.store.insert("wechat_qrcodes", **row)
        life = {"expire_seconds": seconds} if seconds else {}
        return jsonify(ticket=ticket, url=url, **life)


def _scene(body: dict[str, Any]) -> tuple[str, int]:
    """The scene as text and its life in seconds, 0 for a permanent code. Raises ApiError."""
    action = body.get("action_name")
    scene = (body.get("action_info") or {}).get("scene") or {}
    number, text = scene.get("scene_id"), scene.get("scene_str")
    highest = {"QR_SCENE": 2**32 - 1, "QR_LIMIT_SCENE": 100_000}
    if action in highest:
        if type(number) is not int or not 1 <= number <= highest[action]:
            raise ApiError(40053, "invalid action info")
        value = str(number)
    elif action in ("QR_STR_SCENE", "QR_LIMIT_STR_SCENE"):
        if not isinstance(text, str) or not 1 <= len(text) <= 64:
            raise ApiError(40053, "invalid action info")
        value = text
    else:
        raise ApiError(40052, "invalid action name")
    if action.startswith("QR_LIMIT"):
        return value, 0
    seconds = body.get("expire_seconds", 60)
    if type(seconds) is not int or not 1 <= seconds <= 2_592_000:
        raise ApiError(40050, "invalid expire_seconds")
    return value, seconds


def _media(world: World, bp: Blueprint) -> None:
    @api(world, bp, "POST", "/cgi-bin/media/upload", "wechat.media_upload")
    def upload() -> Response:
        account, kind = caller(world), request.args.get("type", "")
        if kind not in MEDIA_LIMITS:
            raise ApiError(40004, "invalid media type")
        sent = request.files.get("media")
        content = sent.read() if sent else b""
        if not content:
            raise ApiError(41005, "media data missing")
        if len(content) > MEDIA_LIMITS[kind]:
            raise ApiError(40009, "invalid image size")
        content_type = next((t for magic, t in MAGIC.items() if content.startswith(magic)), "")
        if kind in ("image", "thumb") and not content_type:
            raise ApiError(40005, "invalid file type")
        media_id = secrets.token_urlsafe(48)
        world.store.insert(
            "wechat_media",
            media_id=media_id,
            account=account.code,
            kind=kind,
            content_type=content_type or "application/octet-stream",
            bytes=content,
            ends_at=stamp(world.now() + MEDIA_LIFE),
        )
        return jsonify(type=kind, media_id=media_id, created_at=int(world.now().timestamp()), item=[])

    @api(world, bp, "GET", "/cgi-bin/media/get", "wechat.media_get")
    def download() -> Response:
        media = stored_media(world, caller(world).code, request.args.get("media_id", ""))
        if media is None:
            raise ApiError(40007, "invalid media_id")
        return Response(media["bytes"], content_type=media["content_type"])

    @bp.get("/sandbox/media/<media_id>")
    def for_the_phone(media_id: str) -> Response:
        row = world.store.row("SELECT * FROM wechat_media WHERE media_id = ?", media_id)
        if row is None:
            return Response(status=404)
        return Response(row["bytes"], content_type=row["content_type"])


def _users(world: World, bp: Blueprint) -> None:
    @api(world, bp, "GET", "/cgi-bin/user/info", "wechat.user_info")
    def info() -> Response:
        account, given = caller(world), request.args.get("openid", "")
        person = wechat_parties.person_of(world, account.app_id, given)
        if person is None:
            raise ApiError(40003, "invalid openid")
        if not wechat_parties.follows(world, account.code, person):
            return jsonify(subscribe=0, openid=given, tagid_list=[])
        entry = world.entry("people", person) or {}
        union = {"unionid": entry["union_id"]} if entry.get("union_id") else {}
        return jsonify(
            subscribe=1,
            openid=given,
            nickname="",
            sex=0,
            language="zh_CN",
            city="",
            province="",
            country="",
            headimgurl="",
            subscribe_time=int(world.now().timestamp()),
            remark="",
            groupid=0,
            tagid_list=[],
            subscribe_scene="ADD_SCENE_QR_CODE",
            qr_scene=0,
            qr_scene_str="",
            **union,
        )
