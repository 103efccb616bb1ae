"""The outbox: work that no retry will finish any more, why, and what a person wants done with it."""

from flask import Response, flash, redirect, render_template, request, url_for

from miniapp.core.errors import Refused
from miniapp.core.text import say
from miniapp.handlers.console import listing
from miniapp.handlers.console.pages import Page, may_everywhere
from miniapp.handlers.guards import person
from miniapp.outbox import service, watching
from miniapp.outbox.watching import WorkRow

PAGE = Page(title="发件箱", menu="运行", order=80, is_central=True)

STATES = ("dead", "ready", "leased")
AT_ONCE = 500
REASON_LENGTH = 200


@PAGE.get("/")
@may_everywhere("see_outbox")
def index() -> str:
    """Rows of one state; the dead first of all."""
    state = listing.choice("state", STATES, "dead")
    rows = watching.rows(state=state, page=listing.page_number())
    wanted = request.args.get("open", "")
    return render_template(
        "console/outbox/index.html",
        rows=rows,
        listing=listing.listing(rows),
        counts=watching.counts(),
        states=STATES,
        state=state,
        tries=watching.attempts(int(wanted)) if wanted.isascii() and wanted.isdigit() else [],
        opened=wanted,
        may_retry=person().may("retry_work"),
        with_filter=listing.with_filter,
        at_once=AT_ONCE,
    )


@PAGE.post("/<int:work_id>/retry")
@may_everywhere("retry_work")
def retry(work_id: int) -> Response:
    """Try a dead row again; a call that may have gone out is asked about first."""
    service.dig_up(work_id, by=person().audit_name)
    return _back(say("console.outbox.retried", count=1))


@PAGE.post("/retry")
@may_everywhere("retry_work")
def retry_all() -> Response:
    """Try every dead row again, at most 500 at once."""
    retried = sum(_dig_up(row) for row in watching.rows(state="dead", size=AT_ONCE))
    return _back(say("console.outbox.retried", count=retried))


@PAGE.post("/<int:work_id>/give-up")
@may_everywhere("retry_work")
def give_up(work_id: int) -> Response:
    """End a dead row for good, with a reason."""
    why = request.form.get("why", "").strip()[:REASON_LENGTH]
    if not why:
        raise Refused("console.outbox.reason_needed")
    service.give_up(work_id, by=person().audit_name, why=why)
    return _back(say("console.outbox.given_up"))


def _dig_up(row: WorkRow) -> int:
    """1, or 0 where somebody was faster."""
    try:
        service.dig_up(row.id, by=person().audit_name)
    except Refused:
        return 0
    return 1


def _back(words: str) -> Response:
    flash(words)
    return redirect(url_for(".index"), 303)  # type: ignore[return-value]
