"""The bill as Alipay exports it, read back by other tools than the writer."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import date, datetime
from decimal import Decimal

import pytest

from miniapp.sandbox import alipay_amounts as amounts
from miniapp.sandbox import alipay_bill_file as bills

DAY = date(2026, 6, 5)
HEADING = bills.Heading("20887226827483540156", DAY, DAY, datetime(2026, 6, 6, 5, 46, 49), "20260605")  # noqa: DTZ001
COLUMN = {name: place for place, name in enumerate(bills.DETAIL_COLUMNS.split(","))}


def rows() -> list[bills.BillRow]:
    at = datetime(2026, 6, 5, 8, 20, 2)  # noqa: DTZ001
    sale = bills.BillRow(
        trade_no="2026060522001465870515233238",
        out_trade_no="S031T02202606050002",
        kind=bills.TRADE,
        subject='矿泉水,"大瓶"',
        created_at=at,
        finished_at=at,
        order_fen=20000,
        receipt_fen=19000,
        store_no="S031",
        store_name="城北店",
        platform_fen=500,
        merchant_red_fen=1000,
        voucher_name="满200减10商家红包",
        buyer="*甲(182****0001)",
        fee_fen=bills.fee_fen(19000),
    )
    refund = bills.BillRow(
        trade_no=sale.trade_no,
        out_trade_no=sale.out_trade_no,
        kind=bills.REFUND,
        subject="矿泉水",
        created_at=at,
        finished_at=at,
        order_fen=-5000,
        receipt_fen=-5000,
        request_no="R1",
        fee_fen=bills.fee_fen(-5000),
    )
    return [sale, refund]


def read(packed: bytes) -> dict[str, list[list[str]]]:
    with zipfile.ZipFile(io.BytesIO(packed), metadata_encoding="gbk") as file:
        return {
            name: list(csv.reader(io.StringIO(file.read(name).decode("gb18030"), newline="")))
            for name in file.namelist()
        }


def test_entries_are_named_in_gbk_without_the_utf8_flag() -> None:
    packed = bills.archive(rows(), HEADING, crlf=True, summary_first=True)
    with zipfile.ZipFile(io.BytesIO(packed)) as file:
        entries = file.infolist()
    assert [entry.flag_bits & 0x800 for entry in entries] == [0, 0]
    assert "汇总" in entries[0].filename.encode("cp437").decode("gbk")
    assert entries[1].filename.encode("cp437").decode("gbk") == "20887226827483540156_20260605_业务明细.csv"


def test_detail_has_twenty_five_columns_tabs_and_a_footer_that_agrees() -> None:
    lines = read(bills.archive(rows(), HEADING, crlf=True, summary_first=False))[
        "20887226827483540156_20260605_业务明细.csv"
    ]
    assert lines[0] == ["#支付宝业务明细查询"]
    assert len(lines[4]) == 25
    sale, refund = lines[5], lines[6]
    assert sale[0].endswith("\t") and sale[COLUMN["商品名称"]] == '矿泉水,"大瓶"'
    money = {name: Decimal(sale[COLUMN[name]].strip()) for name in COLUMN if name.endswith("（元）")}
    merchant = money["商家优惠（元）"] + money["商家红包消费金额（元）"]
    assert money["订单金额（元）"] == money["商家实收（元）"] + merchant
    assert money["服务费（元）"] == Decimal("-0.72")
    assert refund[COLUMN["退款批次号/请求号"]] == "R1" and sale[COLUMN["退款批次号/请求号"]] == "\t"
    assert refund[COLUMN["订单金额（元）"]] == "-50.00" and refund[COLUMN["服务费（元）"]] == "0.19"
    assert "#交易合计：1笔，商家实收共190.00元" in lines[8][0]
    assert "#退款合计：1笔，商家实收退款共-50.00元" in lines[9][0]


@pytest.mark.parametrize(("crlf", "end"), [(True, b"\r\n"), (False, b"\n")])
def test_line_ends_are_an_option(crlf: bool, end: bytes) -> None:
    packed = bills.archive([], HEADING, crlf=crlf, summary_first=False)
    with zipfile.ZipFile(io.BytesIO(packed)) as file:
        text = file.read(file.infolist()[0])
    assert text.endswith(end) and (b"\r" in text) == crlf


def test_damages_change_one_row_each() -> None:
    whole = rows()
    assert bills.without_one(whole) == whole[:-1]
    assert bills.off_by_a_fen(whole)[0].order_fen == 20001
    assert len(bills.with_a_duplicate(whole)) == 3
    assert bills.with_a_stranger([], day=DAY)[0].out_trade_no == "STRANGER20260605"


def test_amounts_keep_the_documented_identities() -> None:
    discounts = [
        {"funder": "merchant", "amount_fen": 300, "name": "满减"},
        {"funder": "platform", "amount_fen": 200},
        {"funder": "point", "amount_fen": 11},
        {"funder": "card", "amount_fen": 1000},
    ]
    divided = amounts.parts(total_fen=8800, discounts=discounts, wallet="PCREDIT")
    found = amounts.amounts(divided)
    assert found["total_amount"] == sum(part.fen for part in divided) == 8800
    assert found["receipt_amount"] == 8500
    assert found["buyer_pay_amount"] == 8800 - 511
    assert found["invoice_amount"] == 8800 - 511 - 1000
    assert found["point_amount"] == 11 and found["mdiscount_amount"] == 300
    vouchers = amounts.voucher_detail_list(divided)
    assert [v["merchant_contribute"] for v in vouchers] == ["3.00", "0.00"]


def test_refunds_never_give_a_part_back_twice() -> None:
    left = amounts.parts(
        total_fen=1000, discounts=[{"funder": "merchant", "amount_fen": 333}], wallet="BANKCARD"
    )
    given = []
    for fen in (1, 333, 333, 333):
        taken = amounts.refund_parts(left=left, refund_fen=fen)
        assert sum(part.fen for part in taken) == fen
        left = amounts.subtract(left, taken)
        given += taken
    assert left == []
    assert sum(part.fen for part in given if part.channel == "MDISCOUNT") == 333


@pytest.mark.parametrize("text", ["", "1.234", "-1", "1e3", "１", ".5", "1,0"])
def test_amounts_that_are_no_yuan_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        amounts.fen_of(text)
