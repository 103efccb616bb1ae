"""Small values that several processes share for a while, wrapped: tokens of platforms."""

from datetime import datetime

from miniapp import db
from miniapp.core import vault
from miniapp.core.models import SharedValue


def get(name: str) -> tuple[str, datetime] | None:
    """A value and when it ends, or None."""
    with db.reading() as session:
        row = session.get(SharedValue, name)
        return None if row is None else (vault.unwrap(row.value, name=f"shared:{name}"), row.expires_at)


def put(name: str, value: str, expires_at: datetime) -> None:
    """Keep a value; the newest counts."""
    with db.transaction() as session:
        session.merge(
            SharedValue(name=name, value=vault.wrap(value, name=f"shared:{name}"), expires_at=expires_at)
        )
