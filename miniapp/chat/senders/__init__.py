"""Port to a person's chat: texts, templates, links and pictures. One file here is one kind of account.

Whoever writes the text has put a customer's words through ``core.text.one_line``; a sender only cuts to the limits.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from miniapp.core import kinds
from miniapp.customers.logins import AccountSettings as AccountSettings


@dataclass(frozen=True)
class Sent:
    """The platform took it. ``ref`` names it in the platform's later report (template messages)."""

    ref: str = ""


@dataclass(frozen=True)
class Refused:
    """Not sent. ``window_closed``: no quota of this kind of message now, another kind may do."""

    code: str
    again: bool = False
    window_closed: bool = False
    unreachable: bool = False  # the person does not follow, or is not known
    alarm: bool = False  # our settings or our template are wrong
    words: str = ""


@dataclass(frozen=True)
class Unknown:
    """May have been sent. Only a message with ``client_id`` may be repeated within ten minutes."""

    reason: str
    sent: bool = True
    again: bool = True


Answer = Sent | Refused | Unknown


@dataclass(frozen=True)
class Abilities:
    """What this kind of account can do; a notice picks its kind of message from it."""

    text: bool = True
    template: bool = False
    deduplicates: bool = False  # a repeated client_id within ten minutes is one message
    picture: bool = False
    link: bool = False


@dataclass(frozen=True)
class Link:
    """A card that opens a page. Texts are cut to the platform's limits."""

    heading: str
    text: str
    url: str
    picture_url: str = ""


class Sender(Protocol):
    """One chat account that can speak."""

    abilities: Abilities

    def __init__(self, settings: AccountSettings) -> None: ...

    def send_text(self, to: str, text: str) -> Answer: ...

    def send_template(
        self, to: str, template_id: str, fields: Mapping[str, str], url: str = "", client_id: str = ""
    ) -> Answer:
        """``fields`` by the platform's name (``thing4``); each is cut to the limits of its kind."""

    def send_link(self, to: str, link: Link) -> Answer: ...

    def send_picture(self, to: str, png: bytes) -> Answer: ...

    def set_menu(self, buttons: list[dict[str, object]]) -> Answer:
        """Put the account's menu: ``{"name", "url" | "key", "children"}``."""


def of(settings: AccountSettings) -> Sender:
    """The sender of an account. Raises LookupError for a kind without a file here."""
    sender: Sender = kinds.one(__name__, settings.kind)(settings)
    return sender
