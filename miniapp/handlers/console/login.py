"""Sign in, sign out, stay signed in."""

from flask import Response, current_app, make_response, redirect, render_template, request, session, url_for

from miniapp.core import browsing, trail
from miniapp.core.errors import Failure, TooOften, Unsigned
from miniapp.handlers import browsers, guards
from miniapp.handlers.console.pages import Page
from miniapp.stores import service as stores

PAGE = Page(title="登录")


@PAGE.get("/")
@guards.public
def form() -> Response:
    """The form; whoever is signed in already goes on."""
    wanted = request.args.get("next", "")
    if browsers.staff() is not None:
        return redirect(where_to(wanted), 303)  # type: ignore[return-value]
    return _form(wanted, 200)


@PAGE.post("/")
@guards.public
def enter() -> Response:
    """Check the password; a new token at every sign-in."""
    wanted = request.form.get("next", "")
    try:
        who = stores.sign_in(
            request.form.get("login", "").strip(),
            request.form.get("password", ""),
            address=guards.address(),
        )
    except (Unsigned, TooOften) as failure:
        return _form(wanted, failure.status, failure=failure)
    token = browsing.sign_in(
        "console",
        subject_id=who.id,
        lifetime=browsers.CONSOLE_LIFETIME,
        old=request.cookies.get(browsers.cookie_name("console")),
    )
    trail.record("staff", who.id, "sign_in", by=who.audit_name, origin=guards.address())
    response = redirect(where_to(wanted), 303)
    browsers.put_cookie(response, "console", token)  # type: ignore[arg-type]
    return response  # type: ignore[return-value]


@PAGE.post("/leave")
@guards.public
def leave() -> Response:
    """End this browser's session."""
    token = request.cookies.get(browsers.cookie_name("console"))
    if token:
        browsing.sign_out(token)
    session.clear()
    response = redirect(url_for(".form"), 303)
    browsers.drop_cookie(response, "console")  # type: ignore[arg-type]
    return response  # type: ignore[return-value]


@PAGE.post("/stay")
@guards.may("see_console")
def stay() -> Response:
    """The person is still here: asking counts as doing something."""
    return make_response("", 204)


def where_to(endpoint: str) -> str:
    """The address of a route name of ours that a plain link can open; its page, or the board, for any other."""
    page = endpoint.rpartition(".")[0]
    for candidate in (endpoint, f"{page}.index"):
        if candidate.startswith("console.") and not candidate.startswith("console.login."):
            for rule in current_app.url_map.iter_rules():
                if rule.endpoint == candidate and not rule.arguments and "GET" in (rule.methods or ()):
                    return url_for(candidate)
    return url_for("console.today.index")


def _form(wanted: str, status: int, *, failure: Failure | None = None) -> Response:
    page = render_template(
        "console/login/form.html",
        wanted=wanted,
        login=request.form.get("login", ""),
        failure=failure.message if failure else "",
    )
    response = make_response(page, status)
    if isinstance(failure, TooOften):
        response.headers["Retry-After"] = str(failure.retry_after)
    return response
