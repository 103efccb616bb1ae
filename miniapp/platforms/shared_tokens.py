"""Platform tokens in the database, so that several processes use one and the daily quota lasts."""

from miniapp.core import shared
from miniapp.platforms import tokens
from miniapp.platforms.tokens import Token


class InDatabase:
    """A token store that all processes of an installation share; a process remembers what it has read."""

    def __init__(self) -> None:
        self._read = tokens.InMemory()

    def get(self, name: str) -> Token | None:
        """From memory while it lives, else from the database."""
        known = self._read.get(name)
        if known is not None and tokens.is_live(known):
            return known
        found = shared.get(name)
        if found is None:
            return None
        token = Token(*found)
        self._read.put(name, token)
        return token

    def put(self, name: str, token: Token) -> None:
        """For everybody."""
        shared.put(name, token.value, token.expires_at)
        self._read.put(name, token)


def use_database() -> None:
    """Keep tokens in the database from now on."""
    tokens.use(InDatabase())
