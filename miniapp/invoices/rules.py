"""Decisions about requests, as functions of values: what may be asked, what comes next, who may confirm."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Purchase:
    """What is known of one sale when somebody asks for its invoice. Amounts in fen, 0 or more.

    ``lines_fen``: the sum of the reported lines, None where nothing was reported.
    """

    paid_fen: int
    limit_fen: int
    claimed_fen: int
    excess_fen: int
    is_revoked: bool
    has_live_claim: bool
    has_lines: bool
    lines_fen: int | None
    amount_fen: int
    occurred_at: datetime

    @property
    def left_fen(self) -> int:
        """What may still be asked for."""
        return 0 if self.excess_fen else max(0, self.limit_fen - self.claimed_fen)


def obstacle(purchase: Purchase, *, window: timedelta, moment: datetime) -> str | None:
    """Why this purchase cannot be asked for now, as a message key; None: it can. A waiting bill is no obstacle."""
    if purchase.is_revoked:
        return "invoices.obstacle.revoked"
    if purchase.limit_fen == 0:
        return "invoices.obstacle.refunded" if purchase.paid_fen else "invoices.obstacle.no_money"
    if purchase.excess_fen:
        return "invoices.obstacle.under_review"
    if purchase.has_live_claim or purchase.left_fen == 0:
        return "invoices.obstacle.asked"
    if purchase.lines_fen is not None and purchase.lines_fen != purchase.amount_fen:
        return "invoices.obstacle.lines_differ"
    if not purchase.has_lines:
        return "invoices.obstacle.no_tax_code"
    if window and moment - purchase.occurred_at > window:
        return "invoices.obstacle.window_passed"
    return None


def next_verb(*, is_proved: bool, asks_cashier: bool, is_approved: bool, state: str) -> str | None:
    """The move that a request takes now, or None where it stays.

    ``is_proved``: every purchase is reconciled as its store wants; ``is_approved``: this very version was approved.
    """
    if not is_proved:
        return None if state == "waiting_reconciliation" else "wait_for_proof"
    if asks_cashier and not is_approved:
        return None if state == "awaiting_confirmation" else "ask_cashier"
    return None if state == "approved" else "approve_at_once"


def confirm_obstacle(
    *,
    state: str,
    version: int,
    asked_version: int,
    is_on_duty: bool,
    may_confirm: bool,
    is_own: bool,
) -> str | None:
    """Why this person's answer changes nothing, as a message key; None: it counts."""
    if not may_confirm or not is_on_duty:
        return "invoices.confirm.not_here"
    if is_own:
        return "invoices.confirm.own"
    if state != "awaiting_confirmation":
        return f"invoices.confirm.{state}"
    if version != asked_version:
        return "invoices.confirm.changed"
    return None


def same_person(staff: Iterable[tuple[str, str]], customer: Iterable[tuple[str, str]]) -> bool:
    """Do a staff member and a customer share a chat identity (app id, open id)?"""
    return bool(set(staff) & set(customer))


def cut(claims: Iterable[tuple[int, int]], *, over_fen: int) -> dict[int, int]:
    """How much of each claim (id, fen), the newest first, must go so that ``over_fen`` less is claimed."""
    cuts: dict[int, int] = {}
    for claim_id, amount_fen in claims:
        if over_fen <= 0:
            break
        cuts[claim_id] = min(amount_fen, over_fen)
        over_fen -= cuts[claim_id]
    return cuts
