"""Reports of terminals: recorded once, conflicts kept, refunds before their sale, whole revocations."""

from datetime import date

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from miniapp import db
from miniapp.core.models import Task
from miniapp.payments import entries
from miniapp.payments.models import Conflict, Tender, TransactionState, WaitingReturn
from miniapp.payments.reports import Line, Original
from miniapp.payments.rules import Part
from tests.payments.shop import Shop, refund, revocation, sale


def results(shop, *rows, **more):
    return [result.result for result in shop.report(*rows, **more)]


def count(model, *conditions):
    with db.reading() as session:
        return len(session.scalars(select(model).where(*conditions)).all())


def test_the_same_report_twice_is_one_row_and_one_answer(shop: Shop) -> None:
    report = sale("A1", lines=(Line("92号汽油", 8800, quantity="1.000"),))

    first, second = shop.report(report)[0], shop.report(report)[0]

    assert (first.result, second.result) == ("recorded", "known")
    assert first.transaction_id == second.transaction_id
    assert [row.out_trade_no for row in shop.rows()] == ["A1"]


def test_the_same_number_with_other_content_is_refused_and_kept(shop: Shop) -> None:
    assert results(shop, sale("A1", 8800), sale("A1", 8801)) == ["recorded", "conflict"]

    assert [row.amount_fen for row in shop.rows()] == [8800]
    assert count(Conflict, Conflict.number == "A1") == 1


def test_one_bad_row_refuses_itself(shop: Shop) -> None:
    short = sale("A2", tenders=(Part("wallet", "customer", 1),))
    nowhere = sale("A3", platform="unionpay")

    assert results(shop, sale("A1"), short, nowhere, sale("A4")) == [
        "recorded",
        "refused",
        "refused",
        "recorded",
    ]
    assert [row.out_trade_no for row in shop.rows()] == ["A1", "A4"]


def test_a_sale_without_number_gets_its_own_from_what_the_till_printed(shop: Shop) -> None:
    printed = {"terminal_batch_no": "000123", "trace_no": "000456", "rrn": "112233445566"}

    first, again = shop.report(sale(**printed), sale(**printed))

    assert (first.result, again.result) == ("recorded", "known")
    assert first.out_trade_no == again.out_trade_no != ""
    (row,) = shop.rows()
    assert row.out_trade_no == first.out_trade_no


def test_tenders_are_kept_and_give_the_sums(shop: Shop) -> None:
    parts = (
        Part("wallet", "customer", 7000),
        Part("coupon", "platform", 1000),
        Part("coupon", "merchant", 800),
    )
    sale_id = shop.sale("A1", 8800, tenders=parts)

    (row,) = shop.rows()
    assert (row.paid_fen, row.platform_discount_fen, row.merchant_discount_fen) == (7000, 1000, 800)
    assert shop.balance(sale_id) == (7000, 0, 0)
    assert count(Tender) == 3


def test_stored_value_is_not_invoiced_again(shop: Shop) -> None:
    parts = (Part("wallet", "customer", 3000), Part("stored_value", "customer", 5800))
    assert shop.balance(shop.sale("A1", 8800, tenders=parts)) == (3000, 0, 0)


def test_a_refund_lowers_the_limit_by_its_own_money(shop: Shop) -> None:
    parts = (Part("wallet", "customer", 7000), Part("coupon", "platform", 3000))
    sale_id = shop.sale("A1", 10000, tenders=parts)

    assert results(shop, refund("A1", "R1", 5000, tenders=(Part("wallet", "customer", 5000),))) == [
        "recorded"
    ]
    assert shop.balance(sale_id) == (2000, 0, 0)


def test_a_refund_that_does_not_tell_counts_its_share_rounded_up(shop: Shop) -> None:
    parts = (Part("wallet", "customer", 7000), Part("coupon", "platform", 3000))
    sale_id = shop.sale("A1", 10000, tenders=parts)

    shop.report(refund("A1", "R1", 333))

    assert shop.balance(sale_id) == (7000 - 234, 0, 0)


def test_more_than_was_paid_is_not_given_back(shop: Shop) -> None:
    sale_id = shop.sale("A1", 1000)

    assert results(shop, refund("A1", "R1", 600), refund("A1", "R2", 401)) == ["recorded", "refused"]
    assert shop.balance(sale_id) == (400, 0, 0)


