"""Coming back from the platform's login, once, and on to the page that wanted it, at a clean address."""

from datetime import timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlsplit

from flask import Blueprint, redirect, request, session, url_for
from werkzeug.wrappers import Response

from miniapp.core import browsing
from miniapp.core.errors import Unavailable
from miniapp.customers import logins
from miniapp.customers import service as customers
from miniapp.handlers import browsers
from miniapp.handlers.guards import public
from miniapp.stores import service as stores

TRIES = 3
door = Blueprint("login", __name__)


@door.get("/login/<account>")
@public
def come_back(account: str) -> Response:
    """The platform sends the browser here with a code and our state; each counts once."""
    token = request.args.get("state", "")
    state = browsing.take_state(token)
    if state is None or state["account"] != account or not browsers.is_same_browser(state["browser"]):
        return redirect(_page_of_replay(token))
    back = _own_page(state["back"])
    settings = browsers.account_settings(stores.chat_account(account))
    login = logins.of(settings)
    who = login.identify(request.args.get(login.code_parameter, ""))
    if not isinstance(who, logins.Identity):
        return _once_more(who, back)
    session["login_tries"] = 0
    session["came_back"] = [_mark(token), back]
    response = redirect(back)
    browsers.put_cookie(response, "customer", _sign_in(settings, who))  # type: ignore[arg-type]
    return response


@door.get("/login")
@public
def again() -> Response:
    """Begin anew: the way out of a page preview (「使用完整服务」)."""
    return browsers.to_platform_login()


def _sign_in(settings: logins.AccountSettings, who: logins.Identity) -> str:
    """A session of this customer; a preview's identity is in nobody's book and gets a short, look-only one."""
    kept: dict[str, Any] = {
        "platform": settings.kind,
        "app_id": who.app_id,
        "open_id": who.open_id,
        "account": settings.code,
    }
    old = request.cookies.get(browsers.cookie_name("customer"))
    if who.snapshot:
        lifetime = browsers.SNAPSHOT_LIFETIME
        return browsing.sign_in(
            "customer", subject_id=0, lifetime=lifetime, old=old, is_snapshot=True, **kept
        )
    known = customers.recognise(
        platform=settings.kind, app_id=who.app_id, open_id=who.open_id, union_id=who.union_id or None
    )
    lifetime = timedelta(days=browsers.config().customer_session_days)
    return browsing.sign_in("customer", subject_id=known.id, lifetime=lifetime, old=old, **kept)


def _once_more(answer: logins.Refused | logins.Unknown, back: str) -> Response:
    """A used or expired code begins again by itself; what will not mend by itself says so."""
    tries = int(session.get("login_tries", 0)) + 1
    session["login_tries"] = tries % TRIES
    if isinstance(answer, logins.Unknown) or answer.alarm or tries >= TRIES:
        raise Unavailable("h5.login_failed")
    return redirect(back)


def _page_of_replay(token: str) -> str:
    """The page that this very state led to in this browser, else the first page, which begins the login again."""
    mark, back = session.get("came_back", ["", ""])
    return back if back and mark == _mark(token) else url_for("h5.purchases.index")


def _own_page(back: str) -> str:
    """A page of ours, whatever is stored; the way in itself leads to the page that it was opened from."""
    if back.startswith("/c/login?"):
        back = parse_qs(urlsplit(back).query).get("page", [""])[0]
    inner = back.startswith("/c/") and not back.startswith("/c/login")
    return back if inner and "\\" not in back else url_for("h5.purchases.index")


def _mark(token: str) -> str:
    return sha256(token.encode("utf-8", "replace")).hexdigest()[:16]
