"""Facts that others may hear. Values are ids and plain texts."""

from dataclasses import dataclass


@dataclass(frozen=True)
class BatchReconciled:
    """A run of one merchant account's bill date has been written; ``bill_date`` is ISO."""

    merchant_account_id: int
    bill_date: str


@dataclass(frozen=True)
class DifferenceFound:
    """These transactions are no longer reconciled, or no longer vouched for: a difference stands against them."""

    transaction_ids: list[int]


@dataclass(frozen=True)
class DifferenceSettled:
    """These transactions have no difference against them any more."""

    transaction_ids: list[int]


@dataclass(frozen=True)
class DayClosed:
    """A company's bill date was confirmed by the second person; ``bill_date`` is ISO."""

    company_id: int
    bill_date: str


@dataclass(frozen=True)
class DayReopened:
    """A closed day was opened again by two persons; ``bill_date`` is ISO."""

    company_id: int
    bill_date: str
