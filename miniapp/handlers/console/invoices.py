"""Invoices: number, buyer, sums, files, and what became of each delivery."""

from flask import Response, render_template, request

from miniapp.core import files
from miniapp.core.errors import Missing
from miniapp.core.money import yuan
from miniapp.core.text import say
from miniapp.handlers.console import listing, showing
from miniapp.handlers.console.pages import Page
from miniapp.handlers.guards import may, person
from miniapp.invoices import queries
from miniapp.invoices.queries import InvoiceView

PAGE = Page(title="发票", menu="发票", order=41)

HEADER = (
    "发票号码",
    "状态",
    "样票",
    "门店",
    "购买方",
    "价税合计",
    "不含税",
    "税额",
    "开具时间",
    "申请",
    "单号",
)
EXPORT_AT_MOST = 2_000
FORMS = {
    "pdf": "application/pdf",
    "ofd": "application/ofd",
    "xml": "application/xml",
}


@PAGE.get("/")
@may("see_requests")
def index() -> str:
    """The list, filtered by the address."""
    return _page(None)


@PAGE.get("/export")
@may("see_requests")
def export() -> Response:
    """The filtered list as a file."""
    return listing.as_csv("invoices", HEADER, (_cells(one) for one in _rows(size=EXPORT_AT_MOST, page=1)))


@PAGE.get("/<number>")
@may("see_requests")
def detail(number: str) -> str:
    """One invoice beside the list."""
    return _page(_find(number))


@PAGE.get("/<number>/<form>")
@may("see_requests")
def document(number: str, form: str) -> Response:
    """One file of an invoice."""
    found = _find(number)
    if form not in FORMS or form not in found.files:
        raise Missing("core.not_found")
    response = Response(files.read(found.files[form]), content_type=FORMS[form])
    response.headers["Content-Disposition"] = f'inline; filename="{found.number}.{form}"'
    return response


def _page(found: InvoiceView | None) -> str:
    rows = _rows(size=listing.SIZE, page=listing.page_number())
    return render_template(
        "console/invoices/index.html",
        rows=rows,
        listing=listing.listing(rows),
        words=listing.text("q"),
        kept=request.args.to_dict(),
        detail=found,
        forms=tuple(FORMS),
    )


def _rows(*, size: int, page: int) -> list[InvoiceView]:
    scopes = person().scopes("see_requests")
    return queries.invoices(scopes=scopes, text=listing.text("q"), page=page, size=size)


def _find(number: str) -> InvoiceView:
    """An invoice by its number, within the person's scopes: foreign and unknown look the same. Raises Missing."""
    found = queries.invoices(scopes=person().scopes("see_requests"), text=number, size=2)
    row = next((row for row in found if row.number == number), None)
    if row is None:
        raise Missing("core.not_found")
    return row


def _cells(one: InvoiceView) -> tuple[str | int, ...]:
    sums = (yuan(fen) for fen in (one.total_fen, one.net_fen, one.tax_fen))
    return (
        one.number,
        say(f"console.invoice.{one.state}"),
        say("console.yes") if one.is_specimen else "",
        one.store_name,
        one.buyer.get("name", ""),
        *sums,
        showing.clock(one.issued_at),
        one.request_code,
        " ".join(one.out_trade_nos),
    )
