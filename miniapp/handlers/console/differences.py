"""Differences: the list with its filters, one with both source lines beside; proposed by one person, approved by another."""

from datetime import date
from typing import Any

from flask import Response, flash, redirect, render_template, request, url_for

from miniapp.core.errors import Invalid
from miniapp.core.money import yuan
from miniapp.core.reach import Reach
from miniapp.core.text import say
from miniapp.handlers.console import listing
from miniapp.handlers.console.pages import Page
from miniapp.handlers.guards import may, person
from miniapp.reconcile import difference_queries, resolving, rules
from miniapp.reconcile.difference_queries import DifferenceView, Wanted
from miniapp.stores import places, staffing

PAGE = Page(title="差异", menu="对账", order=11)

PLATFORMS = ("wechat", "alipay", "unionpay")
HEADER = (
    "平台",
    "账户",
    "门店",
    "种类",
    "单号",
    "退款号",
    "原因",
    "流水（元）",
    "账单（元）",
    "状态",
    "账单日",
    "自",
)


@PAGE.get("/")
@may("see_days")
def index() -> str:
    """The list, filtered by the address."""
    return _page(None)


@PAGE.get("/export")
@may("see_days")
def export() -> Response:
    """The filtered list as a file."""
    rows = difference_queries.differences(_reach(), _wanted(), size=listing.EXPORT_AT_MOST)
    return listing.as_csv(
        "differences",
        HEADER,
        (
            (
                row.platform,
                row.account,
                row.store,
                say(f"reconcile.kind.{row.kind}"),
                row.out_trade_no,
                row.out_refund_no,
                "|".join(say(f"reconcile.reason.{reason}") for reason in row.reasons),
                "" if row.ledger_fen is None else yuan(row.ledger_fen),
                "" if row.bill_fen is None else yuan(row.bill_fen),
                say(f"reconcile.state.{row.state}"),
                row.bill_date.isoformat(),
                row.since.isoformat(),
            )
            for row in rows
        ),
    )


@PAGE.get("/<int:difference_id>")
@may("see_days")
def detail(difference_id: int) -> str:
    """One difference beside the list."""
    return _page(difference_queries.difference(_reach(), difference_id))


@PAGE.post("/propose")
@may("resolve_differences")
def propose() -> Response:
    """Propose the same for the chosen differences, with one reason."""
    ids = _ids("difference")
    terminal = request.form.get("terminal", "")
    resolving.propose_many(
        ids,
        kind=request.form.get("kind", ""),
        reason=request.form.get("reason", "").strip()[:200],
        by=person().id,
        terminal_id=int(terminal) if terminal.isascii() and terminal.isdigit() else None,
    )
    flash(say("reconcile.proposed", count=len(ids)))
    return _back(ids)


@PAGE.post("/approve")
@may("resolve_differences")
def approve() -> Response:
    """Approve the chosen proposals of another person."""
    ids = _ids("resolution")
    resolving.approve_many(ids, by=person().id)
    flash(say("reconcile.approved", count=len(ids)))
    return _back(_ids("difference", needed=False))


@PAGE.post("/refuse")
@may("resolve_differences")
def refuse() -> Response:
    """Refuse a proposal of another person, with words."""
    (resolution_id,) = _ids("resolution")[:1]
    resolving.refuse(resolution_id, by=person().id, answer=request.form.get("answer", "").strip()[:200])
    flash(say("reconcile.refused"))
    return _back(_ids("difference", needed=False))


@PAGE.post("/withdraw")
@may("resolve_differences")
def withdraw() -> Response:
    """Take one's own proposal back."""
    (resolution_id,) = _ids("resolution")[:1]
    resolving.withdraw(resolution_id, by=person().id)
    flash(say("reconcile.withdrawn"))
    return _back(_ids("difference", needed=False))


def _page(found: DifferenceView | None) -> str:
    wanted = _wanted()
    rows = difference_queries.differences(_reach(), wanted, page=listing.page_number(), size=listing.SIZE)
    return render_template(
        "console/differences/index.html",
        rows=rows,
        listing=listing.listing(rows),
        counts=difference_queries.counts(_reach(), wanted),
        states=difference_queries.STATES,
        orders=difference_queries.ORDERS,
        reasons=rules.REASONS,
        kinds=rules.KINDS,
        platforms=PLATFORMS,
        stores=places.stores(person().scopes("see_days")),
        wanted=wanted,
        kept=request.args.to_dict(),
        with_filter=listing.with_filter,
        detail=found,
        names=staffing.names_of(
            step.who.partition(":")[2]
            for step in (found.history if found else ())
            if step.who.startswith("staff:")
        ),
        me=person().id,
        may_resolve=person().may("resolve_differences"),
    )


def _wanted() -> Wanted:
    store, day = listing.text("store"), listing.text("day")
    try:
        bill_date = date.fromisoformat(day)
    except ValueError:
        bill_date = None
    return Wanted(
        state=listing.choice("state", difference_queries.STATES, "live"),
        platform=listing.choice("platform", PLATFORMS),
        reason=listing.choice("reason", rules.REASONS),
        company=listing.text("company"),
        store_id=int(store) if store.isascii() and store.isdigit() and len(store) < 12 else None,
        bill_date=bill_date,
        text=listing.text("q"),
        order=listing.choice("order", difference_queries.ORDERS, "since"),
    )


def _ids(name: str, *, needed: bool = True) -> list[int]:
    texts = request.form.getlist(name)
    if not all(text.isascii() and text.isdigit() and len(text) < 16 for text in texts) or (
        needed and not texts
    ):
        raise Invalid("reconcile.resolve.nothing_chosen")
    return [int(text) for text in texts]


def _reach() -> Reach:
    return places.reach(person().scopes("see_days"))


def _back(ids: list[int]) -> Response:
    """To the one that was worked on, or the list; the filter stays."""
    kept: dict[str, Any] = request.args.to_dict()
    if len(ids) == 1:
        return redirect(url_for(".detail", difference_id=ids[0], **kept), 303)  # type: ignore[return-value]
    return redirect(url_for(".index", **kept), 303)  # type: ignore[return-value]
