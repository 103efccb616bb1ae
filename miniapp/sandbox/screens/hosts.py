"""One host name a role, so that one browser can play all of them: cookies do not mix.

A person's entry may say `phone_host` (where this phone is shown) and `browses` (host:port → host:port: under which
name this phone opens a site). `pages.json` in the data folder names further places: `{"links": [{name, url, note}]}`.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from flask import redirect, request

from miniapp.sandbox.store import Row
from miniapp.sandbox.world import World

LOGIN_PAGES = ("/wechat-open/connect/oauth2/authorize", "/alipay-oauth/oauth2/publicAppAuthorize.htm")
ROLE_HOSTS = {"till": "/till", "printer": "/printer"}


def frame(world: World, current: str) -> dict[str, Any]:
    """What every page shows around itself: the roles and the clock."""
    return {
        "current": current,
        "roles": _roles(world),
        "links": _links(world),
        "home": _address("sandbox.localhost", "/") if _is_named() else "/",
        "now": f"{world.beijing():%m月%d日 %H:%M}",
        "is_moved": abs(world.clock_offset()) > 1,
    }


def person_of_request(world: World) -> Row | None:
    """The person whose phone this is: named by `?person=`, else by the host, else by the cookie."""
    named = request.args.get("person")
    if named:
        return world.entry("people", named)
    host = request.host.partition(":")[0]
    found = world.find("people", "phone_host", host)
    return found or world.entry("people", request.cookies.get("sandbox_person", ""))


def wallet_of(entry: Row) -> str:
    """`wechat` or `alipay`: which application is open on this phone."""
    asked = request.args.get("platform") or entry.get("wallet")
    if asked in ("wechat", "alipay"):
        return str(asked)
    return "alipay" if entry.get("alipay") and not entry.get("wechat") else "wechat"


def as_seen_by(entry: Row, url: str, *, account: str = "") -> str:
    """The address under which this phone opens a link; it says which account's page it is, as a wallet does."""
    parts = urlsplit(url)
    own = (entry.get("browses") or {}).get(parts.netloc)
    if own is None:
        return url
    query = parse_qsl(parts.query, keep_blank_values=True)
    if account and "account" not in dict(query):
        query.append(("account", account))
    return urlunsplit(parts._replace(netloc=own, query=urlencode(query)))


def page_of_host(world: World) -> str:
    """The page that the root of a role's own host leads to; empty on any other host."""
    host = request.host.partition(":")[0]
    if world.find("people", "phone_host", host):
        return "/phone"
    return ROLE_HOSTS.get(host.partition(".")[0], "") if host.endswith(".localhost") else ""


def to_own_login(world: World) -> Any:
    """A login page is shown by the phone that was sent there: told from the host that it comes back to."""
    if request.path not in LOGIN_PAGES or request.args.get("person"):
        return None
    back = urlsplit(request.args.get("redirect_uri", "")).netloc
    for entry in world.entries("people"):
        if back and back in (entry.get("browses") or {}).values():
            query = urlencode({**request.args.to_dict(), "person": entry["code"]})
            return redirect(f"{request.path}?{query}", 302)
    return None


def _roles(world: World) -> list[dict[str, str]]:
    roles = [
        {
            "key": f"person:{entry['code']}",
            "name": str(entry["name"]),
            "what": {"wechat": "微信", "alipay": "支付宝"}[_own_wallet(entry)],
            "kind": _own_wallet(entry),
            "note": str(entry.get("note", "")),
            "url": _phone_address(entry),
        }
        for entry in world.entries("people")
    ]
    if world.entries("tills"):
        url = _address("till.localhost", "/till")
        note = "输入金额，扫顾客的付款码，打小票，退款"
        roles.append(
            {"key": "till", "name": "收银台", "what": "终端", "kind": "till", "note": note, "url": url}
        )
    if world.entries("printers"):
        url = _address("printer.localhost", "/printer")
        note = "打出来的发票在这里；可以缺纸、卡纸、离线"
        roles.append(
            {"key": "printer", "name": "打印机", "what": "门店", "kind": "printer", "note": note, "url": url}
        )
    return roles


def _own_wallet(entry: Row) -> str:
    if entry.get("wallet") in ("wechat", "alipay"):
        return str(entry["wallet"])
    return "alipay" if entry.get("alipay") and not entry.get("wechat") else "wechat"


def _phone_address(entry: Row) -> str:
    if entry.get("phone_host") and _is_named():
        return _address(str(entry["phone_host"]), "/phone")
    return f"/phone?person={entry['code']}"


def _address(host: str, path: str) -> str:
    """Another role's page: under its own name where we were reached by a name, else beside this one."""
    if not _is_named():
        return path
    port = request.host.partition(":")[2]
    return f"http://{host}:{port}{path}" if port else f"http://{host}{path}"


def _is_named() -> bool:
    return request.host.partition(":")[0].endswith(".localhost")


def _links(world: World) -> list[dict[str, str]]:
    try:
        given = json.loads((world.data / "pages.json").read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return []
    links: list[dict[str, str]] = given.get("links", [])
    return links
