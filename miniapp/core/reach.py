"""How far a person's roles reach, as ids that a query can ask for."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Reach:
    """Everywhere, or these stores and companies. ``store_ids`` holds the stores of the companies too."""

    is_everywhere: bool = False
    store_ids: frozenset[int] = frozenset()
    company_ids: frozenset[int] = frozenset()
