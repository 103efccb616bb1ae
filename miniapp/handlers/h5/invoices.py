"""C8 the invoice: picture, number, deliveries, files by a short-lived link and the owner's session."""

from flask import Blueprint, Response, redirect, render_template, url_for
from werkzeug.wrappers import Response as AnyResponse

from miniapp.core import files
from miniapp.core.errors import Missing, Refused
from miniapp.handlers.browsers import config
from miniapp.handlers.guards import customer_only, visitor
from miniapp.handlers.h5 import links
from miniapp.invoices import delivering, paper, queries

MEDIA = {"pdf": "application/pdf", "png": "image/png", "ofd": "application/ofd", "xml": "application/xml"}
door = Blueprint("invoices", __name__, url_prefix="/invoices")


@door.get("/<public_id>")
@customer_only
def show(public_id: str) -> str:
    """C8 发票."""
    mine = visitor().customer.id
    view = queries.invoice(public_id, customer_id=mine)
    minutes = config().document_link_minutes
    addresses = {role: links.sign(view.public_id, role, mine, minutes=minutes) for role in view.files}
    can_print = (
        "pdf" in view.files
        and all(one.way != "printer" for one in view.deliveries)
        and paper.printer_of_store(view.store_id) is not None
    )
    return render_template(
        "h5/invoices/show.html", view=view, links=addresses, can_print=can_print, minutes=minutes
    )


@door.get("/<public_id>/files/<role>/<until>/<signature>")
@customer_only
def file(public_id: str, role: str, until: str, signature: str) -> Response | tuple[str, int]:
    """A file of the customer's own invoice, while its link is young; afterwards the way to a new link."""
    mine = visitor().customer.id
    view = queries.invoice(public_id, customer_id=mine)
    if role not in view.files or not links.is_ours(public_id, role, mine, until=until, signature=signature):
        raise Missing("core.not_found")
    if links.has_expired(until):
        return render_template("h5/invoices/expired.html", view=view), 410
    response = Response(
        files.read(view.files[role]), content_type=MEDIA.get(role, "application/octet-stream")
    )
    name = f"{view.number}.{role}"
    response.headers["Content-Disposition"] = links.disposition(name, seller=view.seller.get("name", ""))
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["X-Robots-Tag"] = "noindex"
    return response


@door.post("/<public_id>/print")
@customer_only
def print_in_store(public_id: str) -> AnyResponse:
    """店内打印, once; extra copies are the store's affair."""
    mine = visitor().customer.id
    view = queries.invoice(public_id, customer_id=mine)
    printer_id = paper.printer_of_store(view.store_id)
    if printer_id is None:
        raise Refused("invoices.no_printer")
    delivering.print_for(mine, public_id, printer_id)
    return redirect(url_for(".show", public_id=public_id), 303)
