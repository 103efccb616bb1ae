"""Transactions: one box finds any number; beside the list everything that hangs on one."""

from datetime import date

from flask import Response, render_template, request

from miniapp.core.money import yuan
from miniapp.core.reach import Reach
from miniapp.core.text import say
from miniapp.handlers.console import listing, showing
from miniapp.handlers.console.pages import Page
from miniapp.handlers.guards import may, person
from miniapp.invoices import tracing
from miniapp.invoices.tracing import Row, Trace
from miniapp.stores import places

PAGE = Page(title="交易", menu="", order=6)

PLATFORMS = ("wechat", "alipay")
HEADER = (
    "时间（北京）",
    "种类",
    "平台",
    "单号",
    "退款号",
    "门店",
    "终端",
    "金额（元）",
    "可开（元）",
    "状态",
)


@PAGE.get("/")
@may("see_transactions")
def index() -> str:
    """Found by the box, or the newest."""
    return _page(None)


@PAGE.get("/export")
@may("see_transactions")
def export() -> Response:
    """The filtered rows as a file."""
    rows = _rows(size=listing.EXPORT_AT_MOST, page=1)
    return listing.as_csv("transactions", HEADER, (_cells(row) for row in rows))


@PAGE.get("/<public_id>")
@may("see_transactions")
def detail(public_id: str) -> str:
    """One row of the ledger beside the list."""
    return _page(tracing.trace(public_id, reach=_reach()))


def _page(found: Trace | None) -> str:
    rows = _rows(size=listing.SIZE, page=listing.page_number())
    return render_template(
        "console/transactions/index.html",
        rows=rows,
        listing=listing.listing(rows) if not listing.text("q") else None,
        words=listing.text("q"),
        stores=places.stores(person().scopes("see_transactions")),
        store=listing.text("store"),
        platforms=PLATFORMS,
        platform=listing.choice("platform", PLATFORMS),
        day=_day(),
        kept=request.args.to_dict(),
        detail=found,
    )


def _rows(*, size: int, page: int) -> list[Row]:
    words = listing.text("q")
    if words:
        return tracing.search(words, reach=_reach())
    return tracing.recent(
        reach=_reach(),
        store=listing.text("store"),
        platform=listing.choice("platform", PLATFORMS),
        day=_day(),
        page=page,
        size=size,
    )


def _reach() -> Reach:
    return places.reach(person().scopes("see_transactions"))


def _day() -> date | None:
    try:
        return date.fromisoformat(listing.text("day"))
    except ValueError:
        return None


def _cells(row: Row) -> tuple[str | int, ...]:
    return (
        showing.clock(row.occurred_at),
        say(f"console.ledger.{row.kind}"),
        showing.platform(row.platform),
        row.out_trade_no,
        row.out_refund_no,
        row.store_name,
        row.terminal_code,
        yuan(row.amount_fen),
        yuan(row.left_fen),
        say("console.state.revoked") if row.is_revoked else "",
    )
