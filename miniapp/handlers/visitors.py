"""A signed-in customer as pages see one."""

from dataclasses import dataclass

from miniapp.customers.service import CustomerView


@dataclass(frozen=True)
class Visitor:
    """``is_snapshot``: a page-preview identity of the wallet, which may look and not write."""

    customer: CustomerView
    account: str
    is_snapshot: bool = False
