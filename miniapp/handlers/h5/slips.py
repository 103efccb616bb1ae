"""C3 a purchase that is not in the list: by the slip's address (POST only) or by claim code and amount."""

from unicodedata import normalize

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from miniapp.core.errors import Failure, Invalid
from miniapp.core.money import NotAnAmount, parse_yuan
from miniapp.handlers.guards import address, customer_only, visitor
from miniapp.payments import claiming, slips

door = Blueprint("slips", __name__)


@door.get("/find")
@customer_only
def find() -> str:
    """C3 找不到？"""
    return render_template("h5/slips/find.html", values={}, failure=None)


@door.post("/find")
@customer_only
def look_up() -> Response | tuple[str, int]:
    """Claim by code and exact amount; every miss looks the same."""
    code, amount = request.form.get("code", "")[:40], request.form.get("amount", "")[:40]
    try:
        found = claiming.by_code(visitor().customer.id, code, _amount(amount), address())
    except Failure as failure:
        values = {"code": code, "amount": amount}
        return render_template("h5/slips/find.html", values=values, failure=failure), failure.status
    return redirect(url_for("h5.purchases.choose", p=found), 303)


@door.get("/slip/<token>")
@customer_only
def show(token: str) -> str:
    """Where the slip's QR code leads: one button. Looking at it claims nothing."""
    slips.read_token(token)
    return render_template("h5/slips/show.html", token_text=token)


@door.post("/slip/<token>")
@customer_only
def claim(token: str) -> Response:
    """Take the purchase of the slip, then ask for its invoice."""
    found = claiming.by_slip(visitor().customer.id, token)
    return redirect(url_for("h5.requests.new", p=found), 303)


def _amount(text: str) -> int:
    """What people type for yuan: ¥, blanks, thousands commas and wide digits are let through. Raises Invalid."""
    typed = normalize("NFKC", text).replace(",", "").replace("¥", "").replace("元", "")
    try:
        return parse_yuan("".join(typed.split()))
    except NotAnAmount as wrong:
        raise Invalid("h5.bad_amount", {"amount": []}) from wrong
