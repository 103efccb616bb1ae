"""A day is closed by two persons; a story over three days with carry-over, a late bill, a revised bill, a reopening."""

from datetime import date

import pytest
from sqlalchemy.exc import IntegrityError

from miniapp import db
from miniapp.core import failpoints
from miniapp.core.clock import now
from miniapp.core.errors import Again, Forbidden, Refused
from miniapp.core.models import Task
from miniapp.outbox.models import Event
from miniapp.reconcile import closing, resolving, running
from miniapp.reconcile.models import Day, DayAct, DayHand, Difference
from miniapp.stores.models import StaffRole
from tests.reconcile_system import bill_files as bills
from tests.reconcile_system.books import Books, day
from tests.reconcile_system.test_running import proof, take

DAY = date(2026, 11, 23)
AT = "2026-11-23 12:00:00"


def the_day(bill_date: date = DAY) -> Day:
    with db.reading() as session:
        return session.query(Day).filter_by(bill_date=bill_date).one()


def both_bills(books: Books, *rows: bills.Row, on: date = DAY) -> None:
    take(bills.wechat(on.isoformat(), *rows))
    take(bills.alipay(on.isoformat()), "a1")
    running.run(on)


def close(books: Books, on: date = DAY) -> None:
    closing.submit(books.company_id, on, by=books.maker)
    closing.confirm(books.company_id, on, by=books.checker)


def test_a_clean_day_is_submitted_by_one_and_confirmed_by_another(books: Books) -> None:
    sale = books.sale("N1", 1000, AT)
    both_bills(books, bills.sale("N1", 1000))
    assert not proof(sale).is_closed

    close(books)

    closed = the_day()
    assert closed.state == "closed" and closed.totals is not None
    assert closed.totals["accounts"]["w1"]["bill"]["sale"] == {"count": 1, "amount_fen": 1000}
    assert closed.totals["accounts"]["a1"]["bill"]["sale"]["count"] == 0
    assert proof(sale).is_closed
    with db.reading() as session:
        facts = [one.facts for one in session.query(Event).filter_by(name="DayClosed")]
    assert facts == [{"company_id": books.company_id, "bill_date": "2026-11-23"}]


def test_the_same_person_cannot_do_both(books: Books) -> None:
    both_bills(books, bills.sale("N1", 1000), bills.sale("N2", 5))
    books.sale("N1", 1000, AT)
    books.sale("N2", 5, AT)
    running.run(DAY)
    closing.submit(books.company_id, DAY, by=books.maker)

    with pytest.raises(Refused, match="财务甲"):
        closing.confirm(books.company_id, DAY, by=books.maker)

    assert the_day().state == "submitted"


def test_the_database_refuses_the_same_person_in_both_hands(books: Books) -> None:
    both_bills(books, bills.sale("N1", 1000))
    closing.submit(books.company_id, DAY, by=books.maker)
    day_id = the_day().id

    with pytest.raises(IntegrityError), db.transaction() as session:
        session.query(Day).update(
            {"state": "closed", "closed_at": now(), "totals": {}, "confirmed_by_id": books.maker}
        )
    with pytest.raises(IntegrityError), db.transaction() as session:
        session.add(DayHand(day_id=day_id, person_id=books.maker, hand="checker", since=now()))
    with pytest.raises(IntegrityError), db.transaction() as session:
        session.add(DayAct(day_id=day_id, person_id=books.maker, hand="checker", act="confirm", at=now()))


def test_who_resolved_may_not_confirm(books: Books) -> None:
    books.sale("N1", 1000, AT)
    both_bills(books, bills.sale("N1", 999))
    with db.reading() as session:
        difference = session.query(Difference).one()
    proposed = resolving.propose(difference.id, kind="write_off", reason="尾差", by=books.third)
    resolving.approve(proposed, by=books.checker)
    closing.submit(books.company_id, DAY, by=books.maker)

    with pytest.raises(Refused, match="财务丙"):
        closing.confirm(books.company_id, DAY, by=books.third)
    closing.confirm(books.company_id, DAY, by=books.checker)


def test_an_open_difference_or_a_missing_bill_stops_it(books: Books) -> None:
    take(bills.wechat("2026-11-23", bills.sale("N1", 999)))
    running.match_account(books.accounts["wechat"], DAY)
    with pytest.raises(Refused, match="a1"):
        closing.submit(books.company_id, DAY, by=books.maker)

    books.sale("N1", 1000, AT)
    take(bills.alipay("2026-11-23"), "a1")
    running.run(DAY)
    with pytest.raises(Refused, match="1 条差异"):
        closing.submit(books.company_id, DAY, by=books.maker)


