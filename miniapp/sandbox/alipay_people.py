"""Who a person is to Alipay: user id, open id per app, masked account; and which app calls."""

from __future__ import annotations

import hashlib
from typing import Any

from miniapp.sandbox.world import World


def user_id(world: World, person: str) -> str:
    """The 2088… number of a person: configured, or made from the code."""
    entry = world.entry("people", person) or {}
    given = (entry.get("alipay") or {}).get("user_id")
    return str(given) if given else f"2088{_digits(person, 12)}"


def open_id(world: World, person: str, *, app_id: str) -> str:
    """The person's identifier under one app; another app sees another one."""
    entry = world.entry("people", person) or {}
    given = (entry.get("alipay") or {}).get(app_id)
    if given:
        return str(given)
    return f"0{_digits(f'{app_id}/{person}', 10)}{hashlib.sha256(f'{app_id}/{person}'.encode()).hexdigest()[:22]}"


def logon_id(world: World, person: str) -> str:
    """The masked account that bills and answers show, such as `138****0042`."""
    entry = world.entry("people", person) or {}
    given = (entry.get("alipay") or {}).get("logon_id")
    return str(given) if given else f"138****{_digits(person, 4)}"


def identity(world: World, app: dict[str, Any], person: str, *, prefix: str = "") -> dict[str, str]:
    """`user_id` or `open_id` (with `prefix`, such as `buyer_`), as the app's `id_mode` says; default user_id."""
    if app.get("id_mode") == "open_id":
        return {f"{prefix}open_id": open_id(world, person, app_id=app["app_id"])}
    return {f"{prefix}user_id": user_id(world, person)}


def person_of(world: World, app: dict[str, Any], *, user: str = "", opened: str = "") -> str | None:
    """The code of the person behind a user id or an open id of this app; None for a stranger."""
    for entry in world.entries("people"):
        code = str(entry["code"])
        if user and user_id(world, code) == user:
            return code
        if opened and open_id(world, code, app_id=app["app_id"]) == opened:
            return code
    return None


def _digits(text: str, count: int) -> str:
    return str(int(hashlib.sha256(text.encode()).hexdigest(), 16))[:count]