def test_a_refund_before_its_sale_waits_and_counts_when_the_sale_comes(shop: Shop) -> None:
    early = refund("A1", "R1", 300)
    assert results(shop, early, early) == ["recorded", "known"]
    assert shop.rows() == [] and count(Task, Task.kind == "orphan_refund", Task.state == "open") == 1

    sale_id = shop.sale("A1", 1000)

    assert shop.balance(sale_id) == (700, 0, 0)
    assert [row.out_refund_no for row in shop.rows("refund")] == ["R1"]
    assert count(Task, Task.state == "open") == 0
    assert results(shop, early) == ["known"]
    assert count(WaitingReturn, WaitingReturn.found_at.is_(None)) == 0


def test_a_waiting_refund_with_other_content_is_a_conflict(shop: Shop) -> None:
    assert results(shop, refund("A1", "R1", 300), refund("A1", "R1", 301)) == ["recorded", "conflict"]


def test_a_revocation_takes_the_whole_sale_back_once(shop: Shop) -> None:
    sale_id = shop.sale("A1", 1000)

    assert results(shop, revocation("A1", 1000), revocation("A1", 1000)) == ["recorded", "known"]
    assert shop.balance(sale_id) == (0, 0, 0)
    assert count(TransactionState) == 1
    assert [row.kind for row in shop.rows()] == ["sale"]


def test_a_revocation_of_a_part_is_refused(shop: Shop) -> None:
    sale_id = shop.sale("A1", 1000)
    assert results(shop, revocation("A1", 999)) == ["refused"]
    assert shop.balance(sale_id) == (1000, 0, 0)


def test_a_revocation_before_its_sale_counts_when_the_sale_comes(shop: Shop) -> None:
    shop.report(revocation("A1", 1000))
    assert shop.balance(shop.sale("A1", 1000)) == (0, 0, 0)


def test_a_refund_names_its_sale_by_batch_trace_and_date(shop: Shop) -> None:
    printed = {"terminal_batch_no": "000123", "trace_no": "000456"}
    sale_id = shop.sale("", 1000, **printed)
    named = Original(**printed, occurred_on=date(2026, 11, 24))
    other_day = Original(**printed, occurred_on=date(2026, 11, 23))

    assert results(shop, refund("", "R1", 200, original=named)) == ["recorded"]
    assert results(shop, refund("", "R2", 200, original=other_day)) == ["recorded"]

    assert shop.balance(sale_id) == (800, 0, 0)
    assert count(WaitingReturn, WaitingReturn.found_at.is_(None)) == 1


def test_a_refund_that_fits_two_sales_is_a_task(shop: Shop) -> None:
    first = shop.sale("A1", 1000, rrn="112233445566")
    second = shop.sale("A2", 1000, rrn="112233445566")

    assert results(shop, refund("", "R1", 200, original=Original(rrn="112233445566"))) == ["recorded"]

    assert shop.balance(first) == shop.balance(second) == (1000, 0, 0)
    with db.reading() as session:
        (task,) = session.scalars(select(Task))
        assert task.kind == "orphan_refund" and task.values["is_ambiguous"] and task.deadline_at


def test_a_number_belongs_to_one_account_whoever_reports_it(shop: Shop) -> None:
    report = sale("A1")
    assert results(shop, report) == ["recorded"]
    assert results(shop, report, terminal_id=shop.other_terminal_id) == ["known"]


def test_each_recorded_row_is_told_in_its_own_transaction(shop: Shop) -> None:
    heard = []
    entries.listen(lambda session, row: heard.append((row.kind, row.id, session.in_transaction())))

    shop.report(sale("A1"), sale("A1"), refund("A1", "R1", 100))

    assert [(kind, inside) for kind, _, inside in heard] == [("sale", True), ("refund", True)]


def test_sale_near_midnight_belongs_to_the_beijing_day(shop: Shop, clock) -> None:
    clock.set_beijing("2026-11-25 00:30:00")
    late = clock.moment.replace(hour=15, minute=59, second=58)  # 23:59:58 in Beijing
    shop.report(sale("A1", occurred_at=late))
    assert shop.rows()[0].bill_date == date(2026, 11, 24)


@pytest.mark.parametrize("table", ["terminal_transaction", "tender", "transaction_line", "transaction_state"])
@pytest.mark.parametrize("verb", ["UPDATE {} SET id = id", "DELETE FROM {}"])
def test_the_ledger_cannot_be_changed(shop: Shop, table: str, verb: str) -> None:
    shop.sale("A1", lines=(Line("92号汽油", 8800),))
    shop.report(revocation("A1", 8800))

    with pytest.raises(DBAPIError, match=f"{table} is append-only"), db.transaction() as session:
        session.execute(text(verb.format(table)))
