"""States of a batch, a difference, a resolution and a day. The docs are drawn from these tables."""

from miniapp.core.states import States

BATCH = States("batch", start="open", moves={("open", "run"): "done"}, waits_for={"open": "bill"})

DIFFERENCE = States(
    "difference",
    start="open",
    moves={
        ("carried_over", "age"): "open",
        ("carried_over", "turn_up"): "settled",
        ("carried_over", "change"): "open",
        ("open", "carry"): "carried_over",
        ("open", "turn_up"): "settled",
        ("open", "resolve"): "settled",
        ("carried_over", "resolve"): "settled",
        ("settled", "reappear"): "open",
    },
    waits_for={"open": "finance", "carried_over": "bill"},
)

RESOLUTION = States(
    "resolution",
    start="proposed",
    moves={
        ("proposed", "approve"): "approved",
        ("proposed", "refuse"): "refused",
        ("proposed", "withdraw"): "withdrawn",
        ("proposed", "lapse"): "lapsed",
    },
    waits_for={"proposed": "finance"},
)

DAY = States(
    "day",
    start="open",
    moves={
        ("open", "submit"): "submitted",
        ("submitted", "return"): "open",
        ("submitted", "confirm"): "closed",
        ("closed", "ask_reopening"): "reopening",
        ("reopening", "keep"): "closed",
        ("reopening", "reopen"): "open",
    },
    waits_for={"open": "finance", "submitted": "finance", "reopening": "finance"},
)

LIVE = ("open", "carried_over")
"""A difference in one of these keeps its transaction from being reconciled."""
