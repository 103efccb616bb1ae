"""Days of reconciliation: which are open and how old; one day as a matrix of account and store, closed by two persons."""

from collections.abc import Callable
from datetime import date

from flask import Response, flash, redirect, render_template, request, url_for

from miniapp.core.errors import Missing
from miniapp.core.reach import Reach
from miniapp.core.text import say
from miniapp.handlers.console.pages import Page
from miniapp.handlers.guards import may, person
from miniapp.reconcile import asking, closing, day_queries
from miniapp.reconcile.day_queries import DayView
from miniapp.stores import places

PAGE = Page(title="对账日", menu="对账", order=10)


@PAGE.get("/")
@may("see_days")
def index() -> str:
    """The last days of every company within reach."""
    return render_template("console/days/index.html", rows=day_queries.days(_reach("see_days")))


@PAGE.get("/<company>/<bill_date>")
@may("see_days")
def detail(company: str, bill_date: str) -> str:
    """One day: both sides by account and store, what is open, who has done what."""
    view, who = _day(company, bill_date, "see_days"), person()
    hand = view.hands.get(who.id)
    return render_template(
        "console/days/detail.html",
        day=view,
        may_run=who.may("run_reconciliation", company=company),
        may_submit=who.may("submit_day", company=company) and hand != "checker",
        may_confirm=who.may("confirm_day", company=company) and hand != "maker",
        hand=hand,
    )


@PAGE.post("/<company>/<bill_date>/run")
@may("run_reconciliation")
def run(company: str, bill_date: str) -> Response:
    """Fetch what is absent and match again, in the background."""
    view = _day(company, bill_date, "run_reconciliation")
    count = asking.ask_for_runs([one.id for one in view.accounts], view.bill_date, by=person().audit_name)
    flash(say("reconcile.asked_for_runs", count=count))
    return _back(view)


@PAGE.post("/<company>/<bill_date>/submit")
@may("submit_day")
def submit(company: str, bill_date: str) -> Response:
    """提交复核."""
    return _closing(company, bill_date, closing.submit, "submit_day")


@PAGE.post("/<company>/<bill_date>/confirm")
@may("confirm_day")
def confirm(company: str, bill_date: str) -> Response:
    """确认当日."""
    return _closing(company, bill_date, closing.confirm, "confirm_day")


@PAGE.post("/<company>/<bill_date>/return")
@may("confirm_day")
def return_day(company: str, bill_date: str) -> Response:
    """退回, with a reason."""
    return _closing(company, bill_date, closing.return_day, "confirm_day", why=_why())


@PAGE.post("/<company>/<bill_date>/ask-reopening")
@may("submit_day")
def ask_reopening(company: str, bill_date: str) -> Response:
    """申请重开, with a reason."""
    return _closing(company, bill_date, closing.ask_reopening, "submit_day", why=_why())


@PAGE.post("/<company>/<bill_date>/reopen")
@may("confirm_day")
def reopen(company: str, bill_date: str) -> Response:
    """同意重开."""
    return _closing(company, bill_date, closing.reopen, "confirm_day")


@PAGE.post("/<company>/<bill_date>/keep")
@may("confirm_day")
def keep(company: str, bill_date: str) -> Response:
    """不同意重开, with a reason."""
    return _closing(company, bill_date, closing.keep_closed, "confirm_day", why=_why())


def _closing(company: str, bill_date: str, verb: Callable[..., None], ability: str, **more: str) -> Response:
    view = _day(company, bill_date, ability)
    verb(view.company_id, view.bill_date, by=person().id, **more)
    flash(say(f"reconcile.day.did_{verb.__name__}", bill_date=view.bill_date))
    return _back(view)


def _day(company: str, bill_date: str, ability: str) -> DayView:
    try:
        day = date.fromisoformat(bill_date)
    except ValueError as error:
        raise Missing("core.not_found") from error
    return day_queries.day(_reach(ability), company, day)


def _reach(ability: str) -> Reach:
    return places.reach(person().scopes(ability))


def _why() -> str:
    return request.form.get("why", "").strip()[:200]


def _back(view: DayView) -> Response:
    address = url_for(".detail", company=view.company_code, bill_date=view.bill_date.isoformat())
    return redirect(address, 303)  # type: ignore[return-value]
