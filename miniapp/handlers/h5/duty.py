"""K1 待确认: the cashier's page, opened from the chat's notice; known by chat identity or by console session."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Blueprint, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from miniapp.core.errors import Again, Failure, Forbidden, Missing, Refused
from miniapp.core.text import say
from miniapp.handlers import browsers
from miniapp.handlers.guards import Handler, address, person
from miniapp.invoices import confirming, queries
from miniapp.stores import recognising
from miniapp.stores import service as stores

door = Blueprint("duty", __name__, url_prefix="/duty")


def staff_only(handler: Handler) -> Handler:
    """Staff who may confirm somewhere, asked at every call so that a removed person is out at once."""

    @wraps(handler)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        who = browsers.staff()
        visitor = None if who else browsers.customer()
        if who is None and visitor is None:
            return browsers.to_platform_login()
        if visitor is not None and not visitor.is_snapshot:
            who = recognising.person_of_chat(visitor.customer.app_id, visitor.customer.open_id)
        if who is None or not who.may("confirm_requests"):
            raise Forbidden("h5.not_staff")
        g.person = who
        return handler(*args, **kwargs)

    guarded.ability = "confirm_requests"  # type: ignore[attr-defined]
    return guarded  # type: ignore[return-value]


@door.get("/")
@staff_only
def index() -> str:
    """待办: what waits for a cashier where this person may confirm; on duty and off."""
    rows = queries.requests(scopes=person().scopes("confirm_requests"), states=("awaiting_confirmation",))
    return render_template("h5/duty/index.html", rows=rows, store=recognising.duty_of(person().id))


@door.post("/on")
@staff_only
def go_on() -> Response | tuple[str, int]:
    """上班."""
    return _duty(lambda: stores.go_on_duty(person().id, request.form.get("store") or None))


@door.post("/off")
@staff_only
def go_off() -> Response | tuple[str, int]:
    """下班."""
    return _duty(lambda: stores.go_off_duty(person().id))


@door.get("/<public_id>")
@staff_only
def show(public_id: str) -> str:
    """K1: amount large, title and number in full, what it is for."""
    return _page(_view(public_id))


@door.post("/<public_id>/approve")
@staff_only
def approve(public_id: str) -> Response | tuple[str, int]:
    """确认开票, once, for the version that this page showed."""
    view = _view(public_id)
    return _answer(
        view, lambda: confirming.approve(view.row.id, version=_version(), by=person().id, origin=address())
    )


@door.post("/<public_id>/reject")
@staff_only
def reject(public_id: str) -> Response | tuple[str, int]:
    """拒绝, with a reason that the customer reads."""
    view = _view(public_id)
    reason = request.form.get("why", "")
    words = request.form.get("words", "") if reason == "other" else _reason(reason)
    return _answer(
        view,
        lambda: confirming.reject(
            view.row.id, version=_version(), by=person().id, reason=words, origin=address()
        ),
    )


def _answer(view: queries.RequestView, verb: Callable[[], str]) -> Response | tuple[str, int]:
    """Run the verb; where it changes nothing, the page as it is now says why."""
    try:
        verb()
    except (Again, Refused, Forbidden) as failure:
        return _page(_view(view.row.public_id), failure=failure), failure.status
    return redirect(url_for(".show", public_id=view.row.public_id), 303)


def _duty(verb: Callable[[], str]) -> Response | tuple[str, int]:
    try:
        verb()
    except Failure as failure:
        rows = queries.requests(scopes=person().scopes("confirm_requests"), states=("awaiting_confirmation",))
        page = render_template(
            "h5/duty/index.html", rows=rows, store=recognising.duty_of(person().id), failure=failure
        )
        return page, failure.status
    back = request.form.get("back", "")[:64]
    return redirect(url_for(".show", public_id=back) if back else url_for(".index"), 303)


def _view(public_id: str) -> queries.RequestView:
    """A request within this person's scopes; anything else is not there."""
    view = queries.request(public_id)
    if not person().may("confirm_requests", company=view.row.company_code, store=view.row.store_code):
        raise Missing("core.not_found")
    return view


def _page(view: queries.RequestView, *, failure: Failure | None = None) -> str:
    reasons = [(name, _reason(name)) for name in confirming.REASONS if name != "other"]
    return render_template(
        "h5/duty/show.html",
        view=view,
        reasons=reasons,
        failure=failure,
        store=recognising.duty_of(person().id),
        limit=confirming.REASON_LENGTH,
    )


def _reason(name: str) -> str:
    return say(f"h5.reason.{name}") if name in confirming.REASONS and name != "other" else ""


def _version() -> int:
    return request.form.get("version", 0, type=int)
