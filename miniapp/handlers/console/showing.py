"""How the console shows things: ages, who did it, the shape of a state. Templates call it ``show``."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation

from miniapp.core.clock import beijing, now
from miniapp.core.text import catalogue, say
from miniapp.stores.staffing import RoleRow

TONES = {
    "good": (
        "issued",
        "paid",
        "refunded",
        "printed",
        "delivered",
        "done",
        "sent",
        "vouched",
        "matched",
        "closed",
    ),
    "work": (
        "approved",
        "issuing",
        "queued",
        "claimed",
        "sending",
        "calling",
        "paying",
        "refunding",
        "leased",
        "ready",
    ),
    "wait": (
        "draft",
        "waiting_reconciliation",
        "awaiting_confirmation",
        "waiting",
        "carried_over",
        "submitted",
        "asked",
    ),
    "warn": (
        "unknown",
        "uncertain",
        "blocked",
        "stale",
        "open",
        "reversing",
        "reopening",
        "cancelling",
        "not_printed",
    ),
    "bad": ("failed", "rejected", "dead", "revoked", "partly_reversed", "reversed"),
    "off": ("cancelled", "expired", "dropped", "diverted"),
}
_TONE_OF = {state: tone for tone, states in TONES.items() for state in states}


def tone(state: str) -> str:
    """The shape and colour of a state: good, work, wait, warn, bad or off."""
    return _TONE_OF.get(state, "off")


def age(moment: datetime | None) -> str:
    """How long ago, in one unit: 刚刚, 12 分钟, 3 小时, 4 天."""
    if moment is None:
        return ""
    return span(int((now() - moment).total_seconds()))


def until(moment: datetime) -> str:
    """How long there is still, or how long it is over."""
    seconds = int((moment - now()).total_seconds())
    return (
        say("console.left", span=span(seconds)) if seconds >= 0 else say("console.over", span=span(-seconds))
    )


def is_past(moment: datetime) -> bool:
    """Is the moment behind us?"""
    return moment < now()


def span(seconds: int) -> str:
    """A span of time in one unit."""
    if seconds < 60:
        return say("console.moment")
    if seconds < 3600:
        return say("console.minutes", count=seconds // 60)
    if seconds < 172_800:
        return say("console.hours", count=seconds // 3600)
    return say("console.days", count=seconds // 86_400)


def clock(moment: datetime) -> str:
    """Date and time to the second, for tables that are read as evidence."""
    return f"{beijing(moment):%Y-%m-%d %H:%M:%S}"


def who(audit_name: str, names: Mapping[str, str] | None = None) -> str:
    """Who did it, in words; ``names``: staff code → name."""
    side, _, code = audit_name.partition(":")
    if side == "staff":
        return (names or {}).get(code, code)
    return say(f"console.who.{side}", code=code) if side in ("customer", "terminal", "system") else audit_name


def heard(what: str, value: str) -> str:
    """A word of a terminal's report in Chinese; a word that we do not know as it came; nothing reported: —."""
    if not value:
        return "—"
    return catalogue().get(f"console.{what}.{value.lower()}", value[:20])


def paper(reasons: Sequence[str], printer: str) -> str:
    """What the report says of the paper. No word about it from a printer that reports is good news."""
    if any("empty" in reason for reason in reasons):
        return say("console.paper.empty")
    if any("low" in reason for reason in reasons):
        return say("console.paper.low")
    return say("console.paper.good") if printer else "—"


def rate(text: str) -> str:
    """A tax rate as people write it: 0.13 → 13%, 0.015 → 1.5%."""
    try:
        return f"{(Decimal(text) * 100).normalize():f}%"
    except InvalidOperation:
        return text


def job(name: str) -> str:
    """What a recorded work is for; a job without a word by its own name."""
    return catalogue().get(f"console.job.{name}", name)


def subject(name: str) -> str:
    """What a line of the trail is about; a subject without a word by its own name."""
    return catalogue().get(f"console.subject.{name}", name)


def verb(name: str) -> str:
    """What was done; a verb without a word by its own name."""
    return catalogue().get(f"console.verb.{name}", name)


def state(about: str, name: str) -> str:
    """A state of a line of the trail, in the words of its own machine; one without a word by its own name."""
    family = {"request": "invoices.state", "print_job": "printing.state"}.get(about, "console.state")
    return catalogue().get(f"{family}.{name}", name)


def why(text: str) -> str:
    """A reason of a line of the trail: the few that the program writes in words, a person's own as they are."""
    return catalogue().get(f"console.why.{text}", text)


def roles(rows: Sequence[RoleRow]) -> str:
    """Roles in words, each with its place: 收银员（南京路店）."""
    return say("console.between").join(
        say(f"console.role.{row.role}", place=row.place or say("console.everywhere")) for row in rows
    )


def chats(kinds: Sequence[str]) -> str:
    """Which chats a person has bound."""
    words = [catalogue().get(f"console.chat.{kind}", kind) for kind in dict.fromkeys(kinds)]
    return say("console.between").join(words) if words else say("console.unbound")


def obstacle(reason: str) -> str:
    """Why a print job stands: a message key in its words, anything else as the printer said it."""
    return catalogue().get(f"console.obstacle.{reason}", catalogue().get(reason, reason))


def platform(name: str) -> str:
    """A platform's name; one without a word by its own name."""
    return catalogue().get(f"console.platform.{name}", name)


def tender(name: str) -> str:
    """What a part of a payment was made with."""
    return catalogue().get(f"console.tender.{name}", name)
