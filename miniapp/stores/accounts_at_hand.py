"""The chat account behind a door, with its opened keys: remembered for two seconds, because every message asks for it."""

import time
from weakref import WeakKeyDictionary

from miniapp import db
from miniapp.core.errors import Missing
from miniapp.stores import service as stores
from miniapp.stores.service import AccountView

REMEMBERED_SECONDS = 2.0
"""A change of the account, also its end, works in each process after so long."""

_known: WeakKeyDictionary[object, dict[str, tuple[float, AccountView]]] = WeakKeyDictionary()


def account(code: str, *, kind: str) -> AccountView:
    """A chat account of this kind. Raises Missing, which is never remembered."""
    known = _known.setdefault(db.engine(), {})
    until, found = known.get(code, (0.0, None))
    if found is None or time.monotonic() > until:
        known.pop(code, None)
        found = stores.chat_account(code)
        known[code] = (time.monotonic() + REMEMBERED_SECONDS, found)
    if found.kind != kind:
        raise Missing("core.not_found")
    return found
