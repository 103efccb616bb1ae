"""`reconcile compare`: files in, differences out. Each test is one sentence of the contract."""

import csv
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from python_calamine import CalamineWorkbook

from miniapp.reconcile.comparing import compare
from miniapp.reconcile.intake import BillRefused
from tests.reconcile.papers import Row, Sale, alipay, ledger, put, wechat, zm

DAY = date(2026, 11, 23)
Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Compare rows as if they were files: sales of a till, WeChat rows, Alipay rows (None: no such bill today)."""
    count = iter(range(100))

    def go(
        sales: list[Sale],
        wechat_rows: list[Row] | None = None,
        alipay_rows: list[Row] | None = None,
        *,
        day: date = DAY,
        previous: str | None = None,
        carry_days: int = 3,
    ) -> dict[str, Any]:
        number = next(count)
        bills = []
        if wechat_rows is not None:
            bills.append(put(tmp_path / f"w{number}.csv", wechat(wechat_rows)))
        if alipay_rows is not None:
            bills.append(
                put(tmp_path / f"a{number}.csv", alipay(alipay_rows, first=day.isoformat()), "gb18030")
            )
        book = put(tmp_path / f"l{number}.csv", ledger(sales))
        out = tmp_path / f"out-{day}"
        result = compare(book, bills, day, tmp_path / previous if previous else None, carry_days, out)
        assert json.loads((out / "result.json").read_text("utf-8")) == result
        return result

    return go


def brief(result: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [
        (d["kind"], d["key"], d["reasons"], d["ledger_fen"], d["bill_fen"], d["state"])
        for d in result["differences"]
    ]


def test_equal_days_have_no_difference(run: Run) -> None:
    result = run(
        [Sale("S1", 100), Sale("S1", 40, "R1", "refund")],
        [Row("sale", "S1", 100), Row("refund", "S1", 40, "R1")],
    )

    side = {"sale": {"count": 1, "amount_fen": 100}, "refund": {"count": 1, "amount_fen": 40}}
    assert result["platforms"] == {
        "wechat": {"ledger": side, "bill": side, "matched": side, "open": 0, "carried_over": 0}
    }
    assert (result["differences"], result["cleared"]) == ([], [])


def test_every_reason_once_sorted_by_kind_and_key(run: Run) -> None:
    sales = [
        *(
            Sale("LEDGER", 100),
            Sale("AMOUNT", 100),
            Sale("STATUS", 100, status="revoked"),
            Sale("TWICE", 100),
        ),
        *(
            Sale("BOTH", 100, status="revoked"),
            Sale("DOUBLE", 100),
            Sale("DOUBLE", 100),
            Sale("X", 5, "RF", "refund"),
        ),
    ]
    rows = [
        *(
            Row("sale", "BILL", 100),
            Row("sale", "AMOUNT", 101),
            Row("sale", "STATUS", 100),
            Row("sale", "TWICE", 100),
        ),
        *(Row("sale", "TWICE", 70), Row("sale", "BOTH", 99), Row("sale", "DOUBLE", 200)),
        Row("refund", "X", 5, "RF", state="FAIL"),
    ]

    assert brief(run(sales, rows)) == [
        ("refund", "RF", ["status_differs"], 5, 5, "open"),
        ("sale", "AMOUNT", ["amount_differs"], 100, 101, "open"),
        ("sale", "BILL", ["bill_only"], None, 100, "carried_over"),
        ("sale", "BOTH", ["amount_differs", "status_differs"], 100, 99, "open"),
        ("sale", "DOUBLE", ["duplicate_in_ledger"], 200, 200, "open"),
        ("sale", "LEDGER", ["ledger_only"], 100, None, "carried_over"),
        ("sale", "STATUS", ["status_differs"], 100, 100, "open"),
        ("sale", "TWICE", ["duplicate_in_bill"], 100, 170, "open"),
    ]


def test_revoked_sale_matches_its_revoked_row_or_no_row_at_all(run: Run) -> None:
    sales = [Sale("S1", 100, status="revoked"), Sale("S2", 100, status="revoked"), Sale("S3", 100)]
    rows = [
        *(Row("sale", "S1", 100), Row("revocation", "S1", 100)),
        *(Row("sale", "S3", 100), Row("revocation", "S3", 100)),
    ]

    result = run(sales, rows)

    assert brief(result) == [("sale", "S3", ["status_differs"], 100, 100, "open")]
    assert result["platforms"]["wechat"]["bill"]["sale"] == {"count": 2, "amount_fen": 200}
    assert result["platforms"]["wechat"]["matched"]["sale"]["count"] == 2


@pytest.mark.parametrize("state", ["SUCCESS", "PROCESSING", "CHANGE", ""])
def test_refund_matches_whatever_its_state(run: Run, state: str) -> None:
    assert brief(run([Sale("S", 9, "R", "refund")], [Row("refund", "S", 9, "R", state=state)])) == []


@pytest.mark.parametrize("state", ["FAIL", "REFUNDCLOSE"])
def test_refund_that_failed_differs_in_status(run: Run, state: str) -> None:
    found = brief(run([Sale("S", 9, "R", "refund")], [Row("refund", "S", 9, "R", state=state)]))
    assert found == [("refund", "R", ["status_differs"], 9, 9, "open")]


def test_alipay_refunds_match_by_both_numbers(run: Run) -> None:
    sales = [Sale("A1", 9, "R", "refund", "alipay"), Sale("A2", 9, "R", "refund", "alipay")]
    result = run(sales, None, [Row("refund", "A1", 9, "R"), Row("refund", "A3", 9, "R")])

    found = [(d["key"], d["out_trade_no"], d["reasons"]) for d in result["differences"]]
    assert found == [("R", "A2", ["ledger_only"]), ("R", "A3", ["bill_only"])]


def test_alipay_refund_without_number_revokes_its_sale_or_is_named_by_it(run: Run) -> None:
    sales = [Sale("A1", 100, platform="alipay", status="revoked"), Sale("A2", 100, platform="alipay")]
    rows = [Row("sale", "A1", 100), Row("refund", "A1", 100), Row("sale", "A2", 100), Row("refund", "A2", 40)]

    result = run(sales, None, rows)

    assert brief(result) == [("refund", "A2", ["bill_only"], None, 40, "carried_over")]
    assert result["differences"][0]["out_trade_no"] == "A2"


def test_cancelled_alipay_sale_of_yesterday_is_known_from_the_ledger(run: Run) -> None:
    sales = [Sale("A1", 100, platform="alipay", status="revoked", day="2026-11-22")]

    assert brief(run(sales, None, [Row("refund", "A1", 100), Row("sale", "A9", 1)])) == [
        ("sale", "A9", ["bill_only"], None, 1, "carried_over")
    ]


def test_earlier_ledger_row_settles_todays_bill_row_within_the_limit(run: Run) -> None:
    rows = [Row("sale", "S1", 100), Row("sale", "S2", 100), Row("sale", "S3", 100)]
    sales = [
        Sale("S1", 100, day="2026-11-20"),
        Sale("S2", 100, day="2026-11-19"),
        Sale("S3", 100, day="2026-11-24"),
    ]

    result = run(sales, rows)

    assert [d["key"] for d in result["differences"]] == ["S2", "S3"]
    assert result["platforms"]["wechat"]["matched"]["sale"]["count"] == 1
    assert result["platforms"]["wechat"]["ledger"]["sale"]["count"] == 0


def test_carried_rows_clear_themselves_when_the_other_side_arrives(run: Run) -> None:
    run([Sale("S1", 100)], [Row("sale", "S2", 200)])
    later = date(2026, 11, 24)
    sales = [Sale("S2", 200), Sale("S1", 100)]

    result = run(sales, [Row("sale", "S1", 100, day="2026-11-24")], day=later, previous="out-2026-11-23")

    assert result["differences"] == []
    assert result["cleared"] == [
        {"platform": "wechat", "kind": "sale", "key": key, "since": "2026-11-23", "cleared": "2026-11-24"}
        for key in ("S1", "S2")
    ]
    assert result["platforms"]["wechat"]["matched"]["sale"] == {"count": 2, "amount_fen": 300}


def test_carried_row_becomes_open_when_its_days_run_out_and_stays_listed(run: Run) -> None:
    run([Sale("S1", 100)], [])
    before = "out-2026-11-23"
    for day, state in ((24, "carried_over"), (26, "carried_over"), (27, "open"), (30, "open")):
        result = run([], [], day=date(2026, 11, day), previous=before)
        assert [(d["key"], d["state"], d["since"]) for d in result["differences"]] == [
            ("S1", state, "2026-11-23")
        ]
        before = f"out-2026-11-{day}"
    late = run([], [Row("sale", "S1", 100, day="2026-12-01")], day=date(2026, 12, 1), previous=before)
    assert (late["differences"], [c["key"] for c in late["cleared"]]) == ([], ["S1"])


def test_row_that_turns_up_with_another_amount_is_open_since_the_first_day(run: Run) -> None:
    run([Sale("S1", 100)], [Row("sale", "S2", 200)])
    rows = [Row("sale", "S1", 101, day="2026-11-24")]

    result = run([Sale("S2", 200, status="revoked")], rows, day=date(2026, 11, 24), previous="out-2026-11-23")

    assert [
        (d["key"], d["reasons"], d["ledger_fen"], d["bill_fen"], d["state"], d["since"])
        for d in result["differences"]
    ] == [
        ("S1", ["amount_differs"], 100, 101, "open", "2026-11-23"),
        ("S2", ["status_differs"], 200, 200, "open", "2026-11-23"),
    ]
    again = run([], [], day=date(2026, 11, 25), previous="out-2026-11-24")
    assert again["differences"] == []


def test_revoked_bill_row_stays_revoked_while_it_is_carried(run: Run) -> None:
    run([], [Row("sale", "S1", 100), Row("revocation", "S1", 100)])

    result = run([Sale("S1", 100, status="revoked")], [], day=date(2026, 11, 24), previous="out-2026-11-23")

    assert (result["differences"], [c["key"] for c in result["cleared"]]) == ([], ["S1"])


def test_platform_without_a_bill_today_keeps_its_rows_and_ledger_rows_settle_them(run: Run) -> None:
    run([Sale("A1", 100, platform="alipay")], None, [Row("sale", "A2", 200), Row("sale", "A3", 300)])
    sales = [
        Sale("A2", 200, platform="alipay", day="2026-11-24"),
        Sale("A4", 400, platform="alipay", day="2026-11-24"),
    ]

    result = run(sales, [], day=date(2026, 11, 24), previous="out-2026-11-23")

    assert list(result["platforms"]) == ["wechat"]
    assert [(d["key"], d["reasons"]) for d in result["differences"]] == [
        ("A1", ["ledger_only"]),
        ("A3", ["bill_only"]),
    ]
    assert [c["key"] for c in result["cleared"]] == ["A2"]


def test_a_bill_given_twice_counts_once(tmp_path: Path) -> None:
    one = put(tmp_path / "1.csv", wechat([Row("sale", "S1", 100)]))
    two = put(tmp_path / "2.csv", wechat([Row("sale", "S1", 100)]))
    book = put(tmp_path / "l.csv", ledger([Sale("S1", 100)]))

    result = compare(book, [one, one, two], DAY, None, 3, tmp_path / "out")

    assert result["differences"] == []
    assert [(s["file"], s["layout"], s["rows"]) for s in result["sources"]] == [
        (str(book), "ledger", 1),
        (str(one), "wechat.trade.all", 1),
    ]


def test_two_platforms_and_unionpay_side_by_side(tmp_path: Path) -> None:
    sales = [
        Sale("S1", 100),
        Sale("A1", 200, platform="alipay"),
        Sale("U1", 300, platform="unionpay"),
        Sale("U1", 50, "UR", "refund", "unionpay"),
        Sale("U2", 70, platform="unionpay", status="revoked"),
    ]
    rows = [
        Row("sale", "U1", 300),
        Row("refund", "U1", 50, "UR"),
        Row("sale", "U2", 70),
        Row("revocation", "U2", 70, "UV"),
    ]
    bills = [
        put(tmp_path / "w", wechat([Row("sale", "S1", 100)])),
        put(tmp_path / "a", alipay([Row("sale", "A1", 200)]), "gb18030"),
        put(tmp_path / "INN26112401ZM_898310055410001", zm(rows)),
    ]

    result = compare(put(tmp_path / "l", ledger(sales)), bills, DAY, None, 3, tmp_path / "out")

    assert (list(result["platforms"]), result["differences"]) == (["alipay", "unionpay", "wechat"], [])


def refused(call: Callable[[], Any]) -> dict[str, Any]:
    with pytest.raises(BillRefused) as caught:
        call()
    return caught.value.as_json()


def test_bill_of_another_day_and_fund_flow_are_refused(tmp_path: Path) -> None:
    book = put(tmp_path / "l", ledger([]))
    other = put(tmp_path / "w", wechat([Row("sale", "S1", 100, day="2026-11-22")]))
    found = refused(lambda: compare(book, [other], DAY, None, 3, tmp_path / "out"))
    assert (found["code"], found["file"]) == ("WRONG_DATE", str(other))
    mixed = put(tmp_path / "m", wechat([Row("sale", "S1", 100, day="2026-11-22"), Row("sale", "S2", 1)]))
    assert len(compare(book, [mixed], DAY, None, 3, tmp_path / "out")["differences"]) == 2
    flow = put(
        tmp_path / "f",
        "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),账户结余(元),备注\n"
        "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额\n`0,`0,`0.00,`0,`0.00\n",
    )
    assert refused(lambda: compare(book, [flow], DAY, None, 3, tmp_path / "other"))["code"] == "WRONG_FILE"
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("old", "new", "code", "line", "column"),
    [
        ("sale,100", "sale,1.00", "BAD_VALUE", 2, "amount_fen"),
        ("sale,100", "sale,-100", "BAD_VALUE", 2, "amount_fen"),
        ("sale,100", "sale,0", "BAD_VALUE", 2, "amount_fen"),
        ("sale,100", "sale,", "BAD_VALUE", 2, "amount_fen"),
        ("wechat,sale", "wechat,payment", "BAD_VALUE", 2, "kind"),
        ("wechat,sale", ",sale", "BAD_VALUE", 2, "platform"),
        ("100,success", "100,ok", "BAD_VALUE", 2, "status"),
        ("2026-11-23 10", "2026-13-23 10", "BAD_VALUE", 2, "occurred_at"),
        ("2026-11-23 10:00:00", "2026-11-23T10:00:00Z", "BAD_VALUE", 2, "occurred_at"),
        ("S1,,", ",,", "BAD_VALUE", 2, "out_trade_no"),
        ("S1,R1,", "S1,,", "BAD_VALUE", 3, "out_refund_no"),
        ("100,success", "100", "BAD_ROW", 2, None),
        ("100,success", "100,success,x", "BAD_ROW", 2, None),
        ("amount_fen", "amount", "UNKNOWN_FILE", None, None),
    ],
)
def test_fault_in_the_ledger_is_refused_with_its_place(
    tmp_path: Path, old: str, new: str, code: str, line: int | None, column: str | None
) -> None:
    text = ledger([Sale("S1", 100), Sale("S1", 40, "R1", "refund")]).replace(old, new, 1)
    book, bill = put(tmp_path / "l", text), put(tmp_path / "w", wechat([]))

    found = refused(lambda: compare(book, [bill], DAY, None, 3, tmp_path / "out"))

    assert (found["code"], found.get("line"), found.get("column")) == (code, line, column)
    assert found["file"] == str(book)


def test_ledger_columns_in_any_order_with_strangers_mark_and_quotes(tmp_path: Path) -> None:
    text = (
        "\ufeffstatus,备注,amount_fen,kind,platform,terminal,store,occurred_at,out_refund_no,out_trade_no\r\n"
        'success,"油, 95号",100,sale,wechat,P03,S001,2026-11-23 10:00:00,,"S1"\r\n'
        "\r\n"
        "success,,200,sale,wechat,P03,S001,2026-11-23 10:00:00,,S2\n"
    )
    rows = [Row("sale", "S1", 100), Row("sale", "S2", 200)]

    result = compare(
        put(tmp_path / "l", text), [put(tmp_path / "w", wechat(rows))], DAY, None, 3, tmp_path / "out"
    )

    assert (result["differences"], result["sources"][0]["rows"]) == ([], 2)


def test_previous_must_be_readable_and_of_an_earlier_date(tmp_path: Path) -> None:
    book, bill = put(tmp_path / "l", ledger([])), put(tmp_path / "w", wechat([]))
    compare(book, [bill], DAY, None, 3, tmp_path / "out")

    assert (
        refused(lambda: compare(book, [bill], DAY, tmp_path / "out", 3, tmp_path / "x"))["code"]
        == "WRONG_DATE"
    )
    assert (
        refused(lambda: compare(book, [bill], DAY, tmp_path / "none", 3, tmp_path / "x"))["code"]
        == "UNKNOWN_FILE"
    )


def test_reports_are_safe_to_open(tmp_path: Path) -> None:
    sales = [Sale("=1+1", 100), Sale("-2", 100), Sale("A1", 9, "@R", "refund", "alipay")]
    bills = [put(tmp_path / "w", wechat([])), put(tmp_path / "a", alipay([Row("sale", "A1", 5)]), "gb18030")]

    compare(put(tmp_path / "l", ledger(sales)), bills, DAY, None, 3, tmp_path / "out")

    raw = (tmp_path / "out" / "differences.csv").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(raw.decode("utf-8-sig").splitlines()))
    assert [row["key"] for row in rows] == ["'@R", "A1", "'-2", "'=1+1"]
    assert list(rows[0])[:9] == [
        "platform",
        "kind",
        "key",
        "reasons",
        "ledger_fen",
        "bill_fen",
        "state",
        "since",
        "note",
    ]
    book = CalamineWorkbook.from_path(str(tmp_path / "out" / "report.xlsx"))
    assert [row[2] for row in book.get_sheet_by_index(1).to_python()[1:]] == ["@R", "A1", "-2", "=1+1"]
