"""`bills inspect`: what a good file is and what it adds up to."""

import csv
import gzip
import hashlib
import io
from pathlib import Path

import pytest
import xlsxwriter

from miniapp.reconcile.intake import inspect, read, read_in_child
from tests.reconcile.papers import Row, alipay, gbk_zip, put, wechat, zm

DAY = [
    Row("sale", "S1", 30000, fee=180000),
    Row("sale", "S2", 30000, coupon=1000, fee=174000),
    Row("refund", "S1", 5000, refund="R1", fee=30000),
    Row("sale", "S3", 15000, fee=90000),
    Row("revocation", "S3", 15000, fee=90000),
]
DAY_TOTALS = {
    "sale": {"count": 3, "amount_fen": 75000, "settled_fen": 74000},
    "refund": {"count": 1, "amount_fen": 5000},
    "fee_fen_e3": 324000,
    "revoked": {"count": 1},
}


def test_wechat_bill_of_all_rows_adds_up_as_its_trailer_says(tmp_path: Path) -> None:
    text = wechat(DAY)
    file = put(tmp_path / "bill.csv", text)

    assert inspect(file) == {
        "layout": "wechat.trade.all",
        "encoding": "utf-8",
        "compression": None,
        "member": None,
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "rows": 5,
        "business_dates": ["2026-11-23"],
        "totals": DAY_TOTALS,
        "trailer": "agrees",
    }


@pytest.mark.parametrize(
    ("encoding", "end"),
    [("utf-8", "\n"), ("utf-8-sig", "\r\n"), ("utf-8-sig", "\n"), ("gb18030", "\r\n"), ("gb18030", "\n")],
)
def test_encoding_and_line_ends_make_no_difference(tmp_path: Path, encoding: str, end: str) -> None:
    found = inspect(put(tmp_path / "x", wechat(DAY, end=end), encoding))

    assert (found["encoding"], found["totals"], found["trailer"]) == (encoding, DAY_TOTALS, "agrees")


def test_gzip_is_read_and_its_own_bytes_are_hashed(tmp_path: Path) -> None:
    packed = gzip.compress(wechat(DAY).encode())

    found = inspect(put(tmp_path / "x", packed))

    assert (found["compression"], found["totals"]) == ("gzip", DAY_TOTALS)
    assert found["sha256"] == hashlib.sha256(packed).hexdigest()


def test_commas_quotes_and_stray_line_ends_in_goods_stay_goods(tmp_path: Path) -> None:
    rows = [Row("sale", "S1", 100, goods='油,"95号",`非\r油'), Row("sale", "S2", 100, goods="=1+1")]

    found = inspect(put(tmp_path / "x", wechat(rows[:1]).replace(",`非", ",非") + ""))

    assert found["totals"]["sale"]["count"] == 1


def test_columns_are_bound_by_name_in_any_order(tmp_path: Path) -> None:
    lines = wechat(DAY, end="\n").split("\n")
    width = 27
    order = list(range(width))[::-1]
    head = lines[0].split(",")
    body = [line[1:].split(",`") for line in lines[1:6]]
    moved = [
        ",".join(head[at] for at in order) + ",新列",
        *("`" + ",`".join([*(cells[at] for at in order), "x"]) for cells in body),
        *lines[6:],
    ]

    assert inspect(put(tmp_path / "x", "\n".join(moved)))["totals"] == DAY_TOTALS


def test_empty_day_is_a_bill_without_rows(tmp_path: Path) -> None:
    found = inspect(put(tmp_path / "x", wechat([])))

    assert (found["rows"], found["business_dates"], found["trailer"]) == (0, [], "agrees")
    assert found["totals"] == {
        "sale": {"count": 0, "amount_fen": 0, "settled_fen": 0},
        "refund": {"count": 0, "amount_fen": 0},
        "fee_fen_e3": 0,
    }


