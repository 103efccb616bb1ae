"""When is a purchase reconciled? The batch decides once its bill is in; before that the newest order query."""

from datetime import date

import pytest
from sqlalchemy import event

from miniapp import db
from miniapp.core.clock import now
from miniapp.reconcile import queries
from miniapp.reconcile.models import Batch, Day, Difference
from tests.reconcile_system.books import Books

DAY = date(2026, 11, 23)


def proof(sale_id: int) -> queries.Proof:
    with db.reading() as session:
        return queries.proof_of(session, sale_id)


def batch_done(books: Books, *, version: int = 1, **more: object) -> int:
    with db.transaction() as session:
        batch = session.query(Batch).filter_by(bill_date=DAY, version=version).one_or_none() or Batch(
            merchant_account_id=books.accounts["wechat"],
            company_id=books.company_id,
            bill_date=DAY,
            version=version,
            made_at=now(),
        )
        batch.state, batch.read_at, batch.done_at = "done", now(), now()
        for name, value in more.items():
            setattr(batch, name, value)
        session.add(batch)
        session.flush()
        return batch.id


def difference(
    books: Books, batch_id: int, sale_id: int, *, state: str = "open", blocks: bool = True
) -> None:
    with db.transaction() as session:
        session.add(
            Difference(
                batch_id=batch_id,
                merchant_account_id=books.accounts["wechat"],
                company_id=books.company_id,
                platform="wechat",
                bill_date=DAY,
                since=DAY,
                kind="sale",
                out_trade_no="N1",
                reasons=["amount_differs"],
                ledger_fen=1000,
                bill_fen=1001,
                transaction_id=sale_id,
                state=state,
                is_blocking=blocks,
                found_at=now(),
                changed_at=now(),
            )
        )


def test_without_bill_or_query_there_is_no_proof(books: Books) -> None:
    found = proof(books.sale("N1", 1000, "2026-11-23 12:00:00"))

    assert found.kind is None and found.obstacle == "reconcile.proof.bill_not_here"


def test_a_good_query_vouches_until_the_bill_is_in(books: Books) -> None:
    sale = books.sale("N1", 1000, "2026-11-23 12:00:00")
    books.vouch(sale)
    assert proof(sale).kind == "vouched"
    assert queries.satisfies(proof(sale), "vouched")
    assert not queries.satisfies(proof(sale), "matched")

    batch = batch_done(books)
    assert proof(sale).kind == "matched"
    assert queries.satisfies(proof(sale), "matched") and not queries.satisfies(proof(sale), "closed")

    difference(books, batch, sale)
    assert proof(sale) == queries.Proof(None, obstacle="reconcile.proof.difference")


def test_the_newest_answer_of_the_platform_counts(books: Books) -> None:
    sale = books.sale("N1", 1000, "2026-11-23 12:00:00")
    books.vouch(sale)
    books.vouch(sale, is_good=False)

    assert proof(sale).obstacle == "reconcile.proof.not_confirmed"


@pytest.mark.parametrize("state", ["open", "carried_over", "settled"])
def test_a_difference_blocks_while_it_is_live(books: Books, state: str) -> None:
    sale = books.sale("N1", 1000, "2026-11-23 12:00:00")
    difference(books, batch_done(books), sale, state=state, blocks=state != "settled")

    assert (proof(sale).kind == "matched") == (state == "settled")


def test_a_sale_that_was_found_not_to_be_one_stays_blocked(books: Books) -> None:
    sale = books.sale("N1", 1000, "2026-11-23 12:00:00")
    difference(books, batch_done(books), sale, state="settled", blocks=True)

    assert proof(sale).kind is None


def test_the_superseded_version_proves_nothing(books: Books) -> None:
    sale = books.sale("N1", 1000, "2026-11-23 12:00:00")
    batch_done(books, is_superseded=True)
    assert proof(sale).kind is None

    batch_done(books, version=2)
    assert proof(sale).kind == "matched"


def test_a_closed_day_satisfies_the_strictest_policy(books: Books) -> None:
    sale = books.sale("N1", 1000, "2026-11-23 12:00:00")
    batch_done(books)
    with db.transaction() as session:
        session.add(
            Day(
                company_id=books.company_id,
                bill_date=DAY,
                state="closed",
                closed_at=now(),
                totals={},
                submitted_by_id=books.maker,
                confirmed_by_id=books.checker,
            )
        )

    assert queries.satisfies(proof(sale), "closed")


def test_one_statement_answers_for_a_whole_list(books: Books) -> None:
    sales = [books.sale(f"N{n}", 1000, "2026-11-23 12:00:00") for n in range(30)]
    batch_done(books)
    seen: list[str] = []
    event.listen(db.engine(), "before_cursor_execute", lambda *call: seen.append(call[2]))

    with db.reading() as session:
        found = queries.proofs_of(session, [*sales, 999_999])

    assert {one.kind for one in found.values()} == {"matched"} and set(found) == set(sales)
    assert len([text for text in seen if text.startswith("SELECT")]) == 1
