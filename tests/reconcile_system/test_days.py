"""Over several days: what is missing today turns up tomorrow, ages, or is given back; the order of runs means nothing."""

from datetime import date
from itertools import permutations

import pytest

from miniapp import db
from miniapp.core import failpoints
from miniapp.outbox.models import Event, Work
from miniapp.reconcile import queries, running
from miniapp.reconcile.models import Batch, Difference
from tests.clocks import Clock
from tests.reconcile_system import bill_files as bills
from tests.reconcile_system.books import Books, day
from tests.reconcile_system.test_running import proof, take

D = "2026-11-20"


def date_text(plus: int) -> str:
    return day(D, plus).isoformat()


def states() -> list[tuple[str, list[str], str]]:
    with db.reading() as session:
        rows = session.query(Difference).order_by(Difference.out_trade_no, Difference.id)
        return [(row.out_trade_no, row.reasons, row.state) for row in rows]


def run(plus: int) -> dict[str, object]:
    report = running.run(day(D, plus), "w1")
    assert report["accounts"]["w1"]["state"] == "done"
    return report


def events(name: str) -> list[dict[str, object]]:
    with db.reading() as session:
        return [one.facts for one in session.query(Event).filter_by(name=name).order_by(Event.id)]


def test_a_sale_at_23_59_58_is_billed_tomorrow(books: Books) -> None:
    sale = books.sale("N1", 1000, f"{date_text(0)} 23:59:58")
    take(bills.wechat(date_text(0), bills.sale("X", 1)))
    run(0)
    assert proof(sale).obstacle == "reconcile.proof.carried_over"

    take(bills.wechat(date_text(1), bills.sale("N1", 1000, at="00:00:01")))
    report = run(1)

    assert proof(sale).kind == "matched"
    assert [one["key"] for one in report["cleared"]] == ["N1"]  # type: ignore[attr-defined]
    assert events("DifferenceSettled") == [{"transaction_ids": [sale]}]


def test_the_order_of_runs_means_nothing(books: Books) -> None:
    books.sale("N1", 1000, f"{date_text(0)} 23:59:58")
    books.sale("N2", 2000, f"{date_text(1)} 00:00:01")
    books.sale("N3", 3000, f"{date_text(1)} 23:59:59")
    take(bills.wechat(date_text(0), bills.sale("N2", 2000, at="23:59:59")))
    take(bills.wechat(date_text(1), bills.sale("N1", 1000, at="00:00:01")))
    take(bills.wechat(date_text(2), bills.sale("N3", 3001, at="00:00:01")))
    seen = set()

    for order in permutations(range(3)):
        with db.transaction() as session:
            session.query(Difference).delete()
            session.query(Batch).update({"state": "open", "done_at": None})
        for plus in (*order, *order):
            run(plus)
        live = [one for one in states() if one[2] != "settled"]
        seen.add(str(live))
        assert live == [("N3", ["amount_differs"], "open")]
        assert proof(books.id_of("N1")).kind == proof(books.id_of("N2")).kind == "matched"

    assert len(seen) == 1


def test_what_stays_missing_is_opened_when_its_days_run_out(books: Books) -> None:
    sale = books.sale("N1", 1000, f"{date_text(-4)} 12:00:00")
    for plus in range(-4, 0):
        take(bills.wechat(date_text(plus), bills.sale(f"X{plus}", 1, at="12:00:00")))
        run(plus)
        assert ("N1", ["ledger_only"], "carried_over") in states(), plus
    take(bills.wechat(date_text(0), bills.sale("X0", 1)))
    run(0)
    assert ("N1", ["ledger_only"], "open") in states()
    run(-4)
    assert ("N1", ["ledger_only"], "open") in states(), "a re-run does not make it young again"

    take(bills.wechat(date_text(1), bills.sale("N1", 1000)))
    run(1)

    assert proof(sale).kind == "matched"


