"""Two answers to one request within a millisecond: one counts, and the channel issues once by its own count."""

import itertools
from functools import partial
from typing import Any

from miniapp import db, wiring
from miniapp.core.errors import Failure, Refused
from miniapp.invoices import confirming, issuing, requesting
from miniapp.outbox.worker import Worker
from tests.people import Opened, Retailer
from tests.races.running import ROUNDS, good, together, unexpected

MOST = max(3, ROUNDS // 4)
"""Rounds of races that issue at the channel, which take longer."""


def awaiting(retailer: Retailer, number: str) -> tuple[int, int]:
    """A new request that waits for a cashier: (id, version)."""
    request = retailer.ask(number)
    retailer.work(seconds=3)
    view = retailer.view(request)
    assert view.row.state == "awaiting_confirmation", view.row
    return confirming.by_public_id(request), view.row.version


def issues_of(retailer: Retailer, request_id: int) -> list[dict[str, Any]]:
    """What the channel has issued for a request, by its own ledger."""
    order_id = issuing.order_of(request_id)
    if order_id is None:
        return []
    with db.reading() as session:
        serial = session.get_one(issuing.OrderRow, order_id).serial
    return [row for row in retailer.issued_outside() if row["serial"] == serial]


def both(retailer: Retailer) -> tuple[int, int]:
    for name in ("收银员甲", "收银员乙"):
        retailer.on_duty(name)
    return retailer.staff["收银员甲"], retailer.staff["收银员乙"]


def test_two_cashiers_within_a_millisecond_are_one_issue(asking_retailer: Retailer) -> None:
    retailer = asking_retailer
    first, second = both(retailer)
    before = len(retailer.issued_outside())
    for turn in range(MOST):
        request_id, version = awaiting(retailer, retailer.sale(8800))

        results = together(
            [partial(confirming.approve, request_id, version=version, by=one) for one in (first, second)]
        )

        assert len(good(results)) == 1 and not unexpected(results, Failure), results
        retailer.settle(rounds=4)
        assert len(issues_of(retailer, request_id)) == 1
        assert len(retailer.issued_outside()) == before + turn + 1


def test_of_a_yes_and_a_no_one_counts(asking_retailer: Retailer) -> None:
    retailer = asking_retailer
    first, second = both(retailer)
    for _ in range(MOST):
        number = retailer.sale(8800)
        request_id, version = awaiting(retailer, number)

        yes, no = together(
            [
                partial(confirming.approve, request_id, version=version, by=first),
                partial(confirming.reject, request_id, version=version, by=second, reason="金额不符"),
            ]
        )

        assert isinstance(yes, Failure) != isinstance(no, Failure), (yes, no)
        retailer.settle(rounds=4)
        assert len(issues_of(retailer, request_id)) == (0 if isinstance(yes, Failure) else 1)
        assert retailer.balance(number) == (8800, 0 if isinstance(yes, Failure) else 8800, 0)


def test_of_a_yes_and_a_cancellation_one_counts(asking_retailer: Retailer) -> None:
    retailer = asking_retailer
    first, _ = both(retailer)
    customer = retailer.customer()
    for _ in range(MOST):
        request = retailer.ask(retailer.sale(8800))
        retailer.work(seconds=3)
        view = retailer.view(request)
        request_id = confirming.by_public_id(request)

        results = together(
            [
                partial(confirming.approve, request_id, version=view.row.version, by=first),
                partial(requesting.cancel, customer, request),
            ]
        )

        assert sum(isinstance(one, Failure) for one in results) == 1, results
        retailer.settle(rounds=4)
        assert len(issues_of(retailer, request_id)) == (0 if isinstance(results[0], Failure) else 1)


def test_a_refund_beside_the_approval_is_never_invoiced(asking_retailer: Retailer) -> None:
    retailer = asking_retailer
    first, _ = both(retailer)
    for _ in range(MOST):
        number = retailer.sale(8800)
        request_id, version = awaiting(retailer, number)

        results = together(
            [
                partial(confirming.approve, request_id, version=version, by=first),
                partial(retailer.refund, number, 800),
            ]
        )

        assert not unexpected(results, Failure), results
        retailer.settle(rounds=4)
        assert sum(row["total_fen"] for row in issues_of(retailer, request_id)) <= 8000
        assert retailer.balance(number)[2] == 0


def test_a_refund_beside_the_last_look_is_counted_or_told(open_retailer: Opened) -> None:
    """Whoever comes first: nothing above the limit is issued, or what is above it is excess with an open task."""
    retailer = open_retailer()
    told = 0
    for turn in range(MOST * 2):
        number = retailer.sale(8800)
        request = retailer.ask(number)
        request_id = confirming.by_public_id(request)
        retailer.work(seconds=2) if turn % 2 else _until_approved(retailer, request)

        results = together(
            [partial(issuing.begin, request_id), partial(retailer.refund, number, 800), retailer.work]
        )

        assert not unexpected(results, Failure), results
        retailer.settle(rounds=6)
        limit_fen, claimed_fen, excess_fen = retailer.balance(number)
        issued_fen = sum(row["total_fen"] for row in issues_of(retailer, request_id))
        assert limit_fen == 8000 and issued_fen in (0, 8000, 8800) and issued_fen <= claimed_fen
        assert excess_fen == max(0, issued_fen - limit_fen)
        told += bool(excess_fen)
        assert len(retailer.tasks("reversal")) == told


def _until_approved(retailer: Retailer, request: str) -> None:
    """Work one by one until the request is approved, before the work of issuing it has run."""
    worker = Worker(wiring.jobs(retailer.config), wiring.AFTER)
    for name in itertools.cycle(["round"]):
        if retailer.state(request) != "waiting_reconciliation":
            return
        retailer.clock.forward(seconds=1)
        retailer.sync()
        getattr(worker, name)()


def test_expiry_beside_the_approval_is_one_end(asking_retailer: Retailer) -> None:
    from datetime import timedelta

    retailer = asking_retailer
    first, _ = both(retailer)
    for _ in range(MOST):
        number = retailer.sale(8800)
        request_id, version = awaiting(retailer, number)
        retailer.clock.forward(seconds=60)

        yes, expired = together(
            [
                partial(confirming.approve, request_id, version=version, by=first),
                partial(requesting.expire_due, after=timedelta(seconds=30)),
            ]
        )

        assert isinstance(yes, Refused | Failure) == bool(expired), (yes, expired)
        retailer.settle(rounds=3)
        assert len(issues_of(retailer, request_id)) == (0 if expired else 1)


def test_a_platform_that_is_silent_at_the_last_look_is_asked_again(open_retailer: Opened) -> None:
    """An old proof is asked about once more before the call; silence then must not lose the proof for good."""
    retailer = open_retailer(policy='{ confirm = "always" }')
    retailer.on_duty("收银员甲")
    request_id, version = awaiting(retailer, retailer.sale(8800))
    retailer.clock.forward(minutes=70)
    retailer.sync()
    confirming.approve(request_id, version=version, by=retailer.staff["收银员甲"])
    retailer.fault("wechat_pay.orderquery", "http_500", times=2)

    retailer.settle(rounds=8)

    assert len(issues_of(retailer, request_id)) == 1


def test_the_last_look_stops_what_is_not_proved_any_more(open_retailer: Opened) -> None:
    """Between the approval and the call the platform knows of no payment: the request waits, nothing is issued."""
    retailer = open_retailer(policy='{ confirm = "always" }')
    retailer.on_duty("收银员甲")
    request_id, version = awaiting(retailer, retailer.sale(8800))
    retailer.clock.forward(minutes=70)
    retailer.sync()
    confirming.approve(request_id, version=version, by=retailer.staff["收银员甲"])
    retailer.fault("wechat_pay.orderquery", "err:ORDERNOTEXIST", times=None)

    retailer.settle(rounds=4)

    assert not issues_of(retailer, request_id)
    assert len(retailer.tasks()) == 0


def test_a_repeated_order_is_as_young_as_its_last_call(open_retailer: Opened) -> None:
    """The first call never arrived, the second did without an answer: "not found" proves nothing again for a while."""
    retailer = open_retailer()
    request = retailer.ask(retailer.sale(8800))
    retailer.fault("nuonuo.requestBillingNew", "drop")
    retailer.fault("nuonuo.requestBillingNew", "commit_then_drop")
    retailer.fault("nuonuo.queryInvoiceResult", "not_found", times=None)
    retailer.settle(rounds=3)
    retailer.settle(rounds=1, step=700)
    retailer.settle(rounds=3, step=180)
    retailer.heal()
    retailer.settle(rounds=10, step=60)

    assert retailer.state(request) == "issued"
    assert len(issues_of(retailer, confirming.by_public_id(request))) == 1
