"""What a custom menu may be, and the one that an account has."""

from __future__ import annotations

import json
from typing import Any

from miniapp.sandbox.wechat_tokens import ApiError
from miniapp.sandbox.world import World

# Error codes by depth: top buttons, sub-buttons.
COUNT, KIND, NAME, KEY, URL = (40016, 40023), (40017, 40024), (40018, 40025), (40019, 40026), (40020, 40027)
NAME_BYTES = (16, 60)
NEEDS = {
    "click": ("key",),
    "view": ("url",),
    "miniprogram": ("url", "appid", "pagepath"),
    "scancode_push": ("key",),
    "scancode_waitmsg": ("key",),
    "pic_sysphoto": ("key",),
    "pic_photo_or_album": ("key",),
    "pic_weixin": ("key",),
    "location_select": ("key",),
    "media_id": ("media_id",),
    "article_id": ("article_id",),
    "article_view_limited": ("article_id",),
}


def current(world: World, account: str) -> dict[str, Any] | None:
    """The menu as it was created."""
    row = world.store.row("SELECT body FROM wechat_menus WHERE account = ?", account)
    return json.loads(row["body"]) if row else None


def check(body: dict[str, Any]) -> None:
    """Raises ApiError with the code of the first thing wrong."""
    buttons = body.get("button")
    if not isinstance(buttons, list) or not 1 <= len(buttons) <= 3:
        raise ApiError(COUNT[0], "invalid button size")
    for button in buttons:
        children = button.get("sub_button") or []
        if not children:
            _check_button(button, depth=0)
            continue
        _check_name(button, depth=0)
        if len(children) > 5:
            raise ApiError(COUNT[1], "invalid sub button size")
        for child in children:
            _check_button(child, depth=1)


def _check_name(button: dict[str, Any], *, depth: int) -> None:
    name = button.get("name")
    if not isinstance(name, str) or not 1 <= len(name.encode()) <= NAME_BYTES[depth]:
        raise ApiError(NAME[depth], "invalid button name size")


def _check_button(button: dict[str, Any], *, depth: int) -> None:
    _check_name(button, depth=depth)
    needs = NEEDS.get(str(button.get("type")))
    if needs is None:
        raise ApiError(KIND[depth], "invalid button type")
    for field in needs:
        value = button.get(field)
        if not isinstance(value, str) or not value:
            raise ApiError({"key": KEY, "url": URL}.get(field, KIND)[depth], f"invalid button {field}")
    if len(str(button.get("key", "")).encode()) > 128:
        raise ApiError(KEY[depth], "invalid button key size")
    url = str(button.get("url", ""))
    if len(url.encode()) > 1024:
        raise ApiError(URL[depth], "invalid button url size")
    if url and not url.startswith(("http://", "https://")):
        raise ApiError(40055, "invalid button url domain")
