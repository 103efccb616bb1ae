"""Access tokens of official accounts, the plain and the stable kind, and the shape of API errors."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any

from flask import Blueprint, Response, jsonify, request

from miniapp.sandbox.doors import door, fault
from miniapp.sandbox.wechat_parties import Account, account_of_app
from miniapp.sandbox.world import World, stamp, unstamp

LIFE = timedelta(seconds=7200)
GRACE = timedelta(minutes=5)

SCHEMA = """
CREATE TABLE IF NOT EXISTS wechat_tokens (
    token TEXT PRIMARY KEY, app_id TEXT NOT NULL, kind TEXT NOT NULL, issued_at TEXT NOT NULL, ends_at TEXT NOT NULL);
"""


class ApiError(Exception):
    """An errcode with its errmsg; goes out as HTTP 200."""

    def __init__(self, errcode: int, errmsg: str) -> None:
        super().__init__(errmsg)
        self.errcode = errcode
        self.errmsg = errmsg


def api(
    world: World, bp: Blueprint, method: str, rule: str, name: str
) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    """Make a view the door `name`; ApiError becomes its JSON, the fault `errcode:N` an error before anything is done."""

    def wrap(view: Callable[[], Any]) -> Callable[[], Any]:
        @wraps(view)
        def answering() -> Any:
            taken = fault()
            try:
                if taken is not None and taken.word == "errcode":
                    raise ApiError(taken.number(-1), "sandbox fault")
                return view()
            except ApiError as error:
                errmsg = f"{error.errmsg} rid: {secrets.token_hex(4)}-{secrets.token_hex(4)}"
                return jsonify(errcode=error.errcode, errmsg=errmsg)

        bp.add_url_rule(rule, name.replace(".", "_"), door(world, name)(answering), methods=[method])
        return answering

    return wrap


def issue(world: World, account: Account, kind: str, *, force: bool = False) -> dict[str, Any]:
    """A token: `plain` always a new one, `stable` the same until its last five minutes or `force`."""
    now = world.now()
    with world.store.writing() as db:
        current = world.store.row(
            "SELECT * FROM wechat_tokens WHERE app_id = ? AND kind = ? AND ends_at > ? ORDER BY issued_at DESC LIMIT 1",
            account.app_id,
            kind,
            stamp(now),
        )
        if kind == "stable" and current and not force and current["ends_at"] > stamp(now + GRACE):
            return _answer(world, current["token"], current["ends_at"])
        db.execute(
            "UPDATE wechat_tokens SET ends_at = min(ends_at, ?) WHERE app_id = ? AND kind = ?",
            (stamp(now + GRACE), account.app_id, kind),
        )
        token = f"{kind}_{secrets.token_urlsafe(96)}"
        ends_at = stamp(now + LIFE)
        world.store.insert(
            "wechat_tokens",
            token=token,
            app_id=account.app_id,
            kind=kind,
            issued_at=stamp(now),
            ends_at=ends_at,
        )
        return _answer(world, token, ends_at)


def forget(world: World, app_id: str) -> None:
    """All tokens of an app lose their power at once, as after a reset of the secret."""
    with world.store.writing() as db:
        db.execute("DELETE FROM wechat_tokens WHERE app_id = ?", (app_id,))


def caller(world: World) -> Account:
    """The account whose token came in the query. Raises ApiError 41001, 40001 or 42001."""
    token = request.args.get("access_token", "")
    if not token:
        raise ApiError(41001, "access_token missing")
    row = world.store.row("SELECT * FROM wechat_tokens WHERE token = ?", token)
    account = account_of_app(world, row["app_id"]) if row else None
    if row is None or account is None:
        raise ApiError(40001, "invalid credential, access_token is invalid or not latest, hint: [sandbox]")
    if row["ends_at"] <= stamp(world.now()):
        raise ApiError(42001, "access_token expired, hint: [sandbox]")
    return account


def app_with_secret(world: World, app_id: str, secret: str) -> Account:
    """The account that proves itself by its secret. Raises ApiError 40013 or 40125."""
    account = account_of_app(world, app_id)
    if account is None:
        raise ApiError(40013, "invalid appid")
    if account.secret != secret:
        raise ApiError(40125, "invalid appsecret")
    return account


def json_body() -> dict[str, Any]:
    """The posted object. Raises ApiError 44002, 47001, or 40033 for escaped characters."""
    raw = request.get_data(cache=True)
    if not raw:
        raise ApiError(44002, "empty post data")
    try:
        parsed = json.loads(raw.decode("utf-8"))
    except ValueError:
        raise ApiError(47001, "data format error") from None
    if not isinstance(parsed, dict):
        raise ApiError(47001, "data format error")
    # ASCII bytes that mean other characters: they came escaped, which this API takes literally.
    if raw.isascii() and _has_wide_text(parsed):
        raise ApiError(
            40033, r"invalid charset. please check your request, if include \uxxxx will create fail!"
        )
    return parsed


def ok(**more: Any) -> Response:
    """The answer of success."""
    return jsonify(errcode=0, errmsg="ok", **more)


def _has_wide_text(value: object) -> bool:
    return not json.dumps(value, ensure_ascii=False).isascii()


def _answer(world: World, token: str, ends_at: str) -> dict[str, Any]:
    seconds = int((unstamp(ends_at) - world.now()).total_seconds())
    return {"access_token": token, "expires_in": max(300, min(7200, seconds + 1))}
