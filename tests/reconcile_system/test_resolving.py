"""Two persons resolve a difference; what they decide stands over re-runs, and the database keeps them apart."""

from datetime import date

import pytest
from sqlalchemy.exc import IntegrityError

from miniapp import db
from miniapp.core.clock import now
from miniapp.core.errors import Again, Forbidden, Refused
from miniapp.core.models import AuditLine, FileLink
from miniapp.payments.models import Tender, TerminalTransaction
from miniapp.reconcile import resolving, running
from miniapp.reconcile.models import DayHand, Difference, Resolution
from tests.reconcile_system import bill_files as bills
from tests.reconcile_system.books import Books
from tests.reconcile_system.test_running import proof, take

DAY = date(2026, 11, 23)
AT = "2026-11-23 12:00:00"


def one(number: str = "N1") -> Difference:
    with db.reading() as session:
        return session.query(Difference).filter_by(out_trade_no=number).one()


def run() -> list[str]:
    return [found["key"] for found in running.run(DAY, "w1")["differences"]]


@pytest.fixture
def amount(books: Books) -> int:
    """A sale of 10.00 that the bill lists with 9.00."""
    sale = books.sale("N1", 1000, AT)
    take(bills.wechat("2026-11-23", bills.sale("N1", 900)))
    run()
    return sale


def test_another_person_approves_and_the_sale_goes_on(books: Books, amount: int) -> None:
    proposed = resolving.propose(one().id, kind="accept_ledger", reason="平台已更正", by=books.maker)
    assert proof(amount).kind is None, "a proposal changes nothing yet"

    resolving.approve(proposed, by=books.checker)

    assert proof(amount).kind == "matched"
    assert run() == [] and run() == [], "a re-run does not bring back what two people settled"
    with db.reading() as session:
        verbs = [line.verb for line in session.query(AuditLine).filter_by(subject="difference")]
    assert verbs == ["propose_accept_ledger", "approve_accept_ledger"]


def test_the_bill_believed_against_the_sale_keeps_it_from_being_invoiced(books: Books, amount: int) -> None:
    resolving.approve(
        resolving.propose(one().id, kind="accept_bill", reason="少收", by=books.maker), by=books.checker
    )

    assert one().state == "settled" and proof(amount).kind is None


def test_nobody_approves_their_own_proposal(books: Books, amount: int) -> None:
    proposed = resolving.propose(one().id, kind="hold", reason="待查", by=books.maker)

    with pytest.raises(Refused, match="财务甲"):
        resolving.approve(proposed, by=books.maker)

    assert one().state == "open"


def test_the_database_refuses_one_person_in_both_hands(books: Books, amount: int) -> None:
    proposed = resolving.propose(one().id, kind="hold", reason="待查", by=books.maker)
    with pytest.raises(IntegrityError), db.transaction() as session:
        session.query(Resolution).filter_by(id=proposed).update(
            {"state": "approved", "decided_by_id": books.maker, "decided_at": now()}
        )
    with db.reading() as session:
        day_id = session.query(DayHand.day_id).scalar()

    with pytest.raises(IntegrityError), db.transaction() as session:
        session.add(DayHand(day_id=day_id, person_id=books.maker, hand="checker", since=now()))


def test_who_proposed_anything_of_a_day_approves_nothing_of_it(books: Books) -> None:
    books.sale("N1", 1000, AT)
    books.sale("N2", 1000, AT)
    take(bills.wechat("2026-11-23", bills.sale("N1", 900), bills.sale("N2", 900)))
    run()
    resolving.propose(one("N1").id, kind="hold", reason="待查", by=books.maker)
    proposed = resolving.propose(one("N2").id, kind="hold", reason="待查", by=books.third)

    with pytest.raises(Refused, match="财务甲"):
        resolving.approve(proposed, by=books.maker)
    resolving.approve(proposed, by=books.checker)

    with pytest.raises(Refused, match="财务乙"):
        resolving.propose(one("N2").id, kind="accept_ledger", reason="可", by=books.checker)


def test_a_cashier_resolves_nothing(books: Books, amount: int) -> None:
    with pytest.raises(Forbidden):
        resolving.propose(one().id, kind="hold", reason="待查", by=books.cashier)


