"""One turn of a conversation as plain values: who spoke, what was on the table, what is answered."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from miniapp.customers.service import CustomerView
from miniapp.stores.rules import Person


@dataclass(frozen=True)
class Turn:
    """A message from a person. ``topic`` and ``state`` are what the person was last shown, if that was just now."""

    account: str
    platform: str
    app_id: str
    open_id: str
    text: str
    key: str
    """Unique for this message; a repeat of it has the same."""
    public_base: str
    customer: CustomerView
    staff: Person | None = None
    topic: str = ""
    state: Mapping[str, Any] = field(default_factory=dict)

    def page(self, path: str) -> str:
        """The address of a customer page under this account."""
        return f"{self.public_base}/c/{path}?account={self.account}"


@dataclass(frozen=True)
class Reply:
    """What is answered, and what now lies on the table ('' clears it, None leaves it)."""

    text: str
    topic: str | None = ""
    state: Mapping[str, Any] = field(default_factory=dict)
