"""The kinds of failure. Each carries a message key and its values; doors turn them into pages, JSON or chat.

A failure always means: nothing has changed.
"""

from typing import Any

from miniapp.core.text import say


class Failure(Exception):
    """Base. ``key`` names the sentence in the catalogues, ``values`` fill it."""

    status = 400

    def __init__(self, key: str, **values: Any) -> None:
        super().__init__(key)
        self.key = key
        self.values = values

    @property
    def message(self) -> str:
        """What happened and what to do next, in the reader's language."""
        return say(self.key, **self.values)

    @property
    def code(self) -> str:
        """Upper-case code for machines, from the last part of the key."""
        return self.key.rsplit(".", 1)[-1].upper()

    def __str__(self) -> str:
        return self.message


class Invalid(Failure):
    """The input is wrong. ``fields`` maps a field to its (code, message) pairs."""

    status = 422

    def __init__(
        self, key: str, fields: dict[str, list[tuple[str, str]]] | None = None, **values: Any
    ) -> None:
        super().__init__(key, **values)
        self.fields = fields or {}


class Unsigned(Failure):
    """Nobody we know: missing or wrong signature, session or key."""

    status = 401


class Forbidden(Failure):
    """Known, but not allowed."""

    status = 403


class Missing(Failure):
    """Not there, or not theirs: the two look the same."""

    status = 404


class Refused(Failure):
    """A rule says no."""

    status = 409


class Again(Refused):
    """It has been done already; the message says by whom and when."""


class TooOften(Failure):
    """A limit has been reached; ``retry_after`` in seconds."""

    status = 429

    def __init__(self, key: str, *, retry_after: int, **values: Any) -> None:
        super().__init__(key, retry_after=retry_after, minutes=max(1, (retry_after + 59) // 60), **values)
        self.retry_after = retry_after


class Unavailable(Failure):
    """Something outside does not answer now; trying again later is right."""

    status = 503
