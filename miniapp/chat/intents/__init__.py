"""What people may say, in the order in which it is tried. Each intent answers a turn or passes it on with None."""

from collections.abc import Callable

from miniapp.chat.intents import asking, cashier, finding, helping, progress, titling
from miniapp.chat.turns import Reply, Turn

Intent = Callable[[Turn], Reply | None]

INTENTS: tuple[Intent, ...] = (
    cashier.answer,
    cashier.bind,
    cashier.duty,
    finding.by_code,
    asking.listing,
    asking.pick,
    asking.submit,
    titling.listing,
    titling.pick,
    titling.paste,
    titling.use,
    progress.show,
    progress.cancel,
    progress.drop,
    helping.person,
)


def reply(turn: Turn) -> Reply:
    """The first intent that understands the turn; help, if none does."""
    for intent in INTENTS:
        answer = intent(turn)
        if answer is not None:
            return answer
    return helping.menu(turn)
