"""进度: how far the last request is; 取消: take it back, or clear the table."""

from miniapp.chat.intents.words import after, folded
from miniapp.chat.turns import Reply, Turn
from miniapp.core.clock import show_time
from miniapp.core.errors import Failure, Missing
from miniapp.core.money import show as show_yuan
from miniapp.core.text import one_line, say
from miniapp.invoices import queries, requesting


def show_request(turn: Turn, code: str) -> Reply:
    """One request in words."""
    try:
        view = queries.request(code, customer_id=turn.customer.id)
    except Missing as missing:
        return Reply(missing.message)
    row = view.row
    reason = say(view.reason_key) if view.reason_key else one_line(view.reason or "", 60)
    page = f"invoices/{row.invoice}" if row.invoice else f"requests/{row.public_id}"
    text = say(
        "chat.progress",
        code=row.code,
        amount=show_yuan(row.amount_fen),
        state=say(f"invoices.state.{row.state}"),
        time=show_time(row.changed_at),
        reason=f"：{reason}" if reason else "",
        page=turn.page(page),
    )
    return Reply(text)


def show_last(turn: Turn) -> Reply:
    """The last request in words."""
    last = queries.last_request(turn.customer.id)
    if last is None:
        return Reply(say("chat.no_request", page=turn.page("purchases")))
    return show_request(turn, last.public_id)


def show(turn: Turn) -> Reply | None:
    """进度, or 进度 and a request's code."""
    rest = after(folded(turn.text), ("进度", "查进度", "JD"))
    if rest is None:
        return None
    return show_request(turn, rest) if rest else show_last(turn)


def cancel(turn: Turn) -> Reply | None:
    """取消 and a request's code."""
    rest = after(folded(turn.text), ("取消",))
    if not rest:
        return None
    try:
        requesting.cancel(turn.customer.id, rest)
    except Failure as failure:
        return Reply(failure.message)
    return Reply(say("chat.cancelled", code=one_line(rest, 8)))


def drop(turn: Turn) -> Reply | None:
    """取消 alone: nothing was sent yet, so only the table is cleared."""
    if folded(turn.text) not in ("取消", "算了", "否"):
        return None
    return Reply(say("chat.dropped" if turn.topic else "chat.nothing_to_drop"))