def test_a_row_reported_after_the_run_is_late_until_the_re_run(books: Books) -> None:
    take(bills.wechat(date_text(0), bills.sale("N1", 1000), bills.sale("X", 1)))
    run(0)
    assert ("N1", ["bill_only"], "carried_over") in states()

    listed = books.sale("N1", 1000, f"{date_text(0)} 12:00:00")
    unlisted = books.sale("N2", 500, f"{date_text(0)} 12:00:00")

    with db.reading() as session:
        late = session.query(Difference).filter_by(out_trade_no="N2").one()
        assert late.is_late and late.reasons == ["ledger_only"]
        assert session.query(Work).filter_by(job="reconcile.run").count() > 0
    assert proof(listed).kind is None and proof(unlisted).kind is None
    run(0)
    assert proof(listed).kind == "matched"
    assert proof(unlisted).obstacle == "reconcile.proof.carried_over"


def test_recording_twice_marks_once(books: Books) -> None:
    take(bills.wechat(date_text(0), bills.sale("X", 1)))
    run(0)
    sale = books.sale("N1", 1000, f"{date_text(0)} 12:00:00")

    books.record_again(sale)

    with db.reading() as session:
        assert session.query(Difference).filter_by(out_trade_no="N1").count() == 1


def test_a_vouched_row_with_a_difference_is_marked_and_told(books: Books) -> None:
    sale = books.sale("N1", 1000, f"{date_text(0)} 12:00:00")
    books.vouch(sale)
    assert queries.satisfies(proof(sale), "vouched")
    take(bills.wechat(date_text(0), bills.sale("N1", 900)))

    run(0)

    assert not queries.satisfies(proof(sale), "vouched")
    assert events("DifferenceFound") == [{"transaction_ids": [sale]}]
    with db.reading() as session:
        assert session.query(Difference).one().is_vouched


def test_a_revised_bill_gives_back_what_the_old_one_brought(books: Books) -> None:
    sale = books.sale("N1", 1000, f"{date_text(0)} 23:59:58")
    take(bills.wechat(date_text(0), bills.sale("X", 1)))
    run(0)
    take(bills.wechat(date_text(1), bills.sale("N1", 1000), bills.sale("Y", 1)))
    run(1)
    assert proof(sale).kind == "matched"

    take(bills.wechat(date_text(1), bills.sale("Y", 1)))
    run(1)

    assert proof(sale).obstacle == "reconcile.proof.carried_over"
    assert events("DifferenceFound")[-1] == {"transaction_ids": [sale]}


def test_a_number_listed_on_two_days_is_a_duplicate(books: Books) -> None:
    books.sale("N1", 1000, f"{date_text(0)} 12:00:00")
    take(bills.wechat(date_text(0), bills.sale("N1", 1000)))
    run(0)
    take(bills.wechat(date_text(1), bills.sale("N1", 1000)))

    for _ in range(2):
        run(1)
        assert states() == [("N1", ["duplicate_in_bill"], "open")]
    assert proof(books.id_of("N1")).kind == "matched"


@pytest.mark.parametrize("place", ["recon.file_stored", "recon.written"])
def test_a_crash_leaves_nothing_half_and_the_repeat_ends_the_same(books: Books, place: str) -> None:
    books.sale("N1", 1000, f"{date_text(0)} 12:00:00")
    content = bills.wechat(date_text(0), bills.sale("N1", 1001), bills.sale("N2", 5))
    failpoints.arm(f"{place}=raise@1", environment="test")
    try:
        with pytest.raises(failpoints.FailpointReached):
            take(content)
            run(0)
    finally:
        failpoints.arm("", environment="test")
    assert states() == []
    with db.reading() as session:
        assert session.query(Batch).filter_by(state="done").count() == 0

    take(content)
    run(0)

    assert states() == [("N1", ["amount_differs"], "open"), ("N2", ["bill_only"], "carried_over")]


def test_a_day_that_is_not_over_cannot_be_run(books: Books, clock: Clock) -> None:
    with pytest.raises(Exception, match="还没有结束"):
        running.run(date(2026, 11, 24), "w1")
