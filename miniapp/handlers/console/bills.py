"""Bill files: what is missing, what came, which version read it; one can be handed in or fetched by hand."""

from datetime import date

from flask import Response, flash, redirect, render_template, request, url_for

from miniapp.core.errors import Invalid, Missing
from miniapp.core.text import say
from miniapp.handlers.console import listing
from miniapp.handlers.console.pages import Page
from miniapp.handlers.guards import may, person
from miniapp.reconcile import asking, file_queries, importing
from miniapp.reconcile.file_queries import AccountRow
from miniapp.reconcile.refusing import BillRefused
from miniapp.stores import places

PAGE = Page(title="账单文件", menu="对账", order=12)


@PAGE.get("/")
@may("see_days")
def index() -> str:
    """The files, and the days without one."""
    return _page(None)


@PAGE.post("/import")
@may("import_bills")
def import_bill() -> str | Response:
    """Take the file of the form. A refused one is shown with its line and what to do, beside the list."""
    account = _account(request.form.get("account", ""))
    given = request.files.get("bill")
    if given is None or not given.filename:
        raise Invalid("reconcile.import.no_file")
    name = given.filename.replace("\\", "/").rsplit("/", 1)[-1][:200]
    try:
        taken = importing.take(
            given.stream.read(), name=name, account=account.code, source="imported", by=person().audit_name
        )
    except BillRefused as refused:
        return _page(refused.named(name))
    flash(taken.message)
    return redirect(url_for(".index", account=account.code), 303)  # type: ignore[return-value]


@PAGE.post("/<int:account_id>/<bill_date>/fetch")
@may("import_bills")
def fetch(account_id: int, bill_date: str) -> Response:
    """Ask the platform for this day's bill now."""
    account = next((one for one in _accounts() if one.id == account_id), None)
    day = _date(bill_date)
    if account is None or day is None:
        raise Missing("core.not_found")
    asking.ask_for_bill(account.id, day, by=person().audit_name)
    flash(say("reconcile.asked_for_bill", account=account.code, bill_date=day))
    return redirect(url_for(".index"), 303)  # type: ignore[return-value]


def _page(refused: BillRefused | None) -> str:
    reach = places.reach(person().scopes("see_days"))
    rows = file_queries.files(
        reach,
        account=listing.text("account"),
        bill_date=_date(listing.text("day")),
        page=listing.page_number(),
    )
    return render_template(
        "console/bills/index.html",
        rows=rows,
        listing=listing.listing(rows),
        missing=file_queries.missing(reach),
        accounts=file_queries.accounts(reach),
        account=listing.text("account"),
        day=listing.text("day"),
        refused=refused,
        may_import=person().may("import_bills"),
    )


def _accounts() -> list[AccountRow]:
    return file_queries.accounts(places.reach(person().scopes("import_bills")))


def _account(code: str) -> AccountRow:
    found = next((one for one in _accounts() if one.code == code), None)
    if found is None:
        raise Missing("core.not_found")
    return found


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
