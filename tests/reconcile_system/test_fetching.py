"""The morning after, with the real platforms of the sandbox: bills are fetched, asked again, and reconciled by themselves."""

from datetime import date

import pytest
from sqlalchemy import select

from miniapp import db
from miniapp.reconcile import fetching, queries, running
from miniapp.reconcile.models import Batch, BillFile, Difference, FetchRun
from miniapp.stores.models import MerchantAccount
from tests.people import Retailer

DAY = date(2026, 11, 24)


def account(code: str) -> int:
    with db.reading() as session:
        return session.scalars(select(MerchantAccount.id).where(MerchantAccount.code == code)).one()


def morning_after(retailer: Retailer, clock_time: str = "10:11:00") -> None:
    retailer.clock.set_beijing(f"2026-11-25 {clock_time}")
    retailer.sync()


def outcomes() -> list[tuple[int, str]]:
    with db.reading() as session:
        return [
            (row.merchant_account_id, row.outcome)
            for row in session.scalars(select(FetchRun).order_by(FetchRun.id))
        ]


def batches() -> list[tuple[str, bool]]:
    with db.reading() as session:
        rows = session.scalars(
            select(Batch).where(Batch.bill_date == DAY).order_by(Batch.merchant_account_id)
        )
        return [(row.state, row.is_empty_day) for row in rows]


def proof(retailer: Retailer, number: str) -> queries.Proof:
    from miniapp.payments.models import TerminalTransaction

    with db.reading() as session:
        sale = session.scalars(
            select(TerminalTransaction.id).where(TerminalTransaction.out_trade_no == number)
        ).one()
        return queries.proof_of(session, sale)


def test_the_day_is_reconciled_by_itself(retailer: Retailer) -> None:
    number = retailer.sale(8800)
    lost = retailer.sale(500, at_platform=False)
    morning_after(retailer, "10:09:00")
    assert fetching.plan() == 0, "before 10:10 nothing is asked"
    morning_after(retailer)

    assert fetching.plan() == 2 and fetching.plan() == 0
    retailer.settle(rounds=3, step=20)

    assert batches() == [("done", False), ("done", True)], "WeChat's bill, and Alipay's day without trade"
    assert proof(retailer, number).kind == "matched"
    assert proof(retailer, lost).obstacle == "reconcile.proof.carried_over"
    with db.reading() as session:
        file = session.scalars(select(BillFile)).one()
        assert (file.source, file.trailer) == ("fetched", "agrees")


def test_a_bill_that_is_not_made_yet_is_asked_for_again(retailer: Retailer) -> None:
    retailer.sale(8800)
    morning_after(retailer, "06:00:00")

    early = fetching.fetch(account("wx"), DAY)
    assert early.outcome == "not_yet" and early.wait_seconds

    morning_after(retailer)
    assert fetching.fetch(account("wx"), DAY).outcome == "fetched"
    assert fetching.fetch(account("wx"), DAY).outcome == "same"


def test_silence_is_no_empty_day_while_the_ledger_knows_of_sales(retailer: Retailer) -> None:
    retailer.sale(8800, at_platform=False)
    morning_after(retailer)

    found = fetching.fetch(account("wx"), DAY)

    if found.outcome != "fetched":  # the sandbox keeps other tests' payments of this day
        assert found.outcome == "not_yet"
        assert batches()[0] == ("open", False)


def test_running_by_hand_fetches_what_is_absent(retailer: Retailer) -> None:
    number = retailer.sale(8800)
    morning_after(retailer)

    report = running.run(DAY)

    assert {code: one["state"] for code, one in report["accounts"].items()} == {"wx": "done", "zfb": "done"}
    assert proof(retailer, number).kind == "matched"
    with db.reading() as session:
        assert session.query(Difference).filter_by(out_trade_no=number).count() == 0


@pytest.mark.parametrize(
    ("door", "fault", "outcome"),
    [
        ("wechat_pay.tradebill", "silence", "unknown"),
        ("wechat_pay.tradebill", "bad_sign", "unknown"),
        ("wechat_pay.bills", "wrong_hash", "unknown"),
        ("wechat_pay.bills", "cut:300", "refused"),
        ("wechat_pay.bills", "foreign", "refused"),
        ("wechat_pay.bills", "late", "not_yet"),
    ],
)
def test_a_bill_that_cannot_be_believed_is_not_taken(
    retailer: Retailer, door: str, fault: str, outcome: str
) -> None:
    retailer.sale(8800)
    morning_after(retailer)
    retailer.fault(door, fault, times=None)

    found = fetching.fetch(account("wx"), DAY)

    assert (found.outcome, bool(found.message)) == (outcome, True)
    assert batches() == [("open", False)]
    with db.reading() as session:
        assert session.query(BillFile).count() == 0


@pytest.mark.parametrize(
    ("fault", "reasons"),
    [
        ("missing_row", ["ledger_only"]),
        ("off_by_a_fen", ["amount_differs"]),
        ("duplicate_row", ["duplicate_in_bill"]),
        ("status:REVOKED", ["status_differs"]),
    ],
)
def test_what_the_platform_lists_otherwise_is_a_difference_until_it_is_revised(
    retailer: Retailer, fault: str, reasons: list[str]
) -> None:
    number = retailer.sale(8800)
    morning_after(retailer)
    retailer.fault("wechat_pay.bills", fault, times=None, out_trade_no=number)

    running.run(DAY, "wx")

    with db.reading() as session:
        assert [row.reasons for row in session.query(Difference).filter_by(out_trade_no=number)] == [reasons]
    assert proof(retailer, number).kind is None
    retailer.heal()
    assert fetching.fetch(account("wx"), DAY).outcome == "revised"
    report = running.run(DAY, "wx")
    assert report["accounts"]["wx"]["version"] == 2 and proof(retailer, number).kind == "matched"
