"""发票 → a list; a number → one purchase with the default title; 确认 → the request."""

from dataclasses import replace

from miniapp.chat.intents.words import folded, number
from miniapp.chat.turns import Reply, Turn
from miniapp.core.clock import show_time
from miniapp.core.errors import Failure
from miniapp.core.money import show
from miniapp.core.text import one_line, say
from miniapp.invoices import queries, requesting
from miniapp.invoices.queries import PurchaseRow
from miniapp.titles import service as titles
from miniapp.titles.service import TitleView

ROWS = 5
TOPIC, PROPOSAL = "purchases", "proposal"


def listing(turn: Turn) -> Reply | None:
    """The purchases that can be invoiced, at most five."""
    if folded(turn.text) not in ("发票", "开票", "开发票", "我的发票", "我要开票", "FP"):
        return None
    rows = [row for row in queries.purchases(turn.customer.id) if row.obstacle is None]
    if not rows:
        return Reply(say("chat.no_purchases", find=turn.page("find"), page=turn.page("")))
    lines = [
        say(
            "chat.purchase_row",
            no=i,
            store=row.store_name,
            time=show_time(row.occurred_at),
            amount=show(row.left_fen),
        )
        for i, row in enumerate(rows[:ROWS], 1)
    ]
    text = say("chat.purchases", count=len(rows), rows="\n".join(lines), page=turn.page("purchases"))
    return Reply(text, TOPIC, {"ids": [row.public_id for row in rows[:ROWS]]})


def pick(turn: Turn) -> Reply | None:
    """A number after the list."""
    choice = number(folded(turn.text))
    if choice is None or turn.topic != TOPIC:
        return None
    ids = turn.state["ids"]
    if not 1 <= choice <= len(ids):
        return Reply(say("chat.pick_again", most=len(ids)), None)
    return propose(turn, ids[choice - 1])


def propose(turn: Turn, purchase: str, *, title: str | None = None) -> Reply:
    """One purchase with a title: what will be asked, before it is."""
    row = next((one for one in queries.purchases(turn.customer.id) if one.public_id == purchase), None)
    if row is None:
        return Reply(say("core.not_found"))
    if row.obstacle is not None:
        return Reply(say(row.obstacle))
    book = titles.book(turn.customer.id)
    chosen = next((one for one in book if one.public_id == title), book[0] if book else None)
    if chosen is None:
        state = {"purchase": purchase}
        return Reply(say("chat.title_needed", page=turn.page("titles")), "title_for", state)
    return _proposal(row, chosen)


def submit(turn: Turn) -> Reply | None:
    """确认 alone: the customer's own yes. A cashier's always carries a code."""
    if folded(turn.text) not in ("确认", "是", "OK", "好") or turn.topic != PROPOSAL:
        return None
    form = requesting.Ask(
        purchases=(turn.state["purchase"],),
        title=turn.state["title"],
        expected_fen=turn.state["amount_fen"],
        form_key=f"chat:{turn.account}:{turn.key}",
    )
    try:
        public_id = requesting.ask(turn.customer.id, turn.app_id, form, origin="chat")
    except Failure as failure:
        again = propose(turn, turn.state["purchase"], title=turn.state["title"])
        return (
            replace(again, text=f"{failure.message}\n{again.text}") if again.topic else Reply(failure.message)
        )
    view = queries.request(public_id, customer_id=turn.customer.id)
    state = say(f"chat.submitted.{view.row.state}")
    return Reply(
        say("chat.submitted", code=view.row.code, state=state, page=turn.page(f"requests/{public_id}"))
    )


def _proposal(row: PurchaseRow, title: TitleView) -> Reply:
    text = say(
        "chat.proposal",
        amount=show(row.left_fen),
        store=row.store_name,
        time=show_time(row.occurred_at),
        title=one_line(title.name, 60),
    )
    state = {"purchase": row.public_id, "title": title.public_id, "amount_fen": row.left_fen}
    return Reply(text, PROPOSAL, state)
