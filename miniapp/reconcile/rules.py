"""Pure decisions of reconciliation: what is carried over, what a person may do about it, and what follows from that."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

ONE_SIDED = frozenset({"ledger_only", "bill_only"})
REASONS = (
    "ledger_only",
    "bill_only",
    "amount_differs",
    "status_differs",
    "fee_differs",
    "duplicate_in_bill",
    "duplicate_in_ledger",
)
TURNED_UP = "turned_up"
"""``settled_how`` of a difference that ended by itself: both sides are there and agree."""
MET = "met"
"""The same, where both sides were there at once, on two days: remembered, so that neither day asks for it again."""
BY_ITSELF = frozenset({TURNED_UP, MET})

WRITE_OFF_LIMIT_FEN = 100
Number = tuple[str, str, str]
"""(kind, out_trade_no, out_refund_no): what a difference is about."""

_RESOLVES: dict[str, frozenset[str]] = {
    "supplement": frozenset({"bill_only"}),
    "accept_ledger": frozenset(REASONS),
    "accept_bill": frozenset(REASONS) - {"bill_only"},
    "adjust": frozenset({"amount_differs", "fee_differs", "bill_only", "duplicate_in_bill"}),
    "write_off": frozenset({"amount_differs", "fee_differs", "bill_only"}),
    "hold": frozenset(REASONS),
}


@dataclass(frozen=True)
class Found:
    """A number on which the ledger and the bill of one date disagree. A missing side has None fen."""

    kind: str
    out_trade_no: str
    out_refund_no: str
    reasons: tuple[str, ...]
    ledger_fen: int | None
    bill_fen: int | None
    transaction_id: int | None = None
    store_id: int | None = None
    bill_file_id: int | None = None
    bill_line: int | None = None
    bill_row: dict[str, Any] = field(default_factory=dict)

    @property
    def number(self) -> Number:
        """What it is about."""
        return self.kind, self.out_trade_no, self.out_refund_no

    @property
    def is_one_sided(self) -> bool:
        """Is one side simply missing? Only then may it be carried over."""
        return is_one_sided(self.reasons)


KINDS = tuple(_RESOLVES)
"""Kinds of resolution."""


def is_one_sided(reasons: Iterable[str]) -> bool:
    """Is the one reason that a side is missing?"""
    found = list(reasons)
    return len(found) == 1 and found[0] in ONE_SIDED


def state_of(
    reasons: Iterable[str], *, since: date, as_of: date, carry_days: int, is_held: bool = False
) -> str:
    """carried_over while a missing side may still come (or a person holds it), else open.

    as_of: the newest bill date that has been run for the account.
    """
    if is_held:
        return "carried_over"
    return "carried_over" if is_one_sided(reasons) and (as_of - since).days <= carry_days else "open"


def may_resolve(
    kind: str, reasons: Iterable[str], *, ledger_fen: int | None, bill_fen: int | None
) -> str | None:
    """The key of why this kind of resolution does not fit the difference; None: it does."""
    if kind not in _RESOLVES:
        return "reconcile.resolve.unknown_kind"
    if not set(reasons) <= _RESOLVES[kind]:
        return "reconcile.resolve.does_not_fit"
    if kind == "write_off" and abs((ledger_fen or 0) - (bill_fen or 0)) > WRITE_OFF_LIMIT_FEN:
        return "reconcile.resolve.above_limit"
    return None


def fitting(reasons: Iterable[str], *, ledger_fen: int | None, bill_fen: int | None) -> list[str]:
    """The kinds of resolution that fit a difference, the likeliest first."""
    return [
        kind
        for kind in _RESOLVES
        if may_resolve(kind, reasons, ledger_fen=ledger_fen, bill_fen=bill_fen) is None
    ]


def blocks_after(kind: str, reasons: Iterable[str], *, ledger_fen: int | None, bill_fen: int | None) -> bool:
    """Does the transaction stay uninvoiceable once this was approved?

    It does where the bill is believed against it: the sale was not paid, was taken back, or was smaller than reported.
    """
    if kind != "accept_bill":
        return False
    found = set(reasons)
    if found & {"ledger_only", "status_differs", "duplicate_in_ledger"}:
        return True
    return "amount_differs" in found and (bill_fen or 0) < (ledger_fen or 0)


def fee_due_fen(settled_fen: int, rate: str) -> int:
    """The fee of a payment by its account's rate (``0.006``), rounded half up to the fen."""
    return int((settled_fen * Decimal(rate)).quantize(Decimal(1), ROUND_HALF_UP))
