"""Put the menu of each chat account where it differs from what was put last."""

from miniapp.chat import menu, senders, sending
from miniapp.chat.senders import Refused, Sent
from miniapp.outbox.jobs import Dead, Done, Later, NeverArrived, Outcome, Task
from miniapp.stores import service as stores


def put(task: Task, *, public_base: str) -> Outcome | None:
    """Work: the whole menu of one account; putting it twice is harmless."""
    view = stores.chat_account(task.payload["account"])
    sender = senders.of(sending.settings_of(view.app_id))
    answer = sender.set_menu(menu.buttons(public_base, view.code))
    if isinstance(answer, Sent):
        return Done("put")
    if isinstance(answer, Refused):
        return Later(answer.code) if answer.again else Dead(f"{answer.code} {answer.words}")
    return Later(answer.reason)


def again(_task: Task) -> Outcome | None:
    """A menu is replaced as a whole: a lost answer is settled by putting it again."""
    return NeverArrived("a menu may be put again")
