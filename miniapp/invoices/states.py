"""States of a request and of an invoice. The docs are drawn from these tables."""

from miniapp.core.states import States

_BEFORE_ISSUING = ("draft", "waiting_reconciliation", "awaiting_confirmation", "approved")

REQUEST = States(
    "request",
    start="draft",
    moves={
        ("draft", "wait_for_proof"): "waiting_reconciliation",
        ("draft", "ask_cashier"): "awaiting_confirmation",
        ("draft", "approve_at_once"): "approved",
        ("waiting_reconciliation", "ask_cashier"): "awaiting_confirmation",
        ("waiting_reconciliation", "approve_at_once"): "approved",
        ("awaiting_confirmation", "approve"): "approved",
        ("awaiting_confirmation", "reject"): "rejected",
        ("awaiting_confirmation", "change_amount"): "awaiting_confirmation",
        ("approved", "ask_cashier"): "awaiting_confirmation",
        ("awaiting_confirmation", "wait_for_proof"): "waiting_reconciliation",
        ("approved", "wait_for_proof"): "waiting_reconciliation",
        ("approved", "begin_issuing"): "issuing",
        ("issuing", "issued"): "issued",
        ("issuing", "fail"): "failed",
        ("issuing", "lose_answer"): "unknown",
        ("unknown", "issued"): "issued",
        ("unknown", "fail"): "failed",
        **{(state, "cancel"): "cancelled" for state in _BEFORE_ISSUING[:3]},
        **{(state, "nothing_left"): "cancelled" for state in _BEFORE_ISSUING},
        **{(state, "expire"): "expired" for state in _BEFORE_ISSUING[:3]},
    },
    waits_for={
        "draft": "customer",
        "waiting_reconciliation": "bill",
        "awaiting_confirmation": "cashier",
        "approved": "channel",
        "issuing": "channel",
        "unknown": "channel",
    },
)

INVOICE = States(
    "invoice",
    start="issued",
    moves={
        ("issued", "begin_reversal"): "reversing",
        ("reversing", "reverse"): "reversed",
        ("reversing", "reverse_part"): "partly_reversed",
        ("reversing", "lapse"): "issued",
        ("partly_reversed", "begin_reversal"): "reversing",
    },
    waits_for={"reversing": "channel"},
)

DELIVERY = States(
    "delivery",
    start="waiting",
    moves={
        ("waiting", "send"): "sent",
        ("waiting", "fail"): "failed",
        ("waiting", "lose_answer"): "unknown",
        ("unknown", "send"): "sent",
        ("unknown", "fail"): "failed",
        ("sent", "arrive"): "delivered",
        ("sent", "fail"): "failed",
        ("failed", "retry"): "waiting",
        ("waiting", "arrive"): "delivered",
    },
    waits_for={"waiting": "channel", "unknown": "staff", "failed": "customer"},
)

BEFORE_ISSUING = frozenset(_BEFORE_ISSUING)
LIVE = frozenset({*_BEFORE_ISSUING, "issuing", "unknown", "issued"})
