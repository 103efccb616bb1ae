"""What can be said, and the way to a person."""

from miniapp.chat.intents.words import folded
from miniapp.chat.turns import Reply, Turn
from miniapp.core.text import say
from miniapp.invoices import queries


def person(turn: Turn) -> Reply | None:
    """人工: the store's own people, with the number of the last request."""
    if folded(turn.text) not in ("人工", "客服", "转人工"):
        return None
    last = queries.last_request(turn.customer.id)
    if last is None:
        return Reply(say("chat.person"))
    view = queries.request(last.public_id, customer_id=turn.customer.id)
    return Reply(
        say(
            "chat.person_of_store",
            store=last.store_name,
            phone=view.store_phone or say("chat.at_the_counter"),
            hours=view.service_hours or say("chat.opening_hours"),
            code=last.code,
        )
    )


def menu(turn: Turn) -> Reply:
    """What this person can say."""
    understood = folded(turn.text) in ("帮助", "?", "HELP", "菜单", "你好", "您好", "")
    text = say("chat.help" if understood else "chat.not_understood")
    if turn.staff is not None:
        text = f"{text}\n{say('chat.staff_help')}"
    return Reply(text, None)
