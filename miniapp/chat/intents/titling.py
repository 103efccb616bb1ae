"""抬头: the book, a choice from it, a pasted block."""

from miniapp.chat.intents import asking
from miniapp.chat.intents.words import folded, number
from miniapp.chat.turns import Reply, Turn
from miniapp.core.errors import Failure
from miniapp.core.text import mask_number, one_line, say
from miniapp.titles import pasting, rules
from miniapp.titles import service as titles

ROWS = 5
TOPIC, NEW = "titles", "new_title"


def listing(turn: Turn) -> Reply | None:
    """The customer's titles, the default first."""
    if folded(turn.text) not in ("抬头", "发票抬头", "我的抬头", "TT"):
        return None
    book = titles.book(turn.customer.id)[:ROWS]
    purchase = turn.state.get("purchase") if turn.topic in (asking.PROPOSAL, "title_for") else None
    if not book:
        state = {"purchase": purchase} if purchase else {}
        return Reply(say("chat.no_titles", page=turn.page("titles")), "title_for" if purchase else "", state)
    rows = "\n".join(
        say(
            "chat.title_row",
            no=i,
            name=one_line(one.name, 40),
            number=mask_number(one.taxpayer_no) if one.taxpayer_no else "",
        )
        for i, one in enumerate(book, 1)
    )
    state = {"ids": [one.public_id for one in book], **({"purchase": purchase} if purchase else {})}
    return Reply(say("chat.titles", rows=rows, page=turn.page("titles")), TOPIC, state)


def pick(turn: Turn) -> Reply | None:
    """A number after the book: for the purchase on the table, else as the default."""
    choice = number(folded(turn.text))
    if choice is None or turn.topic != TOPIC:
        return None
    ids = turn.state["ids"]
    if not 1 <= choice <= len(ids):
        return Reply(say("chat.pick_again", most=len(ids)), None)
    if "purchase" in turn.state:
        return asking.propose(turn, turn.state["purchase"], title=ids[choice - 1])
    titles.choose_default(turn.customer.id, ids[choice - 1])
    return Reply(say("chat.default_chosen"))


def paste(turn: Turn) -> Reply | None:
    """A block with 名称 and 税号, or any text with a label: split, checked, offered."""
    found = pasting.split_block(turn.text)
    if not found.get("name") or not ("taxpayer_no" in found or "名称" in turn.text or "抬头" in turn.text):
        return None
    fields = {"type": "company" if found.get("taxpayer_no") else "personal", **found}
    try:
        title = rules.check(fields)
    except rules.InvalidTitle as invalid:
        lines = "\n".join(f"· {fault.message}" for fault in invalid.faults)
        return Reply(say("chat.title_refused", faults=lines), None)
    title.pop("warnings")
    state = {"title": title, **({"purchase": turn.state["purchase"]} if "purchase" in turn.state else {})}
    checked = say("chat.number_good") if title.get("taxpayer_no") else ""
    return Reply(
        say(
            "chat.title_read",
            name=one_line(title["name"], 60),
            number=title.get("taxpayer_no") or "",
            checked=checked,
        ),
        NEW,
        state,
    )


def use(turn: Turn) -> Reply | None:
    """使用: keep the title that was read, and go on with the purchase on the table."""
    if folded(turn.text) not in ("使用", "保存", "确认", "是") or turn.topic != NEW:
        return None
    try:
        public_id = titles.add(turn.customer.id, turn.state["title"])
    except Failure as failure:
        return Reply(failure.message)
    if "purchase" in turn.state:
        return asking.propose(turn, turn.state["purchase"], title=public_id)
    return Reply(say("chat.title_kept"))
