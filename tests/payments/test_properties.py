"""Whatever comes in whatever order: no claim above the limit, one payment a number, the platform's money in the ledger."""

import secrets
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from miniapp import db
from miniapp.payments import balances, charging, rules
from miniapp.payments.models import PurchaseBalance
from miniapp.payments.rules import GivenBack, Part
from tests.payments.platforms import Till
from tests.payments.shop import Shop, refund, revocation
from tests.payments.test_charging import CANCEL, PAY, QUERY, asked, open_tasks

FEW = settings(
    max_examples=25,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
FEWER = settings(FEW, max_examples=8)
FEN = st.integers(1, 400)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("claim"), FEN),
        st.tuples(st.just("keep"), FEN),  # claimed by what is being issued: cannot be shrunk
        st.tuples(st.just("release"), st.integers(0, 9)),
        st.tuples(st.just("refund"), FEN),
        st.tuples(st.just("refund_untold"), FEN),
        st.tuples(st.just("revoke"), st.just(0)),
    ),
    max_size=14,
)


@FEW
@given(steps=STEPS, paid_fen=st.integers(0, 500), discount_fen=st.integers(0, 200))
def test_nothing_is_claimed_above_the_limit(
    shop: Shop, steps: list[tuple[str, int]], paid_fen: int, discount_fen: int
) -> None:
    amount_fen = max(1, paid_fen + discount_fen)
    parts = [Part("wallet", "customer", paid_fen), Part("coupon", "platform", amount_fen - paid_fen)]
    number = f"P{secrets.token_hex(8)}"
    tenders = tuple(part for part in parts if part.amount_fen)
    sale_id = shop.sale(number, amount_fen, tenders=tenders)
    held, kept = shop.claims.held.setdefault(sale_id, []), []
    for verb, value in steps:
        if verb in ("claim", "keep"):
            _claim(shop, sale_id, value, held if verb == "claim" else kept)
        elif verb == "release" and kept:
            with db.transaction() as session:
                balances.release(session, sale_id, kept.pop(value % len(kept)))
        elif verb == "refund":
            own_fen = min(value, paid_fen)
            told = (Part("wallet", "customer", own_fen), Part("coupon", "platform", value - own_fen))
            tenders = tuple(part for part in told if part.amount_fen)
            shop.report(refund(number, f"R{secrets.token_hex(8)}", value, tenders=tenders))
        elif verb == "refund_untold":
            shop.report(refund(number, f"R{secrets.token_hex(8)}", value))
        elif verb == "revoke":
            shop.report(revocation(number, amount_fen))
        _check(shop, sale_id, paid_fen, held, kept)


def _claim(shop: Shop, sale_id: int, amount_fen: int, into: list[int]) -> None:
    limit, claimed, excess = shop.balance(sale_id)
    with db.transaction() as session:
        taken = balances.claim(session, sale_id, amount_fen)
    assert taken == (excess == 0 and claimed + amount_fen <= limit)
    if taken:
        into.append(amount_fen)


def _check(shop: Shop, sale_id: int, paid_fen: int, held: list[int], kept: list[int]) -> None:
    limit, claimed, excess = shop.balance(sale_id)
    assert 0 <= limit <= paid_fen
    assert claimed == sum(held) + sum(kept)
    assert excess == max(0, claimed - limit)
    if excess:
        assert held == [], "what can be shrunk is shrunk before anything is excess"
        assert any(told[0] == sale_id for told in shop.claims.told)


@given(
    paid_fen=st.integers(0, 10**8),
    extra_fen=st.integers(0, 10**6),
    refunds=st.lists(st.tuples(st.integers(1, 10**8), st.none() | st.integers(0, 10**8)), max_size=6),
)
def test_refunds_never_give_back_more_than_was_paid(paid_fen, extra_fen, refunds) -> None:
    amount_fen = max(1, paid_fen + extra_fen)
    given_back = [GivenBack(gross, own) for gross, own in refunds]
    back = rules.refunded_own(paid_fen=paid_fen, amount_fen=amount_fen, refunds=given_back)
    assert 0 <= back <= paid_fen
    for mode in ("exclude", "invoice"):
        left = rules.invoiceable_fen(
            paid_fen=paid_fen,
            refunded_fen=back,
            platform_discount_fen=amount_fen - paid_fen,
            platform_discount=mode,
        )
        assert 0 <= left <= amount_fen
        assert back < paid_fen or left == 0
    if sum(gross for gross, _ in refunds) >= amount_fen:
        assert back == paid_fen