def test_twice_is_told_and_changes_nothing(books: Books, amount: int) -> None:
    proposed = resolving.propose(one().id, kind="accept_ledger", reason="可", by=books.maker)
    with pytest.raises(Again):
        resolving.propose(one().id, kind="hold", reason="待查", by=books.maker)
    resolving.approve(proposed, by=books.checker)

    for again in (
        lambda: resolving.approve(proposed, by=books.third),
        lambda: resolving.refuse(proposed, by=books.third, answer="否"),
    ):
        with pytest.raises(Again):
            again()


def test_what_changed_after_the_proposal_is_not_approved(books: Books, amount: int) -> None:
    proposed = resolving.propose(one().id, kind="accept_ledger", reason="可", by=books.maker)
    take(bills.wechat("2026-11-23", bills.sale("N1", 800)))
    run()

    with pytest.raises(Refused, match="有变化"):
        resolving.approve(proposed, by=books.checker)

    resolving.withdraw(proposed, by=books.maker)
    resolving.propose(one().id, kind="accept_ledger", reason="可", by=books.maker)


def test_a_supplement_makes_the_missing_row_with_the_bill_as_evidence(books: Books) -> None:
    take(bills.wechat("2026-11-23", bills.sale("N1", 1000, coupon_fen=100), bills.refund("R1", "N1", 200)))
    run()
    for number in ("sale", "refund"):
        with db.reading() as session:
            difference = session.query(Difference).filter_by(kind=number).one()
        proposed = resolving.propose(difference.id, kind="supplement", reason="终端漏报", by=books.maker)
        resolving.approve(proposed, by=books.checker)

    assert run() == []
    with db.reading() as session:
        rows = session.query(TerminalTransaction).order_by(TerminalTransaction.id).all()
        assert [(row.kind, row.source, row.amount_fen, row.paid_fen) for row in rows] == [
            ("sale", "supplemented", 1000, 900),
            ("refund", "supplemented", 200, 200),
        ]
        assert session.query(Tender).filter_by(transaction_id=rows[0].id).count() == 2
        assert session.query(FileLink).filter_by(role="supplement_evidence").count() == 2
    assert proof(rows[0].id).kind == "matched"


def test_a_refund_is_supplemented_after_its_sale(books: Books) -> None:
    take(bills.wechat("2026-11-23", bills.refund("R1", "N1", 200)))
    run()
    proposed = resolving.propose(one().id, kind="supplement", reason="终端漏报", by=books.maker)

    with pytest.raises(Refused, match="原交易"):
        resolving.approve(proposed, by=books.checker)

    assert one().state == "carried_over"


def test_a_held_difference_does_not_age(books: Books, amount: int) -> None:
    resolving.approve(
        resolving.propose(one().id, kind="hold", reason="待查", by=books.maker), by=books.checker
    )

    run()

    assert one().state == "carried_over" and one().is_held and proof(amount).kind is None


@pytest.mark.parametrize(
    ("kind", "why"), [("supplement", "不适用"), ("write_off", None), ("nonsense", "没有这种")]
)
def test_only_what_fits_can_be_proposed(books: Books, amount: int, kind: str, why: str | None) -> None:
    if why is None:
        resolving.propose(one().id, kind=kind, reason="尾差", by=books.maker)
        return
    with pytest.raises(Refused, match=why):
        resolving.propose(one().id, kind=kind, reason="原因", by=books.maker)


def test_many_alike_are_proposed_and_approved_together_or_not_at_all(books: Books) -> None:
    for number in range(5):
        books.sale(f"N{number}", 1000, AT)
    take(bills.wechat("2026-11-23", *(bills.sale(f"N{number}", 999) for number in range(5))))
    run()
    ids = [one(f"N{number}").id for number in range(5)]
    with pytest.raises(Refused):
        resolving.propose_many([*ids, ids[0]], kind="supplement", reason="尾差", by=books.maker)

    proposed = resolving.propose_many(ids, kind="write_off", reason="尾差", by=books.maker)
    resolving.approve_many(proposed, by=books.checker)

    assert run() == []
