"""People: their roles in words, who is on duty, and the one-time code that binds a chat account."""

from flask import Response, flash, redirect, render_template, request, session, url_for

from miniapp.core.text import say
from miniapp.handlers.console.pages import Page
from miniapp.handlers.guards import may, person
from miniapp.stores import places, staffing
from miniapp.stores import service as stores

PAGE = Page(title="人员", menu="组织", order=60)

SHOWN_ONCE = "binding_code"


@PAGE.get("/")
@may("bind_chat")
def index() -> str:
    """Oneself, and the people in one's scopes."""
    who = person()
    seeing = who.scopes("see_organisation") | who.scopes("bind_others")
    return render_template(
        "console/staff/index.html",
        me=staffing.one(who.id),
        shown=session.pop(SHOWN_ONCE, None),
        minutes=stores.BINDING_MINUTES,
        places=places.stores(who.scopes("confirm_requests")),
        people=staffing.within(seeing, binding=who.scopes("bind_others")) if seeing else [],
        may_see_others=bool(seeing),
    )


@PAGE.post("/code")
@may("bind_chat")
def code() -> Response:
    """A code for one's own chat account, shown once."""
    who = person()
    return _show_once(stores.binding_code(who.id, by=who), who.name)


@PAGE.post("/<int:staff_id>/code")
@may("bind_others")
def code_for(staff_id: int) -> Response:
    """A code for one of one's cashiers, shown once."""
    made = staffing.binding_code_for(staff_id, by=person())
    return _show_once(made, staffing.one(staff_id).name)


@PAGE.post("/on-duty")
@may("confirm_requests")
def on_duty() -> Response:
    """上班, in one of the person's stores."""
    store = stores.go_on_duty(person().id, request.form.get("store") or None)
    flash(say("console.staff.on_duty", store=store))
    return redirect(url_for(".index"), 303)  # type: ignore[return-value]


@PAGE.post("/off-duty")
@may("confirm_requests")
def off_duty() -> Response:
    """下班."""
    store = stores.go_off_duty(person().id)
    flash(say("console.staff.off_duty", store=store))
    return redirect(url_for(".index"), 303)  # type: ignore[return-value]


def _show_once(made: str, name: str) -> Response:
    """The next page shows it, and none after: it waits in the browser's own signed cookie."""
    session[SHOWN_ONCE] = {"code": made, "name": name}
    return redirect(url_for(".index"), 303)  # type: ignore[return-value]
