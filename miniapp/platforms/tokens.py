"""Access tokens of other systems: kept, shared, and refreshed by one caller at a time.

``use`` puts another store in place of this process's memory, so that several processes share one token.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from miniapp.core import clock

MARGIN = timedelta(seconds=60)


@dataclass(frozen=True)
class Token:
    """A token and when it ends (aware UTC)."""

    value: str = field(repr=False)
    expires_at: datetime


class TokenStore(Protocol):
    """Where tokens are kept. ``name`` says whose: ``wechat:<app id>``."""

    def get(self, name: str) -> Token | None: ...

    def put(self, name: str, token: Token) -> None: ...


class InMemory:
    """The store of one process."""

    def __init__(self) -> None:
        self._tokens: dict[str, Token] = {}

    def get(self, name: str) -> Token | None:
        return self._tokens.get(name)

    def put(self, name: str, token: Token) -> None:
        self._tokens[name] = token


_store: TokenStore = InMemory()
_flights: dict[str, threading.Lock] = {}
_guard = threading.Lock()


def use(store: TokenStore) -> None:
    """Keep tokens there from now on."""
    global _store
    _store = store


def current(name: str, fetch: Callable[[], Token], *, refused: str = "") -> str:
    """The token to use now. ``refused``: the value that was just turned down; it is replaced, by one caller only.

    Raises what ``fetch`` raises.
    """
    found = _usable(name, refused)
    if found:
        return found
    with _flight(name):
        found = _usable(name, refused)  # somebody else may have been faster
        if found:
            return found
        token = fetch()
        _store.put(name, token)
        return token.value


def lasting(value: str, seconds: int) -> Token:
    """A token that the other side says lives so many seconds from now."""
    return Token(value, clock.now() + timedelta(seconds=seconds))


def is_live(token: Token) -> bool:
    """Has it more than the margin left?"""
    return token.expires_at - clock.now() > MARGIN


def _usable(name: str, refused: str) -> str:
    token = _store.get(name)
    if token is None or token.value == refused or not is_live(token):
        return ""
    return token.value


def _flight(name: str) -> threading.Lock:
    with _guard:
        return _flights.setdefault(name, threading.Lock())
