"""Requests: who holds them, since when, how they came to be so; the cashier on duty answers here too."""

from dataclasses import dataclass
from typing import Any

from flask import Response, flash, redirect, render_template, request, url_for

from miniapp.core.errors import Invalid, Missing
from miniapp.core.money import yuan
from miniapp.core.text import say
from miniapp.handlers import guards
from miniapp.handlers.console import listing, showing
from miniapp.handlers.console.pages import Page
from miniapp.handlers.guards import may, person
from miniapp.invoices import confirming, queries
from miniapp.invoices.queries import InvoiceView, RequestRow, RequestView
from miniapp.invoices.states import REQUEST
from miniapp.stores import places, staffing

PAGE = Page(title="申请", menu="发票", order=40)

GROUPS = {
    "open": queries.OPEN,
    **{
        holder: tuple(state for state in queries.OPEN if REQUEST.waits_for.get(state) == holder)
        for holder in ("cashier", "bill", "channel", "customer")
    },
    "issued": ("issued",),
    "not_issued": ("failed", "rejected", "cancelled", "expired"),
}
HEADER = ("申请", "状态", "门店", "抬头", "金额（元）", "申请时间", "最近变化", "发票号码")


@dataclass(frozen=True)
class Detail:
    """A request beside the list. ``obstacle``: why this person does not answer it, a message key."""

    view: RequestView
    invoice: InvoiceView | None
    names: dict[str, str]
    may_answer: bool
    duty: staffing.DutyRow | None


@PAGE.get("/")
@may("see_requests")
def index() -> str:
    """The list, filtered by the address."""
    return _page(None)


@PAGE.get("/export")
@may("see_requests")
def export() -> Response:
    """The filtered list as a file."""
    rows = _rows(size=listing.EXPORT_AT_MOST, page=1)
    return listing.as_csv(
        "requests",
        HEADER,
        (
            (
                row.code,
                say(f"invoices.state.{row.state}"),
                row.store_name,
                row.buyer_name,
                yuan(row.amount_fen),
                showing.clock(row.asked_at),
                showing.clock(row.changed_at),
                row.invoice_no or "",
            )
            for row in rows
        ),
    )


@PAGE.get("/<code>")
@may("see_requests")
def detail(code: str) -> str:
    """One request beside the list."""
    return _page(_detail(code))


@PAGE.post("/<code>/approve")
@may("confirm_requests")
def approve(code: str) -> Response:
    """The cashier on duty says yes to the version that the page showed."""
    row = _find(code, "confirm_requests")
    confirming.approve(row.id, version=_version(), by=person().id, origin=guards.address())
    flash(say("console.request.approved", code=row.code))
    return redirect(url_for(".detail", code=row.code, **_kept()), 303)  # type: ignore[return-value]


@PAGE.post("/<code>/reject")
@may("confirm_requests")
def reject(code: str) -> Response:
    """The cashier on duty says no, with a reason that the customer reads."""
    row = _find(code, "confirm_requests")
    reason = request.form.get("words", "").strip() or _reason()
    confirming.reject(row.id, version=_version(), by=person().id, reason=reason, origin=guards.address())
    flash(say("console.request.rejected", code=row.code))
    return redirect(url_for(".detail", code=row.code, **_kept()), 303)  # type: ignore[return-value]


def _page(found: Detail | None) -> str:
    scopes = person().scopes("see_requests")
    rows = _rows(size=listing.SIZE, page=listing.page_number())
    return render_template(
        "console/requests/index.html",
        rows=rows,
        listing=listing.listing(rows),
        with_filter=listing.with_filter,
        stores=places.stores(scopes),
        groups=tuple(GROUPS),
        group=listing.choice("group", GROUPS),
        store=listing.text("store"),
        words=listing.text("q"),
        kept=_kept(),
        detail=found,
        reasons=confirming.REASONS,
    )


def _rows(*, size: int, page: int) -> list[RequestRow]:
    return queries.requests(
        scopes=person().scopes("see_requests"),
        states=GROUPS.get(listing.choice("group", GROUPS), ()),
        store=listing.text("store"),
        text=listing.text("q"),
        page=page,
        size=size,
    )


def _detail(code: str) -> Detail:
    row = _find(code, "see_requests")
    view = queries.request(row.public_id)
    who = person()
    return Detail(
        view,
        queries.invoice(row.invoice) if row.invoice else None,
        staffing.names_of(step.who.partition(":")[2] for step in view.steps if step.who.startswith("staff:")),
        row.state == "awaiting_confirmation"
        and who.may("confirm_requests", company=row.company_code, store=row.store_code),
        staffing.duty_of(who.id),
    )


def _find(code: str, ability: str) -> RequestRow:
    """A request by its code, within the person's scopes: foreign and unknown look the same. Raises Missing."""
    found = queries.requests(scopes=person().scopes(ability), text=code, size=5)
    row = next((row for row in found if row.code == code.upper()), None)
    if row is None:
        raise Missing("core.not_found")
    return row


def _kept() -> dict[str, Any]:
    """The filter, for addresses that come back to it."""
    return request.args.to_dict()


def _version() -> int:
    text = request.form.get("version", "")
    if not (text.isascii() and text.isdigit() and len(text) < 9):
        raise Invalid("core.invalid")
    return int(text)


def _reason() -> str:
    word = request.form.get("reason", "")
    return say(f"console.reason.{word}") if word in confirming.REASONS and word != "other" else ""
