"""Recording and running at once: a row is either read by the run or known to be late, whatever the moment."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date

from miniapp import db
from miniapp.core.errors import Failure
from miniapp.reconcile import queries, resolving, running
from miniapp.reconcile.models import Batch, Difference, Resolution
from tests.reconcile_system import bill_files as bills
from tests.reconcile_system.books import Books
from tests.reconcile_system.test_running import take

DAY = date(2026, 11, 23)
AT = "2026-11-23 12:00:00"


def test_a_row_is_read_or_late(books: Books) -> None:
    numbers = [f"N{number:03}" for number in range(40)]
    take(bills.wechat("2026-11-23", *(bills.sale(number, 1000) for number in numbers)))
    account = books.accounts["wechat"]
    started = threading.Event()

    def record(number: str) -> int:
        if number == numbers[12]:
            started.set()
        return books.sale(number, 1000, AT)

    def run() -> str:
        started.wait(20)
        return running.match_account(account, DAY)

    with ThreadPoolExecutor(5) as pool:
        state = pool.submit(run)
        sales = list(pool.map(record, numbers))
        assert state.result() == "done"

    with db.reading() as session:
        proofs = queries.proofs_of(session, sales)
        read = session.query(Batch).filter_by(state="done").one().totals["matched"]["sale"]["count"]
        late = session.query(Difference).filter_by(is_late=True).count()
    matched = [sale for sale, one in proofs.items() if one.kind == "matched"]
    assert len(matched) == read and read + late == len(numbers)

    running.match_account(account, DAY)

    with db.reading() as session:
        assert {one.kind for one in queries.proofs_of(session, sales).values()} == {"matched"}


def test_two_persons_approve_one_proposal_at_once(books: Books) -> None:
    books.sale("N1", 1000, AT)
    take(bills.wechat("2026-11-23", bills.sale("N1", 900)))
    running.run(DAY, "w1")
    with db.reading() as session:
        difference = session.query(Difference).one().id
    proposed = resolving.propose(difference, kind="accept_ledger", reason="可", by=books.maker)
    gate = threading.Barrier(2)

    def approve(person: int) -> str:
        gate.wait(20)
        try:
            resolving.approve(proposed, by=person)
        except Failure as failure:
            return failure.code
        return "approved"

    with ThreadPoolExecutor(2) as pool:
        answers = sorted(pool.map(approve, (books.checker, books.third)))

    assert answers == ["DECIDED_ALREADY", "approved"]
    with db.reading() as session:
        assert session.query(Resolution).filter_by(state="approved").count() == 1
