"""Refunds that we ask for, against the real sandbox; and the questions that vouch for a sale."""

import itertools
import secrets

import pytest
from sqlalchemy import select

from miniapp import db
from miniapp.core import files
from miniapp.core.errors import Missing, Refused
from miniapp.payments import charging, gateways, refunding, steps, vouching
from miniapp.payments.gateways import ChargeOrder
from miniapp.payments.models import RefundOrder, Vouch
from miniapp.payments.refunding import RefundAsked
from tests.payments.platforms import Till
from tests.payments.shop import refund
from tests.payments.test_charging import asked, number

NUMBERS = itertools.count(1)
PLATFORMS = pytest.mark.parametrize("platform", ["wechat", "alipay"])
REFUND = {"wechat": "wechat_pay.refund", "alipay": "alipay.trade.refund"}


def paid(till: Till, platform: str, amount_fen: int = 8800, **plan):
    order = asked(till, platform, amount_fen, **plan)
    assert charging.charge(till.terminal_id, order).state == "paid"
    return order, till.rows("sale")[-1]


def give_back(till: Till, order, refund_fen: int, number: str = "") -> RefundAsked:
    wanted = RefundAsked(order.out_trade_no, number or f"R{secrets.token_hex(8)}", refund_fen)
    refunding.refund(till.terminal_id, wanted, wait_seconds=0)
    return wanted


def state(till: Till, wanted: RefundAsked) -> str:
    return refunding.refund(till.terminal_id, wanted, wait_seconds=0).state


def vouches():
    with db.reading() as session:
        return list(session.scalars(select(Vouch).order_by(Vouch.id)))


@PLATFORMS
def test_money_goes_back_once_and_is_recorded_once(till: Till, platform: str) -> None:
    order, sale = paid(till, platform)
    before = till.platforms.money()

    wanted = give_back(till, order, 3000)
    assert till.balance(sale.id) == (5800, 0, 0)  # from the committed intention on
    till.work()
    till.due_in(5)

    assert state(till, wanted) == "refunded"
    assert till.platforms.money() == before - 3000
    (row,) = till.rows("refund")
    assert (row.out_refund_no, row.amount_fen, row.original_id) == (wanted.out_refund_no, 3000, sale.id)
    assert till.balance(sale.id) == (5800, 0, 0)


@PLATFORMS
def test_a_lost_answer_counts_as_refunded_and_is_asked_for(till: Till, platform: str) -> None:
    order, sale = paid(till, platform)
    before = till.platforms.money()
    till.platforms.fault(REFUND[platform], "commit_then_drop")
    wanted = give_back(till, order, 3000)
    till.work()
    assert state(till, wanted) == "unknown"
    assert till.balance(sale.id) == (5800, 0, 0)

    till.due_in(60)

    assert state(till, wanted) == "refunded"
    assert till.platforms.money() == before - 3000 and len(till.rows("refund")) == 1


@PLATFORMS
def test_an_order_that_never_arrived_is_sent_again_with_its_number(till: Till, platform: str) -> None:
    order, _ = paid(till, platform)
    before = till.platforms.money()
    till.platforms.fault(REFUND[platform], "drop")
    wanted = give_back(till, order, 3000)
    till.work()
    for _ in range(6):
        till.due_in(30)
    assert state(till, wanted) == "refunded"
    assert till.platforms.money() == before - 3000


@PLATFORMS
def test_a_refused_refund_gives_the_limit_back(till: Till, platform: str) -> None:
    order, sale = paid(till, platform)
    word = {"wechat": "closes", "alipay": "error:ACQ.SELLER_BALANCE_NOT_ENOUGH"}[platform]
    till.platforms.fault(REFUND[platform], word)
    wanted = give_back(till, order, 3000)
    till.work()
    till.due_in(5)
    assert state(till, wanted) == "failed"
    assert till.balance(sale.id) == (8800, 0, 0)


def test_no_more_than_was_paid_goes_back(till: Till) -> None:
    order, sale = paid(till, "wechat")
    give_back(till, order, 8000)
    with pytest.raises(Refused):
        give_back(till, order, 801)
    give_back(till, order, 800)
    till.work()
    till.due_in(5)
    assert till.balance(sale.id) == (0, 0, 0)
    assert sum(row.amount_fen for row in till.rows("refund")) == 8800


def test_a_number_means_one_refund(till: Till) -> None:
    order, _ = paid(till, "wechat")
    wanted = give_back(till, order, 100)
    with pytest.raises(Refused):
        give_back(till, order, 101, number=wanted.out_refund_no)
    give_back(till, order, 100, number=wanted.out_refund_no)
    with db.reading() as session:
        assert len(session.scalars(select(RefundOrder)).all()) == 1