def test_alipay_zip_is_read_by_content_whichever_member_comes_first(tmp_path: Path) -> None:
    rows = [Row("sale", "A1", 30000, fee=114000), Row("refund", "A1", 5000, refund="R1", fee=19000)]
    summary = "#支付宝业务汇总查询\r\n#账号：[20881021962563300156]\r\n门店编号,门店名称\r\n合计,\r\n"
    detail = "20881021962563300156_20261123_业务明细.csv"
    file = gbk_zip(
        tmp_path / "x", {"20881021962563300156_20261123_业务明细(汇总).csv": summary, detail: alipay(rows)}
    )

    found = inspect(file)

    assert (found["layout"], found["encoding"], found["compression"]) == ("alipay.trade", "gb18030", "zip")
    assert found["member"] == detail
    assert found["totals"] == {
        "sale": {"count": 1, "amount_fen": 30000, "settled_fen": 30000},
        "refund": {"count": 1, "amount_fen": 5000},
        "fee_fen_e3": 95000,
    }


def test_split_alipay_members_are_one_bill(tmp_path: Path) -> None:
    one, two = [Row("sale", "A1", 100)], [Row("sale", "A2", 250), Row("refund", "A2", 50, refund="R")]
    file = gbk_zip(tmp_path / "x", {"a_业务明细_1.csv": alipay(one), "a_业务明细_2.csv": alipay(two)})

    found = inspect(file)

    assert (found["rows"], found["member"]) == (3, "a_业务明细_1.csv;a_业务明细_2.csv")
    assert found["totals"]["sale"]["amount_fen"] == 350


def test_split_members_may_all_state_the_whole(tmp_path: Path) -> None:
    one, two = [Row("sale", "A1", 100)], [Row("sale", "A2", 250)]
    foot = alipay(one + two).split("业务明细列表结束", 1)[1]
    members = {
        name: alipay(rows).split("业务明细列表结束", 1)[0] + "业务明细列表结束" + foot
        for name, rows in (("1.csv", one), ("2.csv", two))
    }

    assert inspect(gbk_zip(tmp_path / "x", members))["trailer"] == "agrees"


def test_alipay_file_without_rows_has_the_day_of_its_heading(tmp_path: Path) -> None:
    assert inspect(put(tmp_path / "x", alipay([]), "gb18030"))["business_dates"] == ["2026-11-23"]


def test_alipay_refund_without_a_number_for_the_whole_sale_revokes_it(tmp_path: Path) -> None:
    rows = [Row("sale", "A1", 100), Row("refund", "A1", 100), Row("sale", "A2", 100), Row("refund", "A2", 40)]

    totals = inspect(put(tmp_path / "x", alipay(rows), "gb18030"))["totals"]

    assert totals["revoked"] == {"count": 1}
    assert totals["refund"] == {"count": 1, "amount_fen": 40}


@pytest.mark.parametrize("length", [475, 508, 607])
def test_unionpay_records_of_each_length(tmp_path: Path, length: int) -> None:
    rows = [
        Row("sale", "U1", 1000, fee=6000),
        Row("refund", "U1", 300, refund="UR1", fee=2000),
        Row("sale", "U2", 500),
        Row("revocation", "U2", 500, refund="UV2"),
    ]

    found = inspect(put(tmp_path / "INN26112401ZM_898310055410001", zm(rows, length=length)))

    assert (found["layout"], found["trailer"], found["encoding"]) == ("unionpay.zm", "absent", "gb18030")
    assert found["business_dates"] == ["2026-11-23"]
    assert found["totals"] == {
        "sale": {"count": 2, "amount_fen": 1500, "settled_fen": 1494},
        "refund": {"count": 1, "amount_fen": 300},
        "fee_fen_e3": 4000,
        "revoked": {"count": 1},
    }


def test_unionpay_year_turns_with_the_name(tmp_path: Path) -> None:
    rows = [Row("sale", "U1", 1000, day="2025-12-31"), Row("sale", "U2", 1000, day="2026-01-01")]

    found = inspect(put(tmp_path / "INN26010101ZM_898310055410001", zm(rows)))

    assert found["business_dates"] == ["2025-12-31", "2026-01-01"]


def _workbook(path: Path, rows: list[list[str]]) -> Path:
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        for number, row in enumerate(rows):
            for column, value in enumerate(row):
                sheet.write_string(number, column, value)
    return path


