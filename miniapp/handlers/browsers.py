"""The cookies of both sides, and the way to a platform's login."""

import secrets
from datetime import timedelta

from flask import Response, current_app, g, redirect, request, url_for

from miniapp.config import Config
from miniapp.core import browsing
from miniapp.core.errors import Missing
from miniapp.customers import logins
from miniapp.customers.logins import AccountSettings
from miniapp.customers.service import CustomerView
from miniapp.handlers.visitors import Visitor
from miniapp.stores import service as stores
from miniapp.stores.rules import Person

STATE_MINUTES = 10
SNAPSHOT_LIFETIME = timedelta(minutes=30)
CONSOLE_LIFETIME = timedelta(hours=12)


def config() -> Config:
    """The settings of this process."""
    found: Config = current_app.config["MINIAPP"]
    return found


def cookie_name(side: str) -> str:
    """``__Host-`` where the browser comes by https, so that no other host can plant it."""
    return f"__Host-{side}" if config().is_secure else side


def put_cookie(response: Response, side: str, token: str) -> None:
    """HttpOnly, Lax, Secure behind https, whole host."""
    response.set_cookie(
        cookie_name(side), token, httponly=True, samesite="Lax", secure=config().is_secure, path="/"
    )


def drop_cookie(response: Response, side: str) -> None:
    """Forget the browser's token."""
    response.delete_cookie(
        cookie_name(side), path="/", secure=config().is_secure, httponly=True, samesite="Lax"
    )


def staff() -> Person | None:
    """The staff member whose browser this is, with roles as they are now."""
    token = request.cookies.get(cookie_name("console"))
    if not token:
        return None
    idle = timedelta(minutes=config().session_idle_minutes)
    found = browsing.look("console", token, idle=idle)
    return None if found is None or found.subject_id is None else stores.person(found.subject_id)


def customer() -> Visitor | None:
    """The customer whose browser this is."""
    token = request.cookies.get(cookie_name("customer"))
    found = browsing.look("customer", token) if token else None
    if found is None:
        return None
    data = found.data
    view = CustomerView(found.subject_id or 0, data["platform"], data["app_id"], data["open_id"])
    return Visitor(view, data["account"], is_snapshot=data.get("is_snapshot", False))


def to_platform_login() -> Response:
    """To the login of the account that this page belongs to, and back to the same page."""
    account = account_of_request()
    state = secrets.token_hex(16)
    browsing.remember_state(
        state, minutes=STATE_MINUTES, account=account.code, back=_back(), browser=_browser_mark()
    )
    come_back = f"{_own_base()}{url_for('h5.login.come_back', account=account.code)}"
    response = redirect(logins.of(account).authorize_url(state, come_back), 302)
    response.set_cookie(
        cookie_name("mark"),
        g.browser_mark,
        httponly=True,
        samesite="Lax",
        secure=config().is_secure,
        path="/",
    )
    return response  # type: ignore[return-value]


def account_of_request() -> AccountSettings:
    """The chat account of a customer page: named in the address, else told from the wallet, else the first."""
    code = request.args.get("account")
    accounts = stores.chat_accounts()
    if code:
        accounts = [one for one in accounts if one.code == code] or accounts
    agent = request.headers.get("User-Agent", "")
    kind = "alipay" if "AlipayClient" in agent else "wechat" if "MicroMessenger" in agent else ""
    chosen = next((one for one in accounts if one.kind == kind), accounts[0] if accounts else None)
    if chosen is None:
        raise Missing("h5.no_account")
    return account_settings(chosen)


def account_settings(view: stores.AccountView) -> AccountSettings:
    """A chat account as its adapters want it."""
    return logins.settings_of(view)


def is_same_browser(mark: str) -> bool:
    """Is this the browser that began the login?"""
    mine = request.cookies.get(cookie_name("mark"), "")
    return secrets.compare_digest(mine.encode(), mark.encode())


def _own_base() -> str:
    """Where this page was reached: a demonstration has a trusted name for each phone, so that cookies do not mix."""
    return request.host_url.rstrip("/") if config().env == "demo" else config().public_base


def _browser_mark() -> str:
    g.browser_mark = request.cookies.get(cookie_name("mark")) or secrets.token_urlsafe(16)
    mark: str = g.browser_mark
    return mark


def _back() -> str:
    """The page to come back to: our own path only, and without a foreign code."""
    if request.method != "GET":
        return url_for("h5.purchases.index")
    return request.full_path.rstrip("?")
