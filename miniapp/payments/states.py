"""States of a charge and of a refund that we make. *unknown* is a state, never a guess."""

from miniapp.core.states import States

CHARGE = States(
    "charge",
    start="calling",
    moves={
        ("calling", "paid"): "paid",
        ("calling", "wait"): "paying",
        ("calling", "fail"): "failed",
        ("calling", "lose_answer"): "unknown",
        ("paying", "paid"): "paid",
        ("paying", "fail"): "failed",
        ("paying", "lose_answer"): "unknown",
        ("paying", "begin_cancel"): "cancelling",
        ("unknown", "paid"): "paid",
        ("unknown", "wait"): "paying",
        ("unknown", "fail"): "failed",
        ("unknown", "begin_cancel"): "cancelling",
        ("unknown", "cancelled"): "cancelled",
        ("paying", "cancelled"): "cancelled",
        ("cancelling", "cancelled"): "cancelled",
        ("cancelling", "paid"): "paid",
        ("cancelling", "fail"): "failed",
        ("cancelling", "lose_answer"): "unknown",
    },
    waits_for={"calling": "platform", "paying": "customer", "unknown": "platform", "cancelling": "platform"},
)

REFUND = States(
    "refund_order",
    start="asked",
    moves={
        ("asked", "accept"): "refunding",
        ("asked", "lose_answer"): "unknown",
        ("asked", "refunded"): "refunded",
        ("asked", "fail"): "failed",
        ("refunding", "refunded"): "refunded",
        ("refunding", "fail"): "failed",
        ("refunding", "lose_answer"): "unknown",
        ("unknown", "accept"): "refunding",
        ("unknown", "refunded"): "refunded",
        ("unknown", "fail"): "failed",
    },
    waits_for={"asked": "platform", "refunding": "platform", "unknown": "platform"},
)
