"""Short-lived signed addresses of an invoice's files. The owner's session is asked for as well."""

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from flask import url_for

from miniapp.core import vault
from miniapp.core.clock import now

PURPOSE = "document"


def sign(public_id: str, role: str, customer_id: int, *, minutes: int) -> str:
    """The address of a file for this customer, good for some minutes."""
    until = str(int((now() + timedelta(minutes=minutes)).timestamp()))
    signature = vault.sign(PURPOSE, _text(public_id, role, customer_id, until))
    return url_for("h5.invoices.file", public_id=public_id, role=role, until=until, signature=signature)


def is_ours(public_id: str, role: str, customer_id: int, *, until: str, signature: str) -> bool:
    """Have we made this address, for this customer?"""
    return vault.is_signed(PURPOSE, _text(public_id, role, customer_id, until), signature)


def has_expired(until: str) -> bool:
    """Is the time of an address, which is ours, over?"""
    return datetime.fromtimestamp(int(until), UTC) < now()


def disposition(name: str, *, seller: str) -> str:
    """Shown in place; saved under a name with the seller, as RFC 5987 writes it, and a plain one beside."""
    full = quote(f"{seller}-{name}" if seller else name, safe="")
    return f"inline; filename=\"invoice-{name}\"; filename*=UTF-8''{full}"


def _text(public_id: str, role: str, customer_id: int, until: str) -> str:
    return f"{public_id}|{role}|{customer_id}|{until}"