def test_platform_discount_is_invoiced_in_proportion_where_the_store_says_so() -> None:
    assert (
        rules.invoiceable_fen(
            paid_fen=7000, refunded_fen=3500, platform_discount_fen=1001, platform_discount="invoice"
        )
        == 4000
    )
    assert (
        rules.invoiceable_fen(
            paid_fen=0, refunded_fen=0, platform_discount_fen=1001, platform_discount="invoice"
        )
        == 0
    )


@pytest.mark.parametrize("rounds", [5])
def test_twenty_claims_at_once_take_the_purchase_once(shop: Shop, rounds: int) -> None:
    for _ in range(rounds):
        sale_id, taken = shop.sale(f"C{secrets.token_hex(8)}", 8800), []

        def claim(sale_id: int = sale_id, taken: list[bool] = taken) -> None:
            with db.transaction() as session:
                taken.append(balances.claim(session, sale_id, 8800))

        _together(claim)
        assert taken.count(True) == 1 and len(taken) == 20
        assert shop.balance(sale_id) == (8800, 8800, 0)


def test_refunds_and_claims_at_once_leave_the_balance_true(shop: Shop) -> None:
    sale_id, turns = shop.sale("C1", 2000), iter(range(20))
    held = shop.claims.held.setdefault(sale_id, [])
    lock = threading.Lock()

    def act() -> None:
        with lock:
            turn = next(turns)
        if turn % 2:
            shop.report(refund("C1", f"R{turn}", 90))
            return
        with db.transaction() as session:
            if balances.claim(session, sale_id, 150):
                balances.lock(session, sale_id)
                held.append(150)

    _together(act)
    limit, claimed, excess = shop.balance(sale_id)
    assert limit == 2000 - 900 and excess == 0 and claimed == sum(held) <= limit
    with db.reading() as session:
        assert session.get_one(PurchaseBalance, sale_id).limit_fen == limit


FAULTS = st.sampled_from(["", "drop", "commit_then_drop", "http_500", "garbage", "cut_reply:20"])
SCRIPT = st.fixed_dictionaries(
    {
        "platform": st.sampled_from(["wechat", "alipay"]),
        "outcome": st.sampled_from(["paid", "userpaying", "userpaying:2", "payerror", "notenough"]),
        "pay": FAULTS,
        "query": FAULTS,
        "cancel": FAULTS,
        "times": st.integers(1, 4),
        "confirms_at": st.none() | st.integers(0, 11),
    }
)


@FEWER
@given(script=SCRIPT)
def test_each_charge_ends_as_the_platform_says(till: Till, script) -> None:
    till.platforms.heal()
    platform = script["platform"]
    for door, kind in ((PAY, script["pay"]), (QUERY, script["query"]), (CANCEL, script["cancel"])):
        if kind:
            till.platforms.fault(door[platform], kind, times=1 if door is PAY else script["times"])
    order = asked(till, platform, outcome=script["outcome"])
    begun = till.platforms.clock.moment
    charging.charge(till.terminal_id, order, wait_seconds=20)
    for turn in range(12):
        if turn == script["confirms_at"]:
            till.platforms.post("payments/answer", {"person": "customer_a", "accept": True})
        till.due_in(min(5, max(1, 50 - (till.platforms.clock.moment - begun).seconds)))
    assert charging.view(till.terminal_id, order.out_trade_no).state != "paying"
    till.platforms.heal()
    for _ in range(6):
        till.due_in(200)

    view = charging.view(till.terminal_id, order.out_trade_no)
    there = [row for row in till.platforms.payments() if row["out_trade_no"] == order.out_trade_no]
    kept = sum(
        row["amount_fen"] - sum(one["amount_fen"] for one in row["refunds"])
        for row in there
        if row["paid_at"]
    )
    ours = [row for row in till.rows("sale") if row.out_trade_no == order.out_trade_no]
    assert view.is_settled and len(there) <= 1 and len(ours) <= 1
    assert kept == (8800 if view.state == "paid" else 0)
    assert sum(till.balance(row.id)[0] for row in ours) == kept
    assert open_tasks("unknown_charge") == []


def _together(act) -> None:
    threads = [threading.Thread(target=act) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
