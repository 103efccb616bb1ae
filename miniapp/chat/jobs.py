"""What the worker may call in this room."""

from datetime import timedelta
from functools import partial

from miniapp.chat import dialogue, menus, notices, sending
from miniapp.config import Config
from miniapp.outbox.jobs import Done, Job, Local, Outcome, Outside, Task


def jobs(config: Config) -> dict[str, Job]:
    """Job name → job."""
    base = config.public_base
    return {
        "chat.ask_cashiers": Local(
            partial(
                notices.ask_cashiers,
                public_base=base,
                remind=timedelta(seconds=config.cashier_remind_seconds),
                pass_on=timedelta(seconds=config.cashier_next_seconds),
            )
        ),
        "chat.escalate": Local(partial(notices.escalate, public_base=base)),
        "chat.tell_outcome": Local(partial(notices.tell_outcome, public_base=base)),
        "chat.tell_issued": Local(partial(notices.tell_issued, public_base=base)),
        "chat.tell_delivery": Local(partial(notices.tell_delivery, public_base=base)),
        "chat.send": Outside(call=sending.send, query=sending.query, max_attempts=20),
        "chat.put_menu": Outside(
            call=partial(menus.put, public_base=base), query=menus.again, max_attempts=20
        ),
        "chat.forget_old": Local(_forget_old),
    }


def _forget_old(_task: Task) -> Outcome | None:
    return Done(str(dialogue.forget_old()))
