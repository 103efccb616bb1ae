"""One checked call to Nuonuo, and which taxpayers its app may act for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from miniapp.sandbox.channels.nuonuo_rules import Refusal
from miniapp.sandbox.world import World


@dataclass(frozen=True)
class Call:
    """A call after signature and token: the app's configuration, `userTax` of the header, the body, our address."""

    world: World
    entry: dict[str, Any]
    user_tax: str
    body: dict[str, Any]
    base: str


def taxpayers(entry: dict[str, Any]) -> list[str]:
    """Sellers of an app: `taxpayer_no` and the optional list `taxpayer_nos`."""
    return [str(entry.get("taxpayer_no", "")), *(str(number) for number in entry.get("taxpayer_nos", []))]


def check_seller(call: Call, seller: str) -> None:
    """E9302 where the header names another taxpayer, E9301 where nobody here knows the seller."""
    if call.user_tax and call.user_tax != seller:
        raise Refusal("E9302", "请求头税号与销方税号不一致")
    if seller not in taxpayers(call.entry):
        raise Refusal("E9301", "销方税号不存在")
