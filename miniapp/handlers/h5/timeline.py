"""The timeline of a request (C7): what has been, what is, what follows; steps that were skipped are not shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from miniapp.core.text import say
from miniapp.invoices.queries import OPEN, DeliveryRow, RequestView

AHEAD = {
    "waiting_reconciliation": ("issuing", "issued"),
    "awaiting_confirmation": ("issuing", "issued"),
    "approved": ("issued",),
    "issuing": ("issued",),
    "unknown": ("issued",),
}


@dataclass(frozen=True)
class Entry:
    """One line: ``phase`` is done | now | failed | ahead, told by words and shape as well as colour."""

    label: str
    phase: str
    at: datetime | None = None
    note: str = ""


def timeline(view: RequestView, deliveries: Sequence[DeliveryRow] = ()) -> list[Entry]:
    """From 已提交 to the state now and what became of the invoice, then what is still to come."""
    state, is_open = view.row.state, view.row.state in OPEN
    passed = _passed(view)
    entries = [Entry(say("h5.asked"), "done", view.row.asked_at)]
    for number, (name, at) in enumerate(passed, 1):
        is_last = number == len(passed)
        phase = "done" if not is_last or state == "issued" else "now" if is_open else "failed"
        note = _note(view) if is_last else ""
        entries.append(Entry(say(f"invoices.state.{name}"), phase, at, note))
    entries += _delivered(deliveries)
    return entries + [Entry(say(f"invoices.state.{name}"), "ahead") for name in AHEAD.get(state, ())]


def _delivered(deliveries: Sequence[DeliveryRow]) -> list[Entry]:
    """One line for each way that got somewhere, or did not, beyond this page itself."""
    phases = {"sent": "done", "delivered": "done", "failed": "failed", "unknown": "now"}
    return [
        Entry(
            say("h5.way", way=say(f"invoices.way.{one.way}"), state=say(f"invoices.delivery.{one.state}")),
            phases[one.state],
            one.changed_at,
            one.detail if one.state == "failed" else "",
        )
        for one in deliveries
        if one.way != "page" and one.state in phases
    ]


def _passed(view: RequestView) -> list[tuple[str, datetime]]:
    """The states it has been in, a state that only repeated itself once, with the time of its beginning."""
    passed: list[tuple[str, datetime]] = []
    for step in view.steps:
        if step.state and step.state != "draft" and (not passed or passed[-1][0] != step.state):
            passed.append((step.state, step.at))
    return passed


def _note(view: RequestView) -> str:
    """Who holds it, or why it ended."""
    if view.row.state == "waiting_reconciliation":
        return say(view.missing_proof or "h5.note.going_on")
    if view.row.state == "rejected":
        return say("h5.note.rejected", reason=view.reason or "")
    if view.reason_key:
        return say(view.reason_key)
    notes = {
        "awaiting_confirmation": say("h5.note.cashier", store=view.row.store_name),
        "approved": say("h5.note.going_on"),
        "issuing": say("h5.note.issuing"),
        "unknown": say("h5.note.unknown"),
        "failed": view.reason or say("h5.note.failed"),
        "expired": say("h5.note.expired"),
    }
    return notes.get(view.row.state, "")
