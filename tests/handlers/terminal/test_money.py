"""``charges`` and ``refunds`` over HTTP against the real sandbox: states, idempotency, time, who waits."""

import threading
import time

import pytest
from sqlalchemy import select

from miniapp import db
from miniapp.payments import composition
from miniapp.payments.composition import Composition
from miniapp.payments.models import SettledReply
from tests.handlers.terminal.tills import TillClient
from tests.payments.platforms import Till
from tests.payments.test_charging import PAY, number


def body(till: Till, platform: str = "wechat", **plan):
    return {
        "out_trade_no": number(),
        "payment_code": till.platforms.code(platform, **plan),
        "amount_fen": 8800,
        "subject": "92号汽油",
        "lines": [{"name": "92号汽油", "amount_fen": 8800, "quantity": "1.000"}],
        "operator": "收银员甲",
    }


def test_a_charge_is_paid_and_has_its_slip(till: Till, paying_door: TillClient) -> None:
    asked = body(till)
    reply = paying_door.post("charges", asked)
    assert reply.status_code == 200
    assert set(reply.json) == {
        "out_trade_no",
        "state",
        "platform",
        "platform_trade_no",
        "amount_fen",
        "paid_fen",
        "message",
        "slip",
    }
    assert reply.json["state"] == "paid" and reply.json["slip"]["claim_code"]
    assert paying_door.get(f"charges/{asked['out_trade_no']}").json == reply.json
    other = TillClient(paying_door.client, "k2", "fedcba9876543210fedcba9876543210")
    assert other.get(f"charges/{asked['out_trade_no']}").status_code == 404


def test_an_open_charge_is_202_and_its_repeats_answer_the_state_of_then(
    till: Till, paying_door: TillClient
) -> None:
    asked = body(till, outcome="userpaying")
    first = paying_door.post("charges", asked, idempotency_key="k")
    assert (first.status_code, first.json["state"]) == (202, "paying")
    assert int(first.headers["Retry-After"]) >= 1
    assert paying_door.post("charges", asked, idempotency_key="k").json["state"] == "paying"

    till.platforms.answer(accept=True)
    till.due_in(5)
    settled = paying_door.post("charges", asked, idempotency_key="k")
    again = paying_door.post("charges", asked, idempotency_key="k")

    assert (settled.status_code, settled.json["state"]) == (200, "paid")
    assert again.data == settled.data and again.headers["Idempotent-Replay"] == "true"
    assert len(payment_of(till, asked)) == 1


def test_the_kept_answer_has_no_payment_code(till: Till, paying_door: TillClient) -> None:
    asked = body(till)
    paying_door.post("charges", asked, idempotency_key="k")
    with db.reading() as session:
        (kept,) = session.scalars(select(SettledReply))
        assert asked["payment_code"] not in str(vars(kept))


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"payment_code": "62" + "1" * 17}, 409),
        ({"payment_code": "123"}, 400),
        ({"payment_code": 130000000000000017}, 400),
        ({"payment_code": "1３0000000000000017"}, 400),
        ({"amount_fen": 0}, 400),
        ({"amount_fen": 10_000_000_001}, 400),
        ({"amount_fen": "8800"}, 400),
        ({"amount_fen": True}, 400),
        ({"out_trade_no": "x" * 33}, 400),
        ({"out_trade_no": "x y"}, 400),
        ({"store": "s2"}, 403),
        ({"state": "paid"}, 400),
        ({"lines": [{"name": "x"}]}, 400),
    ],
    ids=str,
)
def test_what_is_refused_moves_nothing(till: Till, paying_door: TillClient, more, status: int) -> None:
    asked = {**body(till), **more}
    before = len(till.platforms.payments())
    reply = paying_door.post("charges", asked, idempotency_key="k")
    assert reply.status_code == status and reply.json["error"]["message"]
    assert asked["payment_code"] == 130000000000000017 or str(asked["payment_code"]) not in reply.text
    assert len(till.platforms.payments()) == before
    with db.reading() as session:
        assert session.scalars(select(SettledReply)).all() == []


def test_a_slow_platform_is_answered_for_within_three_seconds(till: Till, paying_door: TillClient) -> None:
    till.platforms.fault(PAY["wechat"], "delay:4000")
    asked = body(till)
    begun = time.monotonic()
    reply = paying_door.post("charges", asked)
    assert (reply.status_code, reply.json["state"]) == (202, "paying")
    assert time.monotonic() - begun < 3
    for _ in range(60):
        if paying_door.get(f"charges/{asked['out_trade_no']}").json["state"] == "paid":
            break
        time.sleep(0.1)
    assert len(till.rows()) == 1


def test_half_of_the_web_threads_never_wait(till: Till, paying_door: TillClient) -> None:
    composition.use(Composition(web_threads=4, charge_threads=8))
    try:
        till.platforms.fault(PAY["wechat"], "delay:2000", times=6)
        bodies, seconds = [body(till) for _ in range(6)], []

        def ask(asked) -> None:
            begun = time.monotonic()
            paying_door.post("charges", asked)
            seconds.append(time.monotonic() - begun)

        threads = [threading.Thread(target=ask, args=(asked,)) for asked in bodies]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        composition.use(Composition())
    assert sum(one > 1.5 for one in seconds) == 2
    till.due_in(5)
    assert all(len(payment_of(till, asked)) == 1 for asked in bodies)


def payment_of(till: Till, asked):
    return [row for row in till.platforms.payments() if row["out_trade_no"] == asked["out_trade_no"]]


def test_a_refund_over_http(till: Till, paying_door: TillClient) -> None:
    asked = body(till)
    paying_door.post("charges", asked)
    wanted = {
        "out_trade_no": asked["out_trade_no"],
        "out_refund_no": number(),
        "refund_fen": 800,
        "reason": "退一件",
    }
    first = paying_door.post("refunds", wanted, idempotency_key="r")
    assert (first.status_code, first.json["state"]) == (202, "refunding")
    till.work()
    till.due_in(5)
    settled = paying_door.post("refunds", wanted, idempotency_key="r")
    assert (settled.status_code, settled.json["state"]) == (200, "refunded")
    assert paying_door.post("refunds", wanted, idempotency_key="r").data == settled.data
    over = {**wanted, "out_refund_no": number(), "refund_fen": 8001}
    reply = paying_door.post("refunds", over)
    assert reply.status_code == 409 and reply.json["error"]["code"] == "OVER_REFUND"
    other = TillClient(paying_door.client, "k2", "fedcba9876543210fedcba9876543210")
    assert other.post("refunds", {**wanted, "out_refund_no": number()}).status_code == 404
