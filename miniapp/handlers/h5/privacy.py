"""C11 what is kept, why and for how long; emptying the title book; being forgotten."""

from flask import Blueprint, redirect, render_template, url_for
from werkzeug.wrappers import Response

from miniapp.core import drafts
from miniapp.customers import service as customers
from miniapp.handlers import browsers
from miniapp.handlers.guards import customer_only, public, visitor
from miniapp.titles import service as titles

door = Blueprint("privacy", __name__, url_prefix="/privacy")


@door.get("")
@public
def show() -> str:
    """C11 隐私, for everybody."""
    return render_template("h5/privacy/show.html", who=browsers.customer())


@door.post("/titles")
@customer_only
def remove_titles() -> Response:
    """删除我的抬头: the book is empty afterwards; invoices keep their copies."""
    mine = visitor().customer.id
    titles.remove_all(mine)
    drafts.drop_all(f"customer:{mine}")
    return redirect(url_for("h5.titles.index"), 303)


@door.post("/forget")
@customer_only
def forget() -> Response:
    """忘记我: titles, drafts, links and sessions go; issued invoices stay, as the law wants."""
    mine = visitor().customer.id
    titles.remove_all(mine)
    drafts.drop_all(f"customer:{mine}")
    customers.forget(mine)
    response = redirect(url_for(".forgotten"), 303)
    browsers.drop_cookie(response, "customer")  # type: ignore[arg-type]
    return response


@door.get("/forgotten")
@public
def forgotten() -> str:
    """Said once it is done."""
    return render_template("h5/privacy/forgotten.html")
