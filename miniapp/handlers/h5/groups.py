"""Rows as the customer's pages group and add them up: plain values in, plain values out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from miniapp.invoices.queries import OPEN, PurchaseRow, RequestRow


@dataclass(frozen=True)
class Breakdown:
    """How the amounts of some purchases lead from the order to what can be invoiced; adds up to the fen.

    ``other_fen``: what neither the customer, the merchant nor the platform paid. ``counted_discount_fen``: the part
    of the platform's discount that the store's rule invoices.
    """

    amount_fen: int
    merchant_discount_fen: int
    platform_discount_fen: int
    other_fen: int
    paid_fen: int
    counted_discount_fen: int
    refunded_fen: int
    left_fen: int


def breakdown(rows: Sequence[PurchaseRow]) -> Breakdown:
    """The sums over purchases that can be asked for, so that nothing of them is claimed yet."""
    amount_fen = sum(row.amount_fen for row in rows)
    merchant_fen = sum(row.merchant_discount_fen for row in rows)
    platform_fen = sum(row.platform_discount_fen for row in rows)
    paid_fen = sum(row.paid_fen for row in rows)
    refunded_fen = sum(row.refunded_fen for row in rows)
    left_fen = sum(row.left_fen for row in rows)
    return Breakdown(
        amount_fen=amount_fen,
        merchant_discount_fen=merchant_fen,
        platform_discount_fen=platform_fen,
        other_fen=amount_fen - merchant_fen - platform_fen - paid_fen,
        paid_fen=paid_fen,
        counted_discount_fen=left_fen + refunded_fen - paid_fen,
        refunded_fen=refunded_fen,
        left_fen=left_fen,
    )


def by_company(rows: Iterable[PurchaseRow]) -> dict[str, list[PurchaseRow]]:
    """Purchases by the company that sold them, what can be asked for first; company name → rows."""
    groups: dict[str, list[PurchaseRow]] = {}
    for row in sorted(rows, key=lambda one: one.obstacle is not None):
        groups.setdefault(row.company_name, []).append(row)
    return groups


def sections(rows: Iterable[RequestRow]) -> list[tuple[str, list[RequestRow]]]:
    """Requests under way, issued, ended without an invoice; empty sections are left out."""
    groups: dict[str, list[RequestRow]] = {"open": [], "issued": [], "ended": []}
    for row in rows:
        state = "open" if row.state in OPEN and row.invoice is None else "issued" if row.invoice else "ended"
        groups[state].append(row)
    return [(name, found) for name, found in groups.items() if found]
