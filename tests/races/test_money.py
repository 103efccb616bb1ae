"""Reports and refunds at the same moment: one row each, nothing forgotten, nothing given back twice."""

from datetime import timedelta
from functools import partial

from sqlalchemy import func, select

from miniapp import db
from miniapp.core.errors import Refused
from miniapp.invoices import requesting
from miniapp.payments import ledger, refunding
from miniapp.payments.models import PurchaseBalance, RefundOrder, TerminalTransaction
from miniapp.payments.refunding import RefundAsked
from miniapp.payments.reports import Report
from tests.people import WECHAT_APP, Retailer
from tests.races.running import ROUNDS, good, together, unexpected


def sale_report(retailer: Retailer, number: str, amount_fen: int = 8800) -> Report:
    return Report(
        kind="sale",
        platform="wechat",
        out_trade_no=number,
        amount_fen=amount_fen,
        occurred_at=retailer.clock.moment - timedelta(minutes=1),
    )


def refund_report(retailer: Retailer, number: str, refund_no: str, amount_fen: int) -> Report:
    return Report(
        kind="refund",
        platform="wechat",
        out_trade_no=number,
        out_refund_no=refund_no,
        amount_fen=amount_fen,
        occurred_at=retailer.clock.moment,
    )


def rows_of(number: str) -> list[tuple[str, int]]:
    with db.reading() as session:
        found = session.execute(
            select(TerminalTransaction.kind, TerminalTransaction.amount_fen)
            .where(TerminalTransaction.out_trade_no == number)
            .order_by(TerminalTransaction.id)
        )
        return [tuple(row) for row in found]


def test_the_same_report_many_times_at_once_is_one_row(retailer: Retailer) -> None:
    till = retailer.terminals["T01"]
    for turn in range(ROUNDS):
        report = sale_report(retailer, f"SAME{turn}")

        results = together([partial(ledger.record_report, till, [report])] * 8)

        assert not unexpected(results), results
        words = sorted(one.result for rows in results for one in rows)
        assert words == ["known"] * 7 + ["recorded"]
        assert rows_of(report.out_trade_no) == [("sale", 8800)]


def test_the_same_refund_many_times_at_once_counts_once(retailer: Retailer) -> None:
    till = retailer.terminals["T01"]
    for turn in range(ROUNDS):
        number = retailer.sale(8800, at_platform=False)
        report = refund_report(retailer, number, f"RF{turn}", 800)

        results = together([partial(ledger.record_report, till, [report])] * 6)

        assert sorted(one.result for rows in results for one in rows) == ["known"] * 5 + ["recorded"]
        assert retailer.balance(number) == (8000, 0, 0)


def test_two_refunds_at_once_never_give_back_more_than_was_paid(retailer: Retailer) -> None:
    till = retailer.terminals["T01"]
    for turn in range(ROUNDS):
        number = retailer.sale(8800, at_platform=False)
        reports = [refund_report(retailer, number, f"TW{turn}-{one}", 5000) for one in range(2)]

        results = together([partial(ledger.record_report, till, [one]) for one in reports])

        assert sorted(one.result for rows in results for one in rows) == ["recorded", "refused"]
        assert retailer.balance(number) == (3800, 0, 0)


def test_a_refund_that_comes_beside_its_sale_is_counted(retailer: Retailer) -> None:
    """Neither may miss the other: a refund that waits for a sale that is just being recorded would wait for ever."""
    till = retailer.terminals["T01"]
    for turn in range(ROUNDS * 2):
        number = f"BESIDE{turn}"
        reports = [sale_report(retailer, number), refund_report(retailer, number, f"BR{turn}", 800)]

        results = together([partial(ledger.record_report, till, [one]) for one in reports])

        assert [one.result for rows in results for one in rows] == ["recorded", "recorded"]
        assert retailer.balance(number) == (8000, 0, 0), turn
    assert not retailer.tasks("orphan_refund")


def test_the_same_refund_order_many_times_at_once_is_one(retailer: Retailer) -> None:
    till = retailer.terminals["T01"]
    for turn in range(ROUNDS):
        number = retailer.sale(8800, at_platform=False)
        asked = RefundAsked(number, f"OR{turn}", 800)

        results = together([partial(refunding.refund, till, asked, wait_seconds=0)] * 6)

        assert len(good(results)) == 6, results
        with db.reading() as session:
            count = session.scalar(
                select(func.count()).select_from(RefundOrder).where(RefundOrder.out_refund_no == f"OR{turn}")
            )
        assert count == 1
        assert retailer.balance(number) == (8000, 0, 0)


def test_our_own_refund_beside_the_asking_counts_from_its_intention_on(retailer: Retailer) -> None:
    till, customer = retailer.terminals["T01"], retailer.customer()
    title = retailer.title(customer)
    for turn in range(ROUNDS):
        number = retailer.sale(8800, at_platform=False)
        form = requesting.Ask((retailer.public_id(number),), title, 8800, f"own:{turn}")

        results = together(
            [
                partial(requesting.ask, customer, WECHAT_APP, form),
                partial(refunding.refund, till, RefundAsked(number, f"OW{turn}", 8800), wait_seconds=0),
            ]
        )

        assert not unexpected(results, Refused), results
        assert retailer.balance(number) == (0, 0, 0)
        assert retailer.live_requests(number) == 0


def test_no_balance_is_ever_out_of_its_rule(retailer: Retailer) -> None:
    """Asks, cancellations and refunds all at once on a few purchases."""
    till, customer = retailer.terminals["T01"], retailer.customer()
    title = retailer.title(customer)
    numbers = [retailer.sale(10_000, at_platform=False) for _ in range(3)]

    def ask(turn: int, number: str) -> None:
        left_fen = retailer.balance(number)[0]
        form = requesting.Ask((retailer.public_id(number),), title, left_fen, f"mix:{turn}:{number}")
        requesting.cancel(customer, requesting.ask(customer, WECHAT_APP, form))

    for turn in range(ROUNDS):
        acts = [partial(ask, f"{turn}{again}", number) for number in numbers for again in "ab"]  # type: ignore[arg-type]
        acts += [
            partial(ledger.record_report, till, [refund_report(retailer, one, f"MX{turn}", 7)])
            for one in numbers
        ]
        results = together(acts)
        assert not unexpected(results, Refused), results
        with db.reading() as session:
            for row in session.scalars(select(PurchaseBalance)):
                assert row.claimed_fen == row.excess_fen == 0
                assert row.limit_fen == 10_000 - 7 * (turn + 1)
