"""Charges against the real sandbox: what the platform's own ledger says is what ours must say."""

import itertools
import secrets
import threading

import pytest
from sqlalchemy import select

from miniapp import db
from miniapp.core.errors import Invalid, Refused
from miniapp.core.models import Task
from miniapp.outbox.models import Attempt, Work
from miniapp.payments import charging, settling
from miniapp.payments.charging import ChargeAsked
from miniapp.payments.models import Charge, TransactionState
from tests.payments.platforms import Till

NUMBERS = itertools.count(1)
PLATFORMS = pytest.mark.parametrize("platform", ["wechat", "alipay"])
PAY = {"wechat": "wechat_pay.micropay", "alipay": "alipay.trade.pay"}
QUERY = {"wechat": "wechat_pay.orderquery", "alipay": "alipay.trade.query"}
CANCEL = {"wechat": "wechat_pay.reverse", "alipay": "alipay.trade.cancel"}


def number() -> str:
    return f"N{secrets.token_hex(6)}{next(NUMBERS):04d}"


def asked(till: Till, platform: str, amount_fen: int = 8800, **plan) -> ChargeAsked:
    return ChargeAsked(number(), till.platforms.code(platform, **plan), amount_fen, subject="92号汽油")


def state(till: Till, order: ChargeAsked) -> str:
    return charging.view(till.terminal_id, order.out_trade_no).state


def payment(till: Till, order: ChargeAsked):
    return [row for row in till.platforms.payments() if row["out_trade_no"] == order.out_trade_no]


def open_tasks(kind: str) -> list[Task]:
    with db.reading() as session:
        return list(session.scalars(select(Task).where(Task.kind == kind, Task.state == "open")))


@PLATFORMS
def test_a_code_is_charged_and_the_sale_recorded_once(till: Till, platform: str) -> None:
    order = asked(till, platform)

    view = charging.charge(till.terminal_id, order)
    again = charging.charge(till.terminal_id, order)
    till.due_in(10)

    assert (view.state, view.paid_fen, view.platform) == ("paid", 8800, platform)
    assert again == view
    (sale,) = till.rows()
    assert (sale.out_trade_no, sale.amount_fen, sale.source) == (order.out_trade_no, 8800, "charged")
    assert sale.platform_trade_no == view.platform_trade_no == payment(till, order)[0]["trade_no"]
    assert till.balance(sale.id) == (8800, 0, 0)
    assert sale.payer_open_id


@PLATFORMS
def test_discounts_come_with_their_funders(till: Till, platform: str) -> None:
    order = asked(till, platform, merchant_discount_fen=300, platform_discount_fen=200)

    view = charging.charge(till.terminal_id, order)

    (sale,) = till.rows()
    assert view.paid_fen == sale.paid_fen == 8300
    assert (sale.merchant_discount_fen, sale.platform_discount_fen) == (300, 200)


@PLATFORMS
def test_a_customer_who_must_confirm_is_waited_for(till: Till, platform: str) -> None:
    order = asked(till, platform, outcome="userpaying")

    assert charging.charge(till.terminal_id, order).state == "paying"
    till.due_in(5)
    assert state(till, order) == "paying"
    till.platforms.answer(accept=True)
    till.due_in(5)

    assert state(till, order) == "paid"
    assert len(till.rows()) == 1


@PLATFORMS
def test_a_customer_who_never_confirms_is_cancelled_in_time(till: Till, platform: str) -> None:
    order = asked(till, platform, outcome="userpaying")
    charging.charge(till.terminal_id, order)
    for _ in range(8):
        till.due_in(5)
        assert state(till, order) == "paying"

    till.due_in(5)

    assert state(till, order) == "cancelled"
    assert till.rows() == [] and till.platforms.money() >= 0
    assert all(row["paid_at"] is None for row in payment(till, order))


@PLATFORMS
def test_not_enough_money_fails_at_once_and_says_so(till: Till, platform: str) -> None:
    order = asked(till, platform, outcome="notenough")

    view = charging.charge(till.terminal_id, order)

    assert view.state == "failed" and "余额不足" in view.message
    assert till.rows() == []


@PLATFORMS
def test_a_lost_answer_is_asked_for_and_never_charged_again(till: Till, platform: str) -> None:
    till.platforms.fault(PAY[platform], "commit_then_drop")
    order = asked(till, platform)

    assert charging.charge(till.terminal_id, order).state == "paying"
    assert charging.charge(till.terminal_id, order).state == "paying"
    till.due_in(5)

    assert state(till, order) == "paid"
    assert len(payment(till, order)) == len(till.rows()) == 1


@PLATFORMS
def test_a_call_that_never_arrived_ends_without_money(till: Till, platform: str) -> None:
    till.platforms.fault(PAY[platform], "drop")
    order = asked(till, platform)

    charging.charge(till.terminal_id, order)
    for _ in range(9):
        till.due_in(5)

    assert state(till, order) in ("failed", "cancelled")
    assert payment(till, order) == [] and till.rows() == []


@PLATFORMS
def test_a_platform_that_does_not_know_the_number_yet_proves_nothing(till: Till, platform: str) -> None:
    till.platforms.fault(PAY[platform], "commit_then_drop")
    order = asked(till, platform, hidden_queries=3)
    charging.charge(till.terminal_id, order)
    for _ in range(3):
        till.due_in(5)
        assert state(till, order) == "paying"
    till.due_in(5)
    assert state(till, order) == "paid"
    assert len(payment(till, order)) == len(till.rows()) == 1


