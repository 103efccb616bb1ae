"""C1 what has been asked for and issued, C2 what can be asked for."""

from flask import Blueprint, render_template, request

from miniapp.handlers.guards import customer_only, visitor
from miniapp.handlers.h5.groups import by_company, sections
from miniapp.invoices import queries

door = Blueprint("purchases", __name__)


@door.get("/")
@customer_only
def index() -> str:
    """C1 我的发票: under way first, then issued; 20 a page."""
    mine = visitor().customer.id
    page = max(1, min(500, request.args.get("page", 1, type=int)))
    rows = queries.requests_of(mine, page=page)
    ready = [row for row in queries.purchases(mine) if row.obstacle is None] if page == 1 else []
    return render_template(
        "h5/purchases/index.html",
        sections=sections(rows),
        ready=ready,
        page=page,
        has_more=len(rows) == queries.PAGE,
    )


@door.get("/purchases")
@customer_only
def choose() -> str:
    """C2 可开票消费: pick one or several of one company."""
    return purchases_page(request.args.getlist("p"))


def purchases_page(picked: list[str], *, message: str = "") -> str:
    """The list with some rows picked; a single one that can be asked for is picked by itself."""
    rows = queries.purchases(visitor().customer.id)
    ready = [row.public_id for row in rows if row.obstacle is None]
    return render_template(
        "h5/purchases/choose.html",
        companies=by_company(rows),
        picked=set(picked) or set(ready if len(ready) == 1 else ()),
        ready=ready,
        message=message,
    )
