"""C4 which title, C6 look once more and submit, C7 how far it is."""

from datetime import timedelta

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from miniapp.core import codes
from miniapp.core.errors import Missing, Refused
from miniapp.handlers.browsers import config
from miniapp.handlers.guards import address, customer_only, visitor
from miniapp.handlers.h5.asking import Choice, choice_of
from miniapp.handlers.h5.groups import breakdown
from miniapp.handlers.h5.purchases import purchases_page
from miniapp.handlers.h5.timeline import timeline
from miniapp.invoices import paper, queries, requesting
from miniapp.invoices.queries import DeliveryRow, RequestView
from miniapp.titles import service as titles

door = Blueprint("requests", __name__, url_prefix="/requests")


@door.get("/new")
@customer_only
def new() -> Response | str | tuple[str, int]:
    """C6 确认申请, or what stands in its way: a request that is there already, other companies, no title yet."""
    choice = choice_of(request.args)
    rows = _rows(choice)
    if rows[0].request:
        return redirect(url_for(".show", public_id=rows[0].request), 303)
    if len({row.company for row in rows}) > 1:
        return purchases_page(list(choice.purchases), message=Refused("invoices.one_company").message), 409
    if any(row.obstacle for row in rows):
        return redirect(url_for("h5.purchases.choose", p=choice.purchases), 303)
    return _confirm_page(choice, rows)


@door.get("/title")
@customer_only
def choose_title() -> str:
    """C4 选择抬头: one tap goes back to C6."""
    choice = choice_of(request.args)
    return render_template(
        "h5/requests/title.html", choice=choice, titles=titles.book(visitor().customer.id)[:20]
    )


@door.post("/new")
@customer_only
def submit() -> Response | tuple[str, int]:
    """提交申请. The verb checks the sum that the page showed; another sum is shown and asked again."""
    choice = choice_of(request.form)
    mine = visitor().customer
    try:
        public_id = requesting.ask(mine.id, mine.app_id, choice.ask(), origin=address())
    except Refused as refused:
        rows = _rows(choice)
        if rows[0].request or any(row.obstacle for row in rows):
            return purchases_page(list(choice.purchases), message=refused.message), refused.status
        return _confirm_page(choice, rows, message=refused.message), refused.status
    return redirect(url_for(".show", public_id=public_id, sent=1), 303)


@door.get("/<public_id>")
@customer_only
def show(public_id: str) -> str:
    """C7 进度."""
    view = queries.request(public_id, customer_id=visitor().customer.id)
    return render_template("h5/requests/show.html", **_progress(view), sent=request.args.get("sent"))


@door.get("/<public_id>/progress")
@customer_only
def progress(public_id: str) -> str:
    """The part of C7 that moves, for its script."""
    view = queries.request(public_id, customer_id=visitor().customer.id)
    return render_template("h5/requests/_progress.html", **_progress(view))


@door.post("/<public_id>/cancel")
@customer_only
def cancel(public_id: str) -> Response:
    """取消申请, while nobody has approved it."""
    requesting.cancel(visitor().customer.id, public_id)
    return redirect(url_for(".show", public_id=public_id), 303)


def _rows(choice: Choice) -> list[queries.PurchaseRow]:
    """The chosen purchases as they are now. Raises Missing where one is not theirs."""
    mine = {row.public_id: row for row in queries.purchases(visitor().customer.id)}
    rows = [mine[one] for one in choice.purchases if one in mine]
    if not rows or len(rows) != len(choice.purchases):
        raise Missing("core.not_found")
    return rows


def _confirm_page(choice: Choice, rows: list[queries.PurchaseRow], *, message: str = "") -> str:
    book = titles.book(visitor().customer.id)
    chosen = next((one for one in book if one.public_id == choice.title), book[0] if book else None)
    return render_template(
        "h5/requests/new.html",
        choice=choice,
        rows=rows,
        sums=breakdown(rows),
        title=chosen,
        form_key=choice.form_key or codes.public_id(),
        has_printer=paper.is_there_for(rows[0].public_id),
        message=message,
    )


def _progress(view: RequestView) -> dict[str, object]:
    """What both forms of C7 show; ``deadline``: until when a cashier may answer."""
    deliveries: tuple[DeliveryRow, ...] = ()
    if view.row.invoice:
        deliveries = queries.invoice(view.row.invoice, customer_id=view.customer_id).deliveries
    hours = timedelta(hours=config().request_expire_hours)
    return {
        "view": view,
        "entries": timeline(view, deliveries),
        "is_open": view.row.state in queries.OPEN,
        "deadline": view.row.changed_at + hours if view.row.state == "awaiting_confirmation" else None,
    }
