"""The account's menu as data: 我的 → 发票, 抬头管理, 帮助."""

from miniapp.core.text import say

HELP_KEY = "HELP"


def buttons(public_base: str, account: str) -> list[dict[str, object]]:
    """Links carry the account, so that a page knows whose login to use."""
    return [
        {
            "name": say("chat.menu.mine"),
            "children": [
                {"name": say("chat.menu.invoices"), "url": f"{public_base}/c/?account={account}"},
                {"name": say("chat.menu.titles"), "url": f"{public_base}/c/titles?account={account}"},
                {"name": say("chat.menu.help"), "key": HELP_KEY},
            ],
        }
    ]
