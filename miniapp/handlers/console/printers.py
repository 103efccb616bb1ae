"""Printers and their queue: what nobody can know but a person who looks at the paper, and copies after the first."""

from flask import Response, flash, redirect, render_template, request, url_for

from miniapp.core.errors import Refused
from miniapp.core.reach import Reach
from miniapp.core.text import say
from miniapp.handlers.console import listing
from miniapp.handlers.console.pages import Page
from miniapp.handlers.guards import may, person
from miniapp.printing import queries, spool
from miniapp.printing.states import PRINT_JOB
from miniapp.stores import places

PAGE = Page(title="打印队列", menu="设备", order=70)

GROUPS = {
    "uncertain": ("uncertain",),
    "open": queries.OPEN,
    "ended": tuple(PRINT_JOB.ends),
}
REASON_LENGTH = 200


@PAGE.get("/")
@may("judge_prints")
def index() -> str:
    """The printers, and the jobs that the filter names."""
    reach = _reach()
    state = listing.choice("state", GROUPS)
    rows = queries.jobs(
        reach=reach,
        states=GROUPS.get(state, ()),
        printer=listing.text("printer"),
        page=listing.page_number(),
    )
    return render_template(
        "console/printers/index.html",
        rows=rows,
        listing=listing.listing(rows),
        printers=queries.printers(reach=reach),
        groups=tuple(GROUPS),
        state=state,
        printer=listing.text("printer"),
    )


@PAGE.post("/<int:job_id>/judge")
@may("judge_prints")
def judge(job_id: int) -> Response:
    """已出纸 or 未出纸: what the person saw."""
    queries.job(job_id, reach=_reach())
    was_printed = request.form.get("paper") == "printed"
    spool.judge(job_id, was_printed=was_printed, by=person().audit_name)
    flash(say("console.print.was_printed" if was_printed else "console.print.prints_again"))
    return redirect(url_for(".index"), 303)  # type: ignore[return-value]


@PAGE.post("/<int:job_id>/reprint")
@may("judge_prints")
def reprint(job_id: int) -> Response:
    """A further copy, marked 补打, with a reason."""
    queries.job(job_id, reach=_reach())
    reason = request.form.get("reason", "").strip()[:REASON_LENGTH]
    if not reason:
        raise Refused("console.print.reason_needed")
    spool.reprint(job_id, by=person().audit_name, reason=reason)
    flash(say("console.print.queued"))
    return redirect(url_for(".index"), 303)  # type: ignore[return-value]


def _reach() -> Reach:
    return places.reach(person().scopes("judge_prints"))
