"""From a request to what the channel is handed: lines, tax and parties, frozen before the call."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from miniapp.core.errors import Refused
from miniapp.invoices import amounts
from miniapp.invoices.channels import Buyer, IssueOrder, Line, Seller
from miniapp.invoices.models import InvoiceRequest
from miniapp.payments.models import TerminalTransaction
from miniapp.stores import service as stores
from miniapp.stores.policy import DefaultLine


def content(session: Session, request: InvoiceRequest, *, clerk: str) -> dict[str, Any]:
    """Everything that the invoice will carry, as plain JSON. Raises Refused where a line has no tax code."""
    rows = [
        row
        for purchase in request.purchases
        for row in amounts.spread(_lines(session, purchase.transaction), purchase.amount_fen)
    ]
    company = request.company
    buyer = request.buyer
    return {
        "kind": request.kind,
        "seller": {
            "taxpayer_no": company.taxpayer_no,
            "name": company.name,
            "address": company.address,
            "phone": company.phone,
            "bank_account": company.bank_account,
        },
        "buyer": {
            name: buyer.get(name, "")
            for name in ("name", "taxpayer_no", "address", "phone", "bank", "account")
        }
        | {"title_type": buyer["type"]},
        "lines": [_line(row) for row in rows],
        "net_fen": sum(row.net_fen for row in rows),
        "tax_fen": sum(row.tax_fen for row in rows),
        "total_fen": sum(row.total_fen for row in rows),
        "clerk": clerk,
        "remark": buyer.get("remark", ""),
    }


def order(
    serial: str, stored: Mapping[str, Any], *, ordered_at: datetime, callback_url: str = ""
) -> IssueOrder:
    """The order as the channel's port wants it, from what was frozen."""
    return IssueOrder(
        serial=serial,
        seller=Seller(**stored["seller"]),
        buyer=Buyer(**stored["buyer"]),
        invoice_kind=stored["kind"],
        lines=tuple(Line(**line) for line in stored["lines"]),
        net_fen=stored["net_fen"],
        tax_fen=stored["tax_fen"],
        total_fen=stored["total_fen"],
        ordered_at=ordered_at,
        clerk=stored["clerk"],
        remark=stored["remark"],
        callback_url=callback_url,
    )


def _lines(session: Session, sale: TerminalTransaction) -> list[amounts.Line]:
    """The sale's lines with code and rate; without them the store's default line over the whole sum."""
    default = stores.policy(session, sale.store_id).default_line
    if not sale.lines:
        return [_default(default, sale.amount_fen, name=None)]
    return [
        amounts.Line(
            name=line.name,
            amount_fen=line.amount_fen,
            tax_rate=Decimal(line.tax_rate),
            tax_category_code=line.tax_category_code,
            unit=line.unit or None,
            quantity=Decimal(line.quantity) if line.quantity else None,
        )
        if line.tax_category_code and line.tax_rate
        else _default(default, line.amount_fen, name=line.name)
        for line in sale.lines
    ]


def _default(default: DefaultLine | None, amount_fen: int, *, name: str | None) -> amounts.Line:
    if default is None:
        raise Refused("invoices.obstacle.no_tax_code")
    return amounts.Line(
        name=name or default.name,
        amount_fen=amount_fen,
        tax_rate=Decimal(default.tax_rate),
        tax_category_code=default.tax_category_code,
        unit=default.unit or None,
    )


def _line(row: amounts.TaxedLine) -> dict[str, Any]:
    """Quantity and price go together or not at all: a channel recomputes what it is given."""
    price = amounts.unit_price(row.net_fen, quantity=row.quantity) if row.quantity else None
    return {
        "name": row.name,
        "tax_category_code": row.tax_category_code or "",
        "tax_rate": f"{row.tax_rate:f}",
        "net_fen": row.net_fen,
        "tax_fen": row.tax_fen,
        "total_fen": row.total_fen,
        "row": row.row,
        "unit": row.unit or "",
        "quantity": f"{row.quantity:f}" if price is not None and row.quantity is not None else "",
        "price": f"{price:f}" if price is not None else "",
    }
