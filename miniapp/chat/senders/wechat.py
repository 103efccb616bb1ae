"""An official account's messages: service messages, template messages, the menu."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from miniapp.chat import senders as port
from miniapp.core.text import say
from miniapp.platforms import official_account
from miniapp.platforms.http import NoAnswer
from miniapp.platforms.official_account import AccountError, OfficialAccount

TEXT_BYTES = 2048
_WINDOW_CLOSED = (45015, 45047)
_UNREACHABLE = (43004, 40003, 43101)
_LATER = (45009, 45011)
# Field kind -> the longest value the platform takes, in characters.
_LONGEST = {
    "thing": 20,
    "character_string": 32,
    "number": 32,
    "letter": 32,
    "symbol": 5,
    "time": 40,
    "date": 40,
    "amount": 14,
    "phone_number": 17,
    "car_number": 8,
    "name": 10,
    "phrase": 5,
    "const": 20,
    "short_thing": 10,
}
_INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]+")


class WechatSender:
    """One official account that speaks."""

    abilities = port.Abilities(text=True, template=True, deduplicates=True, picture=True, link=True)

    def __init__(self, settings: port.AccountSettings) -> None:
        self._settings = settings

    def send_text(self, to: str, text: str) -> port.Answer:
        short = text.encode("utf-8")[:TEXT_BYTES].decode("utf-8", "ignore")
        return self._say(lambda account: account.message.send_text(to, short))

    def send_template(
        self, to: str, template_id: str, fields: Mapping[str, str], url: str = "", client_id: str = ""
    ) -> port.Answer:
        message: dict[str, Any] = {
            "touser": to,
            "template_id": template_id,
            "data": {name: {"value": fitted(name, value)} for name, value in fields.items()},
        }
        if url:
            message["url"] = url
        if client_id:  # wechatpy's own call does not know it
            message["client_msg_id"] = client_id
        return self._say(lambda account: account.post("message/template/send", data=message))

    def send_link(self, to: str, link: port.Link) -> port.Answer:
        article = {
            "title": link.heading[:64],
            "description": link.text[:120],
            "url": link.url,
            "image": link.picture_url,
        }
        return self._say(lambda account: account.message.send_articles(to, [article]))

    def send_picture(self, to: str, png: bytes) -> port.Answer:
        return self._say(lambda account: account.message.send_image(to, account.upload_picture(png)))

    def set_menu(self, buttons: list[dict[str, object]]) -> port.Answer:
        return self._say(lambda account: account.menu.create({"button": [_button(one) for one in buttons]}))

    def _say(self, what: Callable[[OfficialAccount], Any]) -> port.Answer:
        mine = self._settings
        try:
            answer = what(official_account.client(mine.app_id, mine.secret, mine.api_base))
        except NoAnswer as none:
            return port.Unknown(none.reason, sent=none.sent)
        except AccountError as error:
            return _refused(error)
        return port.Sent(str(answer.get("msgid", "")) if isinstance(answer, dict) else "")


def fitted(name: str, value: str) -> str:
    """A template value within its kind's limits (``thing4`` is of kind thing); never empty, never two lines."""
    kind = name.rstrip("0123456789")
    longest = _LONGEST.get(kind, 20)
    clean = _INVISIBLE.sub(" ", value).strip()
    if kind == "character_string":
        clean = re.sub(r"[^\x21-\x7e]", "", clean)
    if kind == "phrase":
        clean = re.sub(r"[^\u4e00-\u9fff]", "", clean)
    if not clean:
        return say("platforms.nothing") if kind == "phrase" else "-"
    if len(clean) <= longest:
        return clean
    return clean[: longest - 1] + "…" if kind in ("thing", "name", "const") else clean[:longest]


def _button(button: Mapping[str, object]) -> dict[str, object]:
    children = button.get("children")
    if isinstance(children, list):
        return {"name": button["name"], "sub_button": [_button(child) for child in children]}
    if "url" in button:
        return {"type": "view", "name": button["name"], "url": button["url"]}
    return {"type": "click", "name": button["name"], "key": button["key"]}


def _refused(error: AccountError) -> port.Refused:
    known = (*_WINDOW_CLOSED, *_UNREACHABLE, *_LATER)
    return port.Refused(
        str(error.code),
        again=error.code in _LATER,
        window_closed=error.code in _WINDOW_CLOSED,
        unreachable=error.code in _UNREACHABLE,
        alarm=error.code not in known,
        words=error.words,
    )


KIND = WechatSender
