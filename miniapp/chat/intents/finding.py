"""开票 领取码 金额: claim a purchase by the slip's code and the exact amount."""

from miniapp.chat.intents import asking
from miniapp.chat.intents.words import amount_fen, folded
from miniapp.chat.turns import Reply, Turn
from miniapp.core.errors import Failure
from miniapp.core.text import say
from miniapp.payments import claiming


def by_code(turn: Turn) -> Reply | None:
    """The words 开票 or 发票, a code, an amount."""
    words = folded(turn.text).split(" ")
    if len(words) < 3 or words[0] not in ("开票", "发票", "领取"):
        return None
    fen = amount_fen(words[-1])
    if fen is None:
        return Reply(say("chat.claim_help"))
    try:
        purchase = claiming.by_code(
            turn.customer.id, "".join(words[1:-1]), fen, address=f"chat:{turn.open_id}"
        )
    except Failure as failure:
        return Reply(failure.message)
    return asking.propose(turn, purchase)
