"""One day inside the system: each everyday case is named once, and only what did not match is written."""

from datetime import date
from typing import Any

import pytest

from miniapp import db
from miniapp.reconcile import importing, queries, running
from miniapp.reconcile.models import Difference
from tests.reconcile_system import bill_files as bills
from tests.reconcile_system.books import Books

DAY = date(2026, 11, 23)
AT = "2026-11-23 12:00:00"


def take(content: bytes, account: str = "w1") -> importing.Taken:
    return importing.take(content, name="bill.csv", account=account, source="imported")


def run(*, account: str = "w1", day: date = DAY) -> list[tuple[str, list[str], str]]:
    """Run a day; answers (key, reasons, state) of each live difference."""
    report = running.run(day, account)
    assert report["accounts"][account]["state"] == "done"
    return [(one["key"], one["reasons"], one["state"]) for one in report["differences"]]


def proof(sale_id: int) -> queries.Proof:
    with db.reading() as session:
        return queries.proof_of(session, sale_id)


def test_a_clean_day_writes_no_row_and_proves_every_sale(books: Books) -> None:
    sales = [books.sale(f"N{n}", 1000 + n, AT) for n in range(5)]
    take(bills.wechat("2026-11-23", *(bills.sale(f"N{n}", 1000 + n) for n in range(5))))

    assert run() == []

    assert {proof(sale).kind for sale in sales} == {"matched"}
    with db.reading() as session:
        assert session.query(Difference).count() == 0


@pytest.mark.parametrize(
    ("ledger", "bill", "expected"),
    [
        ([("N1", 1000)], [], [("N1", ["ledger_only"], "carried_over")]),
        ([], [bills.sale("N1", 1000)], [("N1", ["bill_only"], "carried_over")]),
        ([("N1", 1000)], [bills.sale("N1", 1001)], [("N1", ["amount_differs"], "open")]),
        (
            [("N1", 1000)],
            [bills.sale("N1", 1000), bills.revoked("N1", 1000)],
            [("N1", ["status_differs"], "open")],
        ),
        (
            [("N1", 1000)],
            [bills.sale("N1", 1000), bills.sale("N1", 1000)],
            [("N1", ["duplicate_in_bill"], "open")],
        ),
        ([("N1", 1000)], [bills.sale("N1", 1000, coupon_fen=100)], []),
    ],
    ids=["ledger_only", "bill_only", "amount", "status", "duplicate", "coupon"],
)
def test_an_everyday_case_is_named_once(
    books: Books, ledger: list[tuple[str, int]], bill: list[bills.Row], expected: list[Any]
) -> None:
    for number, fen in ledger:
        books.sale(number, fen, AT)
    other = books.sale("OK", 500, AT)
    take(bills.wechat("2026-11-23", bills.sale("OK", 500), *bill))

    assert run() == expected

    assert proof(other).kind == "matched"
    if ledger:
        assert (proof(books.id_of("N1")).kind == "matched") == (expected == [])


def test_a_refund_is_a_row_of_its_own(books: Books) -> None:
    books.sale("N1", 1000, AT)
    books.refund("R1", "N1", 300, AT)
    books.refund("R2", "N1", 200, AT)
    books.refund("R3", "N1", 100, AT)
    take(
        bills.wechat(
            "2026-11-23",
            bills.sale("N1", 1000),
            bills.refund("R1", "N1", 300),
            bills.refund("R2", "N1", 201, refund_state="PROCESSING"),
            bills.refund("R3", "N1", 100, refund_state="CHANGE"),
            bills.refund("R4", "N1", 50),
        )
    )

    assert run() == [("R2", ["amount_differs"], "open"), ("R4", ["bill_only"], "carried_over")]
    assert proof(books.id_of("N1")).kind == "matched"


def test_alipay_refunds_are_found_by_both_numbers(books: Books) -> None:
    for number in ("N1", "N2"):
        books.sale(number, 1000, AT, platform="alipay")
        books.refund("1", number, 300, AT, platform="alipay")
    take(
        bills.alipay(
            "2026-11-23",
            bills.sale("N1", 1000),
            bills.sale("N2", 1000, coupon_fen=50),
            bills.refund("1", "N1", 300),
            bills.refund("1", "N2", 301),
        ),
        "a1",
    )

    report = running.run(DAY, "a1")

    found = [(one["key"], one["out_trade_no"], one["reasons"]) for one in report["differences"]]
    assert found == [("1", "N2", ["amount_differs"])]