def test_alipay_re_export_as_workbook(tmp_path: Path) -> None:
    text = alipay([Row("sale", "A1", 30000), Row("refund", "A1", 5000, refund="R1")])
    found = inspect(_workbook(tmp_path / "x", list(csv.reader(io.StringIO(text)))))

    assert (found["layout"], found["encoding"], found["compression"], found["rows"]) == (
        "alipay.trade",
        None,
        None,
        2,
    )


def test_wechat_re_export_as_workbook_with_or_without_backticks(tmp_path: Path) -> None:
    lines = [line.split(",`") for line in wechat(DAY).split("\r\n")]
    cells = [line if len(line) > 1 else line[0].split(",") for line in lines]

    for number, strip in enumerate(("", "`")):
        rows = [[cell.strip(strip) if strip else cell for cell in row] for row in cells]
        assert inspect(_workbook(tmp_path / f"{number}", rows))["totals"] == DAY_TOTALS


def test_account_log_has_income_and_expense_beside_empty_sales(tmp_path: Path) -> None:
    head = "账务流水号,业务流水号,商户订单号,商品名称,发生时间,对方账号,收入金额（+元）,支出金额（-元）,账户余额（元）,交易渠道,业务类型,备注"
    text = "\n".join(
        [
            "#支付宝账务明细查询",
            "#账号：[20881021962563300156]",
            "#起始日期：[2026年06月05日 00:00:00]   终止日期：[2026年06月06日 00:00:00]",
            head,
            "5463\t,2026\t,S1\t,油\t,2026-06-05 08:01:38,**甲\t,300.00,0.00,14533.03,支付宝,在线支付,",
            "5464\t,2026\t,S1\t,服务费\t,2026-06-05 08:01:38,\t,0.00,-1.14,14531.89,支付宝,收费,服务费",
            "#支出合计：1笔，共-1.14元,,,,",
            "#收入合计：1笔，共300.00元,,,,",
            "#导出时间：[2026年06月06日 12:51:06]",
        ]
    )

    found = inspect(put(tmp_path / "x", text, "gb18030"))

    assert found["layout"] == "alipay.account_log"
    assert found["totals"]["income"] == {"count": 1, "amount_fen": 30000}
    assert found["totals"]["expense"] == {"count": 1, "amount_fen": 114}
    assert found["totals"]["sale"]["count"] == 0


def test_fund_flow_adds_up_income_and_expense(tmp_path: Path) -> None:
    head = "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额（元）,账户结余（元）,资金变更提交申请人,备注,业务凭证号"
    text = "\n".join(
        [
            head,
            "`2026-11-23 13:54:01,`50300,`42001,`退款,`退款,`支出,`0.01,`0.22,`API,`退款总金额0.01元;含手续费0.00元,`S1",
            "`2026-11-23 14:00:45,`50301,`42002,`交易,`交易,`收入,`0.05,`0.27,`API,`,`S2",
            "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额",
            "`2.0,`1.0,`0.05,`1.0,`0.01",
        ]
    )

    found = inspect(put(tmp_path / "x", text))

    assert (found["layout"], found["trailer"]) == ("wechat.fundflow", "agrees")
    assert (found["totals"]["income"]["amount_fen"], found["totals"]["expense"]["amount_fen"]) == (5, 1)


def test_rows_are_written_for_the_system_with_their_lines(tmp_path: Path) -> None:
    import duckdb

    file = put(tmp_path / "bill.csv", wechat(DAY))
    bill = read(file, rows_to=tmp_path / "rows.parquet")

    rows = duckdb.execute(
        f"SELECT line_no, kind, out_trade_no, out_refund_no, amount_fen, merchant_discount_fen, occurred_at "
        f"FROM '{bill.rows_path}' ORDER BY line_no"
    ).fetchall()

    assert bill.merchant_no == "1900000109"
    assert rows[1] == (3, "sale", "S2", "", 30000, 1000, "2026-11-23 10:00:00")
    assert rows[2][1:5] == ("refund", "S1", "R1", 5000)


def test_a_child_reads_the_same(tmp_path: Path) -> None:
    file = put(tmp_path / "bill.csv", wechat(DAY))

    bill = read_in_child(file, rows_to=tmp_path / "rows.parquet")

    assert bill.as_json() == inspect(file)
    assert (tmp_path / "rows.parquet").exists()
