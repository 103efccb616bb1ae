"""Messages of the ledger as a phone shows them: one shape for both platforms."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from miniapp.sandbox.screens.hosts import as_seen_by
from miniapp.sandbox.store import Row
from miniapp.sandbox.world import BEIJING, unstamp

ADDRESS = re.compile(r"(https?://[^\s，。；、）)<>\"']+)")
# WeChat shows an anchor in a text as a link; Alipay shows the characters.
ANCHOR = re.compile(r"""<a\s[^>]*?href=["']([^"'>]*)["'][^>]*>(.*?)</a>""", re.S)
EVENT_LINES = {
    "subscribe": "已关注",
    "unsubscribe": "已取消关注",
    "follow": "已关注",
    "unfollow": "已取消关注",
}


def shown(message: Row, entry: Row, account: str) -> dict[str, Any] | None:
    """`{id, time, from: me|them|system, kind: text|card|picture|line, …}`; None: nothing to see.

    A card has `title`, `rows` (label, value), `text`, `url`, `picture`; a text `parts` (text, url or "").
    """
    body, kind = message["body"], message["kind"]
    base = {
        "id": message["id"],
        "time": f"{unstamp(message['at']).astimezone(BEIJING):%m-%d %H:%M}",
        "from": "me" if message["direction"] == "in" else "them",
    }

    def link(url: object) -> str:
        return as_seen_by(entry, str(url or ""), account=account)

    if kind == "event":
        return _event(base, body)
    if kind == "banner":
        return {**base, "from": "system", "kind": "line", "text": body["content"]}
    if kind == "template":
        return {**base, "kind": "card", **_template(body), "url": link(body.get("url"))}
    if kind == "image":
        media = body.get("media_id") or (body.get("Image") or {}).get("MediaId", "")
        return {**base, "kind": "picture", "picture": f"/wechat-api/sandbox/media/{media}"}
    article = _article(body)
    if article is not None:
        return {**base, "kind": "card", **article, "url": link(article["url"])}
    text, is_wechat = str(body.get("content", "")), message["platform"] == "wechat"
    return {**base, "kind": "text", "parts": _with_anchors(text, link) if is_wechat else _parts(text, link)}


def _event(base: dict[str, Any], body: dict[str, Any]) -> dict[str, Any] | None:
    name = str(body.get("Event") or body.get("event") or "").lower()
    line = EVENT_LINES.get(name)
    return {**base, "from": "system", "kind": "line", "text": line} if line else None


def _template(body: dict[str, Any]) -> dict[str, Any]:
    first, *rest = str(body["text"]).split("\n")
    lines = [line for line in rest if line.strip()]
    rows = [[label, value] for label, mark, value in (line.partition("：") for line in lines) if mark]
    return {"title": first, "rows": rows, "text": "\n".join(line for line in lines if "：" not in line)}


def _article(body: dict[str, Any]) -> dict[str, Any] | None:
    found = (body.get("articles") or body.get("Articles") or [None])[0]
    if found is None:
        return None
    get = {name.lower(): value for name, value in found.items()}
    return {
        "title": get.get("title", ""),
        "rows": [],
        "text": get.get("description") or get.get("desc") or "",
        "url": get.get("url", ""),
        "picture": get.get("picurl") or get.get("image_url") or "",
    }


def _with_anchors(text: str, link: Any) -> list[list[str]]:
    parts, at = [], 0
    for anchor in ANCHOR.finditer(text):
        parts += [*_parts(text[at : anchor.start()], link), [anchor[2], link(unescape(anchor[1]))]]
        at = anchor.end()
    return [*parts, *_parts(text[at:], link)]


def _parts(text: str, link: Any) -> list[list[str]]:
    pieces = ADDRESS.split(text)
    return [[piece, link(piece) if at % 2 else ""] for at, piece in enumerate(pieces) if piece]