@PLATFORMS
def test_what_stays_unknown_is_told_at_the_deadline_and_settled_later(till: Till, platform: str) -> None:
    till.platforms.fault(PAY[platform], "commit_then_drop")
    till.platforms.fault(QUERY[platform], "drop", times=None)
    till.platforms.fault(CANCEL[platform], "drop", times=None)
    order = asked(till, platform)
    charging.charge(till.terminal_id, order)
    for _ in range(49):
        till.due_in(1)
    till.platforms.pass_time(seconds=1)
    assert state(till, order) == "unknown"
    till.work()
    assert len(open_tasks("unknown_charge")) == 1

    till.platforms.heal()
    till.due_in(120)

    assert state(till, order) == "paid"
    assert open_tasks("unknown_charge") == []
    assert len(till.rows()) == 1


@PLATFORMS
def test_a_call_without_a_worker_is_unknown_after_fifty_seconds_and_not_before(
    till: Till, platform: str
) -> None:
    order = asked(till, platform, outcome="userpaying")
    charging.charge(till.terminal_id, order)
    till.platforms.pass_time(seconds=49)
    assert state(till, order) == "paying"
    till.platforms.pass_time(seconds=1)
    assert state(till, order) == "unknown"


def test_money_taken_while_cancelling_is_in_the_ledger_with_its_revocation(till: Till) -> None:
    """Alipay pays between the last query and the cancel: the cancel says that it gave money back."""
    order = asked(till, "alipay", outcome="userpaying")
    charging.charge(till.terminal_id, order)
    till.platforms.pass_time(seconds=45)
    till.platforms.answer(accept=True)
    till.platforms.fault(QUERY["alipay"], "drop", times=1)
    till.work()
    till.due_in(5)

    assert state(till, order) == "cancelled"
    (sale,) = till.rows()
    assert till.balance(sale.id) == (0, 0, 0)
    with db.reading() as session:
        assert [row.state for row in session.scalars(select(TransactionState))] == ["revoked"]


@PLATFORMS
def test_a_call_whose_process_died_is_picked_up_by_the_worker(
    till: Till, platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = asked(till, platform)
    monkeypatch.setattr(settling, "settle_call", lambda *_: None)  # died between the answer and its record
    assert charging.charge(till.terminal_id, order).state == "paying"

    till.due_in(5)

    assert state(till, order) == "paid"
    assert len(payment(till, order)) == len(till.rows()) == 1


def test_the_same_number_with_other_content_is_refused(till: Till) -> None:
    order = asked(till, "wechat")
    charging.charge(till.terminal_id, order)
    other_code = ChargeAsked(order.out_trade_no, till.platforms.code("alipay"), 8800, subject="92号汽油")
    other_amount = ChargeAsked(order.out_trade_no, order.payment_code, 8801, subject="92号汽油")

    for other in (other_code, other_amount):
        with pytest.raises(Refused):
            charging.charge(till.terminal_id, other)

    assert len(payment(till, order)) == 1


def test_a_number_that_was_reported_is_not_charged(till: Till) -> None:
    till.sale("A1")
    with pytest.raises(Refused):
        charging.charge(till.terminal_id, ChargeAsked("A1", till.platforms.code("wechat"), 8800))


def test_a_charged_sale_that_is_reported_too_is_known(till: Till) -> None:
    from tests.payments.shop import sale

    order = asked(till, "wechat")
    charging.charge(till.terminal_id, order)
    (result,) = till.report(sale(order.out_trade_no, 8800))
    (other,) = till.report(sale(order.out_trade_no, 8801))
    assert (result.result, other.result) == ("known", "conflict")
    assert len(till.rows()) == 1


def test_union_pay_codes_and_nonsense_are_told_apart(till: Till) -> None:
    with pytest.raises(Refused, match="银联"):
        charging.charge(till.terminal_id, ChargeAsked(number(), "62" + "1" * 17, 100))
    for nonsense in ("", "1234", "１３" + "1" * 16, "13" + "1" * 15, "99" + "1" * 16):
        with pytest.raises(Invalid):
            charging.charge(till.terminal_id, ChargeAsked(number(), nonsense, 100))
    with db.reading() as session:
        assert session.scalars(select(Charge)).all() == []


def test_twenty_of_the_same_at_once_charge_once(till: Till) -> None:
    order, states = asked(till, "wechat"), []
    threads = [
        threading.Thread(target=lambda: states.append(charging.charge(till.terminal_id, order).state))
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    till.due_in(5)
    assert set(states) <= {"paid", "paying"} and len(states) == 20
    assert len(payment(till, order)) == len(till.rows()) == 1


def test_the_payment_code_is_kept_nowhere(till: Till) -> None:
    order = asked(till, "wechat", outcome="userpaying")
    charging.charge(till.terminal_id, order)
    till.platforms.answer(accept=True)
    till.due_in(5)
    with db.reading() as session:
        kept = [str(vars(row)) for model in (Charge, Work, Attempt) for row in session.scalars(select(model))]
    assert kept and not any(order.payment_code in text for text in kept)
    assert order.payment_code not in repr(order)
