"""Work for people: what the program could not decide, each with a deadline, ended in words."""

from flask import Response, flash, redirect, render_template, request, url_for

from miniapp.core import tasks
from miniapp.core.reach import Reach
from miniapp.core.text import say
from miniapp.handlers.console import listing
from miniapp.handlers.console.pages import Page
from miniapp.handlers.guards import may, person
from miniapp.stores import places, staffing

PAGE = Page(title="待办", menu="", order=5)

STATES = ("open", "done", "dropped")


@PAGE.get("/")
@may("see_console")
def index() -> str:
    """Open ones by deadline; ended ones with how they ended."""
    state = listing.choice("state", STATES, "open")
    kind = listing.choice("kind", tasks.DEADLINES)
    rows = tasks.listed(reach=_reach("see_console"), state=state, kind=kind, page=listing.page_number())
    closers = (row.closed_by.partition(":")[2] for row in rows if row.closed_by.startswith("staff:"))
    return render_template(
        "console/tasks/index.html",
        rows=rows,
        listing=listing.listing(rows),
        names=staffing.names_of(closers),
        states=STATES,
        state=state,
        kinds=tuple(tasks.DEADLINES),
        kind=kind,
        may_end=person().may("close_tasks"),
    )


@PAGE.post("/<int:task_id>/end")
@may("close_tasks")
def end(task_id: int) -> Response:
    """A person has done it, or found it needless, and says how."""
    tasks.end(
        task_id,
        reach=_reach("close_tasks"),
        by=person().audit_name,
        outcome=request.form.get("outcome", ""),
        state="dropped" if "drop" in request.form else "done",
    )
    flash(say("console.task_ended"))
    return redirect(url_for(".index"), 303)  # type: ignore[return-value]


def _reach(ability: str) -> Reach:
    return places.reach(person().scopes(ability))