def test_carried_over_rows_are_allowed_by_role(books: Books) -> None:
    books.sale("N1", 1000, "2026-11-23 23:59:58")
    both_bills(books, bills.sale("X", 1))
    books.sale("X", 1, AT)
    running.run(DAY)
    with db.transaction() as session:
        session.query(StaffRole).filter_by(staff_id=books.third).update({"role": "administrator"})

    with pytest.raises(Forbidden):
        closing.submit(books.company_id, DAY, by=books.third)
    close(books)

    assert the_day().totals["differences"]["carried_over"] == 1  # type: ignore[index]


def test_what_changed_after_submitting_is_not_confirmed(books: Books) -> None:
    books.sale("N1", 1000, AT)
    both_bills(books, bills.sale("N1", 1000))
    closing.submit(books.company_id, DAY, by=books.maker)
    books.sale("N2", 500, "2026-11-23 23:59:59")
    running.run(DAY)

    with pytest.raises(Refused, match="退回"):
        closing.confirm(books.company_id, DAY, by=books.checker)

    closing.return_day(books.company_id, DAY, by=books.checker, why="数字变了")
    close(books)


def test_twice_is_told(books: Books) -> None:
    both_bills(books, bills.sale("N1", 1000))
    closing.submit(books.company_id, DAY, by=books.maker)
    with pytest.raises(Again):
        closing.submit(books.company_id, DAY, by=books.maker)
    closing.confirm(books.company_id, DAY, by=books.checker)
    with pytest.raises(Again):
        closing.confirm(books.company_id, DAY, by=books.checker)


def test_a_crash_while_closing_leaves_the_day_open(books: Books) -> None:
    both_bills(books, bills.sale("N1", 1000))
    closing.submit(books.company_id, DAY, by=books.maker)
    failpoints.arm("day.closed=raise@1", environment="test")
    try:
        with pytest.raises(failpoints.FailpointReached):
            closing.confirm(books.company_id, DAY, by=books.checker)
    finally:
        failpoints.arm("", environment="test")
    assert the_day().state == "submitted" and the_day().totals is None

    closing.confirm(books.company_id, DAY, by=books.checker)

    assert the_day().state == "closed"


def test_three_days(books: Books) -> None:
    first, second = day("2026-11-20"), day("2026-11-21")

    # Day one: a sale two seconds before midnight is not in its bill. The day closes with it carried over.
    late_evening = books.sale("N1", 1000, f"{first} 23:59:58")
    noon = books.sale("N2", 500, f"{first} 12:00:00")
    both_bills(books, bills.sale("N2", 500), on=first)
    assert proof(noon).kind == "matched"
    assert proof(late_evening).obstacle == "reconcile.proof.carried_over"
    close(books, first)

    # Day two: its bill brings the sale. A terminal reports a sale of day two after the run.
    both_bills(books, bills.sale("N1", 1000, at="00:00:01"), bills.sale("N3", 300), on=second)
    assert proof(late_evening).kind == "matched" and proof(late_evening).is_closed
    reported_late = books.sale("N3", 300, f"{second} 18:00:00")
    assert proof(reported_late).kind is None
    running.run(second)
    assert proof(reported_late).kind == "matched"
    close(books, second)
    frozen = the_day(second).totals

    # Day three: the platform revises the bill of day two. The closed day keeps what it froze; a person is told.
    revised = take(bills.wechat(second.isoformat(), bills.sale("N1", 1000), bills.sale("N3", 299)))
    assert revised.result == "day_closed"
    running.run(second)
    assert the_day(second).totals == frozen and proof(reported_late).kind == "matched"
    with db.reading() as session:
        assert [task.kind for task in session.query(Task)] == ["revised_bill"]

    # Two persons reopen it: now the new version counts, the difference is settled, and the day closes again.
    closing.ask_reopening(books.company_id, second, by=books.maker, why="账单更正")
    assert proof(reported_late).is_closed, "until the second person agrees it is closed"
    with pytest.raises(Refused):
        closing.reopen(books.company_id, second, by=books.maker)
    closing.reopen(books.company_id, second, by=books.checker)
    assert running.run(second)["accounts"]["w1"]["version"] == 2
    assert proof(reported_late).obstacle == "reconcile.proof.difference"
    with db.reading() as session:
        difference = session.query(Difference).filter_by(out_trade_no="N3", state="open").one()
    resolving.approve(
        resolving.propose(difference.id, kind="write_off", reason="尾差一分", by=books.maker),
        by=books.checker,
    )
    close(books, second)
    assert the_day(second).round == 2 and the_day(second).totals != frozen
    with db.reading() as session:
        kept = [act.totals for act in session.query(DayAct).filter_by(act="confirm").order_by(DayAct.id)]
    assert frozen in kept, "what was frozen first is kept with the act that froze it"