def test_a_sale_that_both_sides_took_back_is_no_difference(books: Books) -> None:
    gone, listed = books.sale("N1", 1000, AT), books.sale("N2", 900, AT)
    books.revoke(gone)
    books.revoke(listed)
    take(bills.wechat("2026-11-23", bills.sale("N2", 900), bills.revoked("N2", 900)))

    assert run() == []


def test_the_same_file_twice_is_nothing(books: Books) -> None:
    content = bills.wechat("2026-11-23", bills.sale("N1", 1000))
    assert take(content).result == "new"
    run()

    again = take(content)

    assert again.result == "known" and again.version == 1
    assert running.run(DAY, "w1")["accounts"]["w1"]["version"] == 1


def test_another_file_for_the_day_is_a_new_version_and_decides(books: Books) -> None:
    sale = books.sale("N1", 1000, AT)
    take(bills.wechat("2026-11-23", bills.sale("N1", 1000)))
    run()
    revised = take(bills.wechat("2026-11-23", bills.sale("N1", 900)))
    assert revised.version == 2
    assert proof(sale).kind == "matched", "until the new version has been run the old one stands"

    assert run() == [("N1", ["amount_differs"], "open")]

    assert proof(sale).obstacle == "reconcile.proof.difference"
    assert running.run(DAY, "w1")["accounts"]["w1"]["version"] == 2


def test_success_and_refund_together_make_a_batch_and_all_replaces_both(books: Books) -> None:
    books.sale("N1", 1000, AT)
    books.refund("R1", "N1", 300, AT)
    lone = take(bills.wechat("2026-11-23", bills.sale("N1", 1000), form="SUCCESS"))
    assert not lone.is_whole
    assert running.match_account(books.accounts["wechat"], DAY) == "waiting"

    whole = take(bills.wechat("2026-11-23", bills.refund("R1", "N1", 300), form="REFUND"))
    assert whole.is_whole and whole.version == 1
    assert run() == []

    both = take(
        bills.wechat("2026-11-23", bills.sale("N1", 1000), bills.refund("R1", "N1", 300), bills.sale("N2", 5))
    )
    assert both.version == 2
    assert run() == [("N2", ["bill_only"], "carried_over")]


def test_running_again_changes_nothing(books: Books) -> None:
    books.sale("N1", 1000, AT)
    books.sale("N2", 1000, AT)
    take(bills.wechat("2026-11-23", bills.sale("N2", 1001), bills.sale("N3", 7)))

    first = running.run(DAY, "w1")
    second = running.run(DAY, "w1")

    assert first == second
    with db.reading() as session:
        assert session.query(Difference).count() == 3


def test_totals_stand_by_kind_and_store(books: Books) -> None:
    books.sale("N1", 1000, AT)
    books.sale("N2", 500, AT)
    books.refund("R1", "N1", 300, AT)
    take(
        bills.wechat("2026-11-23", bills.sale("N1", 1000), bills.refund("R1", "N1", 300), bills.sale("N9", 7))
    )

    found = running.run(DAY, "w1")["accounts"]["w1"]

    assert found["ledger"] == {
        "sale": {"count": 2, "amount_fen": 1500},
        "refund": {"count": 1, "amount_fen": 300},
    }
    assert found["bill"] == {
        "sale": {"count": 2, "amount_fen": 1007},
        "refund": {"count": 1, "amount_fen": 300},
    }
    assert found["matched"] == {
        "sale": {"count": 1, "amount_fen": 1000},
        "refund": {"count": 1, "amount_fen": 300},
    }


def test_a_fee_that_the_rate_does_not_give_is_a_difference(books: Books) -> None:
    books.set_account("wechat", fee_rate="0.006")
    for number in ("N1", "N2", "N3"):
        books.sale(number, 1000, AT)
    take(
        bills.wechat(
            "2026-11-23",
            bills.sale("N1", 1000, fee="0.06000"),
            bills.sale("N2", 1000, fee="0.07000"),
            bills.sale("N3", 1000, fee="0.06000"),
        )
    )

    assert run() == [("N2", ["fee_differs"], "open")]


def test_both_source_lines_are_named(books: Books) -> None:
    sale = books.sale("N2", 1000, AT)
    take(bills.wechat("2026-11-23", bills.sale("N1", 5), bills.sale("N2", 1001)))
    run()

    with db.reading() as session:
        row = session.query(Difference).filter_by(out_trade_no="N2").one()
        assert row.transaction_id == sale and row.bill_line == 3 and row.bill_file is not None
        assert row.bill_row["amount_fen"] == 1001 and "payer" not in row.bill_row
