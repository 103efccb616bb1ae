"""A life account's messages: texts and cards within its window, templates, the menu."""

from collections.abc import Mapping
from typing import Any

from miniapp.chat import senders as port
from miniapp.core.text import say
from miniapp.platforms import alipay, life_account
from miniapp.platforms.http import NoAnswer

# Which words of a sub_code mean what: the exact ones differ by the account's age.
_WINDOW_CLOSED = ("TIME_LIMIT", "OUT_OF_WINDOW", "48", "QUOTA", "LIMIT")
_UNREACHABLE = ("NOT_FOLLOW", "UNFOLLOW", "USER_NOT_EXIST", "RECEIVER", "USER_ID_INVALID")


class AlipaySender:
    """One life account that speaks. It has no picture message and no key against doubles."""

    abilities = port.Abilities(text=True, template=True, link=True)

    def __init__(self, settings: port.AccountSettings) -> None:
        self._wire = alipay.Alipay(
            settings.app_id, settings.app_key, settings.platform_key, settings.gateway_base
        )

    def send_text(self, to: str, text: str) -> port.Answer:
        return self._custom(to, {"msg_type": "text", "text": {"content": text[:1000]}})

    def send_template(
        self, to: str, template_id: str, fields: Mapping[str, str], url: str = "", client_id: str = ""
    ) -> port.Answer:
        context: dict[str, Any] = {name: {"value": value[:120] or "-"} for name, value in fields.items()}
        context |= (
            {"url": url, "action_name": say("platforms.open_link"), "head_color": "#1677ff"} if url else {}
        )
        person = life_account.recipient(to)
        if "open_id" in person:  # this one call names it differently
            person = {"to_open_id": to}
        content = {**person, "template": {"template_id": template_id, "context": context}}
        return self._say("alipay.open.public.message.single.send", content)

    def send_link(self, to: str, link: port.Link) -> port.Answer:
        article = {
            "title": link.heading[:64],
            "desc": link.text[:200],
            "url": link.url,
            "image_url": link.picture_url,
            "action_name": say("platforms.open_link"),
        }
        filled = {name: value for name, value in article.items() if value}
        return self._custom(to, {"msg_type": "image-text", "articles": [filled]})

    def send_picture(self, to: str, png: bytes) -> port.Answer:
        return port.Refused("no_picture_message")

    def set_menu(self, buttons: list[dict[str, object]]) -> port.Answer:
        content = {"type": "text", "button": [_button(one) for one in buttons]}
        answer = self._say("alipay.open.public.menu.modify", content)
        if isinstance(answer, port.Refused):  # a menu is created once, and only changed after that
            return self._say("alipay.open.public.menu.create", content)
        return answer

    def _custom(self, to: str, message: dict[str, Any]) -> port.Answer:
        content = {**life_account.recipient(to), **message, "chat": "0"}
        return self._say("alipay.open.public.message.custom.send", content)

    def _say(self, method: str, content: dict[str, Any]) -> port.Answer:
        try:
            life_account.call(self._wire, method, content)
        except NoAnswer as none:
            return port.Unknown(none.reason, sent=none.sent)
        except life_account.Rejected as no:
            return _refused(no)
        return port.Sent()


def _button(button: Mapping[str, object]) -> dict[str, object]:
    children = button.get("children")
    if isinstance(children, list):
        return {"name": button["name"], "sub_button": [_button(child) for child in children]}
    if "url" in button:
        return {"name": button["name"], "action_type": "link", "action_param": button["url"]}
    return {"name": button["name"], "action_type": "out", "action_param": button["key"]}


def _refused(no: life_account.Rejected) -> port.Answer:
    if no.code == "20000":
        return port.Unknown("refused")
    word = no.sub_code.upper()
    unreachable = any(part in word for part in _UNREACHABLE)
    closed = not unreachable and any(part in word for part in _WINDOW_CLOSED)
    return port.Refused(
        no.sub_code or no.code,
        again=no.code == "40005",
        window_closed=closed,
        unreachable=unreachable,
        alarm=no.code != "40005" and not (closed or unreachable),
        words=no.words,
    )


KIND = AlipaySender
