"""The board of the day: what waits, for whom, since when; what is dead, late or silent. Each number is a link."""

from dataclasses import dataclass
from datetime import date, datetime

from flask import render_template

from miniapp.core import tasks
from miniapp.core.clock import now
from miniapp.handlers.console.pages import Page
from miniapp.handlers.guards import may, person
from miniapp.invoices import queries as invoices
from miniapp.invoices.queries import RequestRow
from miniapp.outbox import watching
from miniapp.reconcile import day_queries
from miniapp.stores import places
from miniapp.stores.rules import Person, widest

PAGE = Page(title="今日", menu="", order=0)

HOLDERS = ("cashier", "bill", "channel", "customer")
TASKS_SHOWN = 8
REQUESTS_SHOWN = 8
LOOKED_AT = 200


@dataclass(frozen=True)
class Waiting:
    """Requests that wait for one holder."""

    holder: str
    count: int
    since: datetime | None


@dataclass(frozen=True)
class Books:
    """Days that are not closed, accounts whose bill is due and not here, differences that are open."""

    open_days: int
    oldest: date | None
    missing: int
    differences: int
    is_late: bool


@PAGE.get("/")
@may("see_console")
def index() -> str:
    """The whole board, within the person's scopes."""
    who = person()
    reach = places.reach(who.scopes("see_console"))
    return render_template(
        "console/today/index.html",
        waiting=_waiting(who),
        to_confirm=_longest_waiting(who),
        tasks=tasks.listed(reach=reach, size=TASKS_SHOWN),
        task_count=tasks.counted(reach=reach),
        may_end_tasks=who.may("close_tasks"),
        outbox=watching.counts() if widest(who.scopes("see_outbox")) else None,
        books=_books(who) if who.may("see_days") else None,
        terminals=places.terminals(who.scopes("see_console")),
    )


def _waiting(who: Person) -> list[Waiting]:
    board = invoices.waiting_by_holder(who.scopes("see_requests"))
    return [Waiting(holder, *board.get(holder, (0, None))) for holder in HOLDERS]


def _longest_waiting(who: Person) -> list[RequestRow]:
    rows = invoices.requests(
        scopes=who.scopes("see_requests"), states=("awaiting_confirmation",), size=LOOKED_AT
    )
    return sorted(rows, key=lambda row: row.changed_at)[:REQUESTS_SHOWN]


def _books(who: Person) -> Books:
    days = day_queries.days(places.reach(who.scopes("see_days")))
    unclosed = [day for day in days if day.state != "closed"]
    return Books(
        open_days=len(unclosed),
        oldest=min((day.bill_date for day in unclosed), default=None),
        missing=sum(day.accounts - day.done for day in unclosed if day.due_at <= now()),
        differences=sum(day.open for day in unclosed),
        is_late=any(day.late for day in unclosed),
    )