def test_another_stores_sale_is_not_there(till: Till) -> None:
    order, _ = paid(till, "wechat")
    with pytest.raises(Missing):
        refunding.refund(till.other_terminal_id, RefundAsked(order.out_trade_no, "R1", 1), wait_seconds=0)


def test_a_refund_of_ours_that_the_till_reports_too_counts_once(till: Till) -> None:
    order, sale = paid(till, "wechat")
    wanted = give_back(till, order, 3000)
    (result,) = till.report(refund(order.out_trade_no, wanted.out_refund_no, 3000))
    assert result.result == "known"
    till.work()
    till.due_in(5)
    assert till.balance(sale.id) == (5800, 0, 0) and len(till.rows("refund")) == 1


@PLATFORMS
def test_a_paid_sale_is_vouched_for_with_evidence(till: Till, platform: str) -> None:
    _, sale = paid(till, platform)

    assert vouching.vouch(sale.id) is True

    (row,) = vouches()
    assert row.is_good and files.read(row.evidence_sha256)
    with db.reading() as session:
        assert files.linked(session, "terminal_transaction", sale.id)["order_query"]


@PLATFORMS
def test_a_reported_sale_that_the_platform_does_not_know_is_not_vouched_for(
    till: Till, platform: str
) -> None:
    sale_id = till.sale("NOBODY1", platform=platform)
    assert vouching.vouch(sale_id) is False
    assert [(row.is_good, row.answer) for row in vouches()] == [(False, "notfound")]


@PLATFORMS
def test_a_reported_sale_with_another_amount_is_not_vouched_for(till: Till, platform: str) -> None:
    settings = steps.settings_of(till.account(platform))
    order = ChargeOrder(number(), 8800, "92号汽油")
    assert isinstance(gateways.of(settings).charge(order, till.platforms.code(platform)), gateways.Paid)

    assert vouching.vouch(till.sale(order.out_trade_no, 8801, platform=platform)) is False

    assert vouches()[-1].answer == "differs:amount_fen"


@PLATFORMS
def test_after_a_refund_the_rest_is_vouched_for(till: Till, platform: str) -> None:
    order, sale = paid(till, platform)
    give_back(till, order, 3000)
    till.work()
    till.due_in(5)
    assert vouching.vouch(sale.id) is True
    assert till.balance(sale.id) == (5800, 0, 0)


def test_silence_vouches_for_nothing(till: Till) -> None:
    _, sale = paid(till, "wechat")
    till.platforms.fault("wechat_pay.orderquery", "drop", times=None)
    assert vouching.vouch(sale.id) is False
    assert not vouches()[0].is_good


def test_a_refund_made_elsewhere_is_recorded_before_the_rest_is_vouched_for(till: Till) -> None:
    """Somebody gave money back on the merchant platform: WeChat says REFUND, and lists it."""
    order, sale = paid(till, "wechat")
    gateway = gateways.of(steps.settings_of(till.account("wechat")))
    gateway.refund(gateways.RefundOrder(order.out_trade_no, number(), 8800, 3000))

    assert vouching.vouch(sale.id) is True
    assert vouching.vouch(sale.id) is True

    assert [(row.amount_fen, row.source) for row in till.rows("refund")] == [(3000, "supplemented")]
    assert till.balance(sale.id) == (5800, 0, 0)


def test_a_refund_made_elsewhere_that_is_under_way_vouches_for_nothing(till: Till) -> None:
    order, sale = paid(till, "wechat")
    till.platforms.fault(REFUND["wechat"], "processing")
    gateway = gateways.of(steps.settings_of(till.account("wechat")))
    gateway.refund(gateways.RefundOrder(order.out_trade_no, number(), 8800, 3000))
    assert vouching.vouch(sale.id) is False


@PLATFORMS
def test_a_refund_whose_answer_was_lost_is_asked_for_before_vouching(till: Till, platform: str) -> None:
    order, sale = paid(till, platform)
    till.platforms.fault(REFUND[platform], "commit_then_drop")
    give_back(till, order, 3000)
    till.work()
    assert vouching.vouch(sale.id) is True
    assert till.balance(sale.id) == (5800, 0, 0)  # once, by the order that will settle it
    till.due_in(60)
    assert till.balance(sale.id) == (5800, 0, 0) and len(till.rows("refund")) == 1
