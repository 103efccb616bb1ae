"""What proves that a purchase was paid, and what a store's policy asks of that proof. Pure."""

from dataclasses import dataclass
from datetime import datetime

POLICIES = ("vouched", "matched", "closed")


@dataclass(frozen=True)
class Proof:
    """``kind`` is matched | vouched | None. ``obstacle`` is a message key where kind is None, else None.

    ``is_closed``: the company's bill date is closed. ``at``: when the batch was done, or the order query answered.
    """

    kind: str | None
    at: datetime | None = None
    obstacle: str | None = None
    is_closed: bool = False


def satisfies(proof: Proof, invoice_after: str) -> bool:
    """Is the proof enough for a store's ``invoice_after`` (vouched | matched | closed)?"""
    return obstacle_to(proof, invoice_after) is None


def obstacle_to(proof: Proof, invoice_after: str) -> str | None:
    """The message key of what is still missing for the policy; None: nothing. Raises ValueError for another policy."""
    if invoice_after not in POLICIES:
        raise ValueError(invoice_after)
    if proof.kind is None:
        return proof.obstacle
    if invoice_after != "vouched" and proof.kind != "matched":
        return "reconcile.proof.bill_not_here"
    if invoice_after == "closed" and not proof.is_closed:
        return "reconcile.proof.day_not_closed"
    return None


def decide(
    *,
    batch_done_at: datetime | None,
    difference: str | None,
    vouched_at: datetime | None,
    vouch_is_good: bool | None,
    is_closed: bool,
) -> Proof:
    """The rule of the ledger: once its bill is in, the batch alone decides; before, the newest order query.

    difference: the state of a difference that blocks the transaction, None where there is none.
    """
    if difference == "carried_over":
        return Proof(None, obstacle="reconcile.proof.carried_over")
    if difference is not None:
        return Proof(None, obstacle="reconcile.proof.difference")
    if batch_done_at is not None:
        return Proof("matched", at=batch_done_at, is_closed=is_closed)
    if vouch_is_good:
        return Proof("vouched", at=vouched_at)
    if vouch_is_good is False:
        return Proof(None, obstacle="reconcile.proof.not_confirmed")
    return Proof(None, obstacle="reconcile.proof.bill_not_here")
