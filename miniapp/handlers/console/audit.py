"""The audit trail: who, when, from where, before and after. Read and exported, never edited."""

from datetime import date

from flask import Response, render_template, request

from miniapp.core import trail
from miniapp.core.reach import Reach
from miniapp.core.trail import Line, Search
from miniapp.handlers.console import listing, showing
from miniapp.handlers.console.pages import Page
from miniapp.handlers.guards import may, person
from miniapp.stores import places, staffing

PAGE = Page(title="审计", menu="运行", order=81)

SUBJECTS = (
    "request",
    "invoice",
    "delivery",
    "charge",
    "refund_order",
    "purchase",
    "task",
    "work",
    "print_job",
    "bill_file",
    "batch",
    "difference",
    "resolution",
    "day",
    "staff",
    "store",
    "company",
    "terminal",
    "customer",
    "title",
)
HEADER = ("编号", "时间（北京）", "谁", "来自", "对象", "对象编号", "动作", "之前", "之后", "原因")


@PAGE.get("/")
@may("see_audit")
def index() -> str:
    """Lines by subject, person and day, the newest first."""
    wanted = _wanted()
    rows = trail.page(wanted, reach=_reach(), number=listing.page_number())
    return render_template(
        "console/audit/index.html",
        rows=rows,
        listing=listing.listing(rows),
        names=_names(rows),
        subjects=SUBJECTS,
        wanted=wanted,
        kept=request.args.to_dict(),
    )


@PAGE.get("/export")
@may("see_audit")
def export() -> Response:
    """The same lines as a file."""
    rows = trail.every(_wanted(), reach=_reach(), at_most=listing.EXPORT_AT_MOST)
    return listing.as_csv("audit", HEADER, (_cells(row) for row in rows))


def _wanted() -> Search:
    number = listing.text("id")
    return Search(
        subject=listing.choice("subject", SUBJECTS),
        subject_id=int(number) if number.isascii() and number.isdigit() and len(number) < 19 else None,
        who=listing.text("who"),
        first=_day("first"),
        last=_day("last"),
    )


def _day(name: str) -> date | None:
    try:
        return date.fromisoformat(listing.text(name))
    except ValueError:
        return None


def _reach() -> Reach:
    return places.reach(person().scopes("see_audit"))


def _names(rows: list[Line]) -> dict[str, str]:
    return staffing.names_of(row.who.partition(":")[2] for row in rows if row.who.startswith("staff:"))


def _cells(row: Line) -> tuple[str | int, ...]:
    return (
        row.id,
        showing.clock(row.at),
        row.who,
        row.origin,
        showing.subject(row.subject),
        row.subject_id,
        showing.verb(row.verb),
        row.before,
        row.after,
        row.why,
    )
