"""Bills fetched through the gateway, checked against the ledger that made them."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import requests

from tests.sandbox.serving_alipay import PID, Sandbox, running
from tests.sandbox.test_alipay_gateway import call, signed

METHOD = "alipay.data.dataservice.bill.downloadurl.query"


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with running(tmp_path) as running_sandbox:
        yield running_sandbox


@pytest.fixture
def day(sandbox: Sandbox) -> str:
    """A day with a discounted sale, a part refund of it, and a sale cancelled after payment; then it is tomorrow."""
    pay(sandbox, "T1", "88.00", merchant_discount_fen=800, platform_discount_fen=100)
    ask(sandbox, "alipay.trade.refund", '{"out_trade_no":"T1","refund_amount":"22.00","out_request_no":"R1"}')
    pay(sandbox, "T2", "5.00")
    ask(sandbox, "alipay.trade.cancel", '{"out_trade_no":"T2"}')
    pay(sandbox, "T3", "3.00", outcome="userpaying")
    today = f"{sandbox.world.beijing():%Y-%m-%d}"
    sandbox.control("clock", {"tomorrow": "10:30"})
    return today


def ask(sandbox: Sandbox, method: str, biz: str) -> dict[str, str]:
    answer = call(sandbox, signed(method=method, biz_content=biz)).json()
    return dict(next(iter(answer.values())))


def pay(sandbox: Sandbox, number: str, amount: str, **plan: object) -> None:
    code = sandbox.code(**plan)
    biz = f'{{"out_trade_no":"{number}","scene":"bar_code","auth_code":"{code}","subject":"矿泉水","total_amount":"{amount}","store_id":"S1","terminal_id":"D1"}}'
    ask(sandbox, "alipay.trade.pay", biz)


def address(sandbox: Sandbox, day: str, kind: str = "trade") -> dict[str, str]:
    return ask(sandbox, METHOD, f'{{"bill_type":"{kind}","bill_date":"{day}"}}')


def detail(packed: bytes) -> list[list[str]]:
    with zipfile.ZipFile(io.BytesIO(packed), metadata_encoding="gbk") as file:
        name = next(name for name in file.namelist() if "汇总" not in name)
        text = file.read(name).decode("gb18030")
    return [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text, newline=""))]


def fetched(sandbox: Sandbox, day: str) -> list[list[str]]:
    packed = requests.get(address(sandbox, day)["bill_download_url"], timeout=5).content
    return [row for row in detail(packed)[5:] if not row[0].startswith("#")]


def test_the_bill_lists_what_the_ledger_holds(sandbox: Sandbox, day: str) -> None:
    packed = requests.get(address(sandbox, day)["bill_download_url"], timeout=5).content
    lines = detail(packed)
    assert lines[1] == [f"#账号：[{PID}0156]"]
    rows = [row for row in lines[5:] if not row[0].startswith("#")]
    found = sorted((row[1], row[2], row[11], row[12], row[16], row[21]) for row in rows)
    assert found == [
        ("T1", "交易", "88.00", "80.00", "8.00", ""),
        ("T1", "退款", "-22.00", "-20.00", "-2.00", "R1"),
        ("T2", "交易", "5.00", "5.00", "0.00", ""),
        ("T2", "退款", "-5.00", "-5.00", "0.00", ""),
    ]
    assert {row[6] for row in rows} == {"S1"} and {row[7] for row in rows} == {"示例一店"}
    assert any("#交易合计：2笔，商家实收共85.00元" in line[0] for line in lines)


def test_the_address_lasts_thirty_seconds(sandbox: Sandbox, day: str) -> None:
    url = address(sandbox, day)["bill_download_url"]
    assert requests.get(url, timeout=5).status_code == 200
    sandbox.control("clock", {"advance": 31})
    assert requests.get(url, timeout=5).status_code == 403


def test_bills_that_are_not_there(sandbox: Sandbox, day: str) -> None:
    today = f"{sandbox.world.beijing():%Y-%m-%d}"
    assert address(sandbox, today)["sub_code"] == "INVAILID_ARGUMENTS"
    assert address(sandbox, "yesterday")["sub_code"] == "INVAILID_ARGUMENTS"
    assert address(sandbox, day, "signcustomer")["sub_code"] == "BILL_NOT_EXIST"
    sandbox.fault("alipay.bills", "late", times=None)
    assert address(sandbox, day)["sub_code"] == "BILL_NOT_EXIST"


def test_before_nine_there_is_no_bill_yet(sandbox: Sandbox) -> None:
    day = f"{sandbox.world.beijing():%Y-%m-%d}"
    sandbox.control("clock", {"tomorrow": "08:59"})
    assert address(sandbox, day)["sub_code"] == "BILL_NOT_EXIST"
    sandbox.control("clock", {"advance": 120})
    assert "bill_download_url" in address(sandbox, day)


def test_an_empty_day_is_a_file_that_says_so_or_no_bill_at_all(sandbox: Sandbox, day: str) -> None:
    before = f"{sandbox.world.beijing() - timedelta(days=2):%Y-%m-%d}"
    answer = address(sandbox, before)
    assert answer["bill_file_code"] == "EMPTY_DATA_WITH_BILL_FILE"
    assert fetched(sandbox, before) == []
    sandbox.fault("alipay.bills", "empty_not_exist", times=None)
    assert address(sandbox, before)["sub_code"] == "BILL_NOT_EXIST"


@pytest.mark.parametrize(
    ("switch", "count", "first"),
    [
        ("missing_row", 3, "88.00"),
        ("extra_row", 5, "88.00"),
        ("off_by_a_fen", 4, "88.01"),
        ("duplicate_row", 5, "88.00"),
    ],
)
def test_damages(sandbox: Sandbox, day: str, switch: str, count: int, first: str) -> None:
    sandbox.fault("alipay.bills", switch, times=None, bill_date=day)
    rows = fetched(sandbox, day)
    assert (len(rows), rows[0][11]) == (count, first)


def test_other_damages_spoil_the_file_itself(sandbox: Sandbox, day: str) -> None:
    sandbox.fault("alipay.bills", "cut", times=None)
    packed = requests.get(address(sandbox, day)["bill_download_url"], timeout=5).content
    with pytest.raises(zipfile.BadZipFile):
        detail(packed)
    requests.delete(f"{sandbox.url}/control/faults", timeout=5)
    sandbox.fault("alipay.bills", "foreign", times=None)
    sandbox.fault("alipay.bills", "wrong_footer", times=None)
    packed = requests.get(address(sandbox, day)["bill_download_url"], timeout=5).content
    lines = detail(packed)
    assert lines[1] == ["#账号：[20880000000000000156]"]
    assert sum(row[2] == "交易" for row in lines[5:] if len(row) == 25) == 1
    assert any("#交易合计：2笔" in line[0] for line in lines)
