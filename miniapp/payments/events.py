"""Facts that others may hear. Values are ids and plain numbers."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TransactionRecorded:
    """A sale or refund has entered the ledger."""

    transaction_id: int
    kind: str


@dataclass(frozen=True)
class LimitLowered:
    """A purchase's invoiceable amount fell (refund, revocation, correction) and requests may have changed."""

    transaction_id: int
    limit_fen: int


@dataclass(frozen=True)
class Vouched:
    """An order query has answered about a sale; ``is_good`` when it proved the payment."""

    transaction_id: int
    is_good: bool


@dataclass(frozen=True)
class PurchaseClaimed:
    """A customer has bound a purchase."""

    transaction_id: int
    customer_id: int


@dataclass(frozen=True)
class ChargeUnknown:
    """A charge's outcome is still unknown at its deadline: staff see it until it is settled."""

    charge_id: int
