"""States of a print job: nothing is sent twice by itself, and nothing is forgotten."""

from miniapp.core.states import States

PRINT_JOB = States(
    "print_job",
    start="queued",
    moves={
        ("queued", "claim"): "claimed",
        ("queued", "cancel"): "cancelled",
        ("queued", "divert"): "diverted",
        ("claimed", "block"): "blocked",
        ("claimed", "begin_sending"): "sending",
        ("claimed", "give_back"): "queued",
        ("blocked", "claim"): "claimed",
        ("blocked", "cancel"): "cancelled",
        ("blocked", "divert"): "diverted",
        ("sending", "sent"): "sent",
        ("sending", "lose_sight"): "uncertain",
        ("sending", "prove_unprinted"): "not_printed",
        ("sent", "prove_printed"): "printed",
        ("sent", "lose_sight"): "uncertain",
        ("sent", "prove_unprinted"): "not_printed",
        ("uncertain", "prove_printed"): "printed",
        ("uncertain", "prove_unprinted"): "not_printed",
        ("not_printed", "claim"): "claimed",
        ("not_printed", "divert"): "diverted",
        ("not_printed", "cancel"): "cancelled",
    },
    waits_for={
        "queued": "printer",
        "claimed": "printer",
        "blocked": "staff",
        "sending": "printer",
        "sent": "printer",
        "uncertain": "staff",
        "not_printed": "printer",
    },
)
