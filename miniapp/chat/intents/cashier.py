"""Staff: 确认 K7Q, 拒绝 K7Q 原因, K7Q, 待办, 上班, 下班, 绑定."""

import re

from miniapp.chat.intents.words import CONFIRM, REFUSE, after, folded
from miniapp.chat.turns import Reply, Turn
from miniapp.core.clock import show_time
from miniapp.core.codes import ALPHABET
from miniapp.core.errors import Failure
from miniapp.core.money import show
from miniapp.core.text import one_line, say
from miniapp.invoices import confirming, queries
from miniapp.stores import service as stores
from miniapp.stores.rules import Person

CODE = re.compile(rf"[{ALPHABET}]{{3}}")
ROWS = 5


def answer(turn: Turn) -> Reply | None:
    """A confirm code with a word before it, a code alone, or 待办. The code names (request, version)."""
    text = folded(turn.text)
    if turn.staff is not None and text in ("待办", "待确认", "DB"):
        return Reply(_todo(turn.staff), None)
    accepted, refused = after(text, CONFIRM), after(text, REFUSE)
    words = accepted if accepted is not None else refused if refused is not None else text
    found = CODE.match(words)
    rest = words[found.end() :] if found else ""
    if (
        found is None
        or (accepted is None and refused is None and rest)
        or (rest and not rest.startswith(" "))
    ):
        return Reply(say("chat.code_needed")) if turn.staff and refused is not None else None
    if turn.staff is None:
        return None if accepted is None and refused is None else Reply(say("chat.not_staff"))
    return Reply(_decide(turn.staff, found[0], accepted is not None, refused is not None, rest.strip()), None)


def bind(turn: Turn) -> Reply | None:
    """绑定 and the one-time code from the console."""
    code = after(folded(turn.text), ("绑定",))
    if not code:
        return None
    try:
        person = stores.bind(code, app_id=turn.app_id, open_id=turn.open_id)
    except Failure as failure:
        return Reply(failure.message)
    return Reply(say("chat.bound", name=person.name))


def duty(turn: Turn) -> Reply | None:
    """上班 [门店], 下班."""
    if turn.staff is None:
        return None
    text = folded(turn.text)
    try:
        if text.startswith("上班"):
            return Reply(
                say("chat.on_duty", store=stores.go_on_duty(turn.staff.id, text[2:].strip() or None))
            )
        if text == "下班":
            return Reply(say("chat.off_duty", store=stores.go_off_duty(turn.staff.id)))
    except Failure as failure:
        return Reply(failure.message)
    return None


def _decide(person: Person, code: str, is_yes: bool, is_no: bool, reason: str) -> str:
    try:
        request_id, version = confirming.by_code(code)
        if is_yes:
            number = confirming.approve(request_id, version=version, by=person.id, origin="chat")
            amount = show(queries.request_by_id(request_id).row.amount_fen)
            return say("chat.confirmed", code=number, amount=amount)
        if is_no:
            number = confirming.reject(
                request_id, version=version, by=person.id, reason=reason, origin="chat"
            )
            return say("chat.rejected", code=number, reason=one_line(reason, 50))
        return _describe(person, request_id, code)
    except Failure as failure:
        return failure.message


def _describe(person: Person, request_id: int, code: str) -> str:
    view = queries.request_by_id(request_id)
    if not person.may("confirm_requests", company=view.row.company_code, store=view.row.store_code):
        return say("invoices.confirm.not_here", store=view.row.store_name)
    return say(
        "chat.request_card",
        code=code,
        amount=show(view.row.amount_fen),
        title=one_line(view.row.buyer_name, 60),
        number=view.buyer.get("taxpayer_no", ""),
        store=view.row.store_name,
        time=show_time(view.row.asked_at),
        state=say(f"invoices.state.{view.row.state}"),
    )


def _todo(person: Person) -> str:
    rows = queries.requests(
        scopes=person.scopes("confirm_requests"), states=("awaiting_confirmation",), size=ROWS
    )
    if not rows:
        return say("chat.nothing_to_confirm")
    lines = [
        say(
            "chat.todo_row",
            code=row.confirm_code or "",
            amount=show(row.amount_fen),
            title=one_line(row.buyer_name, 20),
        )
        for row in rows
    ]
    return say("chat.todo", rows="\n".join(lines))
