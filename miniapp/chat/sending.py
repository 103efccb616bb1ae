"""Send a recorded notice: by what the platform's quota allows, and never twice by guessing."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from miniapp import db
from miniapp.chat import senders
from miniapp.chat.models import Notice
from miniapp.chat.senders import AccountSettings, Answer, Link, Refused, Sender, Sent
from miniapp.core import files
from miniapp.core.clock import now
from miniapp.core.text import say
from miniapp.customers import logins
from miniapp.invoices import delivering
from miniapp.outbox.jobs import Done, Later, NeverArrived, Outcome, Task
from miniapp.stores import service as stores

DEDUPLICATED = timedelta(minutes=9)


@dataclass(frozen=True)
class Letter:
    """A notice on its way."""

    id: int
    app_id: str
    open_id: str
    content: dict[str, Any]
    state: str
    way: str
    created_at: datetime

    @property
    def prefers_template(self) -> bool:
        """A cashier's notice is a template message always; a customer's has a picture, so a service message first."""
        return self.content.get("template") == "template_confirm"


def send(task: Task) -> Outcome | None:
    """Work, first time."""
    letter = _letter(task.payload["notice_id"])
    if letter.state != "waiting":
        return Done(letter.state)
    account = settings_of(letter.app_id)
    sender = senders.of(account)
    way, answer = _send(letter, account, sender)
    return _file(letter, way, answer)


def query(task: Task) -> Outcome | None:
    """Work, when a send may have gone out unrecorded. Only a template with its own id may be repeated, for a while."""
    letter = _letter(task.payload["notice_id"])
    if letter.state != "waiting":
        return Done(letter.state)
    sender = senders.of(settings_of(letter.app_id))
    is_recent = now() - letter.created_at < DEDUPLICATED
    if sender.abilities.deduplicates and is_recent and letter.prefers_template:
        return NeverArrived("the platform deduplicates by our id")
    _settle(letter, "unknown", letter.way, "answer lost")
    return Done("unknown")


def settings_of(app_id: str) -> AccountSettings:
    """A chat account as its sender wants it."""
    return logins.settings_of(stores.chat_account_of_app(app_id))


def _send(letter: Letter, account: AccountSettings, sender: Sender) -> tuple[str, Answer]:
    """What the notice prefers; the other kind where the platform's quota for the first is closed."""
    content = letter.content
    if "words" in content:
        return "service", sender.send_text(letter.open_id, plain(content["words"]))
    template = getattr(account, content["template"], "") if sender.abilities.template else ""
    if letter.prefers_template and template:
        return "template", _template(letter, sender, template)
    answer = _service(letter, sender)
    if template and isinstance(answer, Refused) and answer.window_closed:
        return "template", _template(letter, sender, template)
    return "service", answer


def _template(letter: Letter, sender: Sender, template: str) -> Answer:
    content = letter.content
    return sender.send_template(
        letter.open_id, template, content["fields"], url=content["url"], client_id=content["client_id"]
    )


def plain(text: str) -> str:
    """Links as an address in brackets, for platforms whose texts carry no markup."""
    return re.sub(r'<a href="([^"]*)">([^<]*)</a>', r"\2（\1）", text)


def _service(letter: Letter, sender: Sender) -> Answer:
    content = letter.content
    if content.get("picture") and sender.abilities.picture:
        picture = sender.send_picture(letter.open_id, files.read(content["picture"]))
        if isinstance(picture, Refused) and picture.window_closed:
            return picture
    if sender.abilities.link:
        return sender.send_link(letter.open_id, Link(content["heading"], content["text"], content["url"]))
    return sender.send_text(letter.open_id, f"{content['heading']}\n{content['text']}\n{content['url']}")


def _file(letter: Letter, way: str, answer: Answer) -> Outcome:
    if isinstance(answer, Sent):
        _settle(letter, "sent", way, answer.ref)
        return Done(way)
    if isinstance(answer, Refused):
        if answer.again:
            return Later(answer.code)
        _settle(letter, "refused", way, f"{answer.code} {answer.words}")
        return Done(f"refused {answer.code}")
    if not answer.sent:
        return NeverArrived(answer.reason)
    return Later(answer.reason)


def _settle(letter: Letter, state: str, way: str, detail: str) -> None:
    with db.transaction() as session:
        notice = session.get_one(Notice, letter.id, with_for_update=True)
        if notice.state != "waiting":
            return
        notice.state, notice.way, notice.detail = state, way, detail[:200]
        notice.sent_at = now() if state == "sent" else None
        if notice.subject == "invoice" and notice.key.startswith("issued:"):
            verbs = {"sent": "send", "refused": "fail", "unknown": "lose_answer"}
            told = "" if state == "sent" else say(f"chat.not_told.{state}")
            delivering.record_in(session, notice.subject_id, "chat", verbs[state], detail=told)


def _letter(notice_id: int) -> Letter:
    with db.reading() as session:
        notice = session.get_one(Notice, notice_id)
        return Letter(
            notice.id,
            notice.app_id,
            notice.open_id,
            notice.content,
            notice.state,
            notice.way,
            notice.created_at,
        )
