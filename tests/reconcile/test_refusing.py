"""`bills inspect`: a file that is not whole is refused whole, with code, line, column and what to do next."""

import gzip
import os
import zipfile
from pathlib import Path

import pytest

from miniapp.reconcile.intake import BillRefused, Limits, inspect, read, read_in_child
from tests.reconcile.papers import WECHAT_TRAILER, Row, alipay, gbk_zip, put, wechat, zm

ROWS = [Row("sale", "S1", 30000, fee=180000), Row("refund", "S1", 5000, refund="R1"), Row("sale", "S2", 100)]


def refusal(path: Path, **more: object) -> dict[str, object]:
    with pytest.raises(BillRefused) as caught:
        inspect(path, **more)  # type: ignore[arg-type]
    found = caught.value.as_json()
    assert found["message"] and found["hint"] and found["file"] == str(path)
    return found


def place(found: dict[str, object]) -> tuple[object, object, object]:
    return found["code"], found.get("line"), found.get("column")


@pytest.mark.parametrize(
    ("old", "new", "line", "column"),
    [
        ("`300.00,`0.00,`\r", "`a300.00,`0.00,`\r", 2, "订单金额"),
        ("`300.00,`0.00,`\r", "`300.001,`0.00,`\r", 2, "订单金额"),
        ("`300.00,`0.00,`\r", "`３00.00,`0.00,`\r", 2, "订单金额"),
        ("`300.00,`0.00,`\r", "`3e2,`0.00,`\r", 2, "订单金额"),
        ("`300.00,`0.00,`\r", "`,`0.00,`\r", 2, "订单金额"),
        ("`2026-11-23 10:00:00", "`2026-11-31 10:00:00", 2, "交易时间"),
        ("`2026-11-23 10:00:00", "`2026-11-23 24:00:00", 2, "交易时间"),
        ("`2026-11-23 10:00:00", "`2026/11/23 10:00", 2, "交易时间"),
        ("`SUCCESS,`CFT", "`PAID,`CFT", 2, "交易状态"),
        ("`R1,", "`0,", 3, "商户退款单号"),
        (",`S1,", ",`,", 2, "商户订单号"),
        ("`1.80000,", "`1.8x,", 2, "手续费"),
    ],
)
def test_bad_cell_of_a_wechat_bill_is_named(
    tmp_path: Path, old: str, new: str, line: int, column: str
) -> None:
    text = wechat(ROWS)
    assert old in text

    for encoding in ("utf-8", "gb18030"):
        found = refusal(put(tmp_path / "x", text.replace(old, new, 1), encoding))
        assert place(found) == ("BAD_VALUE", line, column)


def test_number_that_excel_cut_is_refused_with_that_explanation(tmp_path: Path) -> None:
    text = alipay([Row("sale", "20261123220014198765", 100)]).replace("20261123220014198765\t", "2.02611E+19")

    found = refusal(put(tmp_path / "x", text, "gb18030"))

    assert place(found) == ("BAD_VALUE", 6, "商户订单号")
    assert "Excel" in str(found["message"]) and "Excel" in str(found["hint"])


def test_trade_number_that_excel_cut_in_a_wechat_bill(tmp_path: Path) -> None:
    text = wechat([Row("sale", "4.20000E+27", 100)])

    assert place(refusal(put(tmp_path / "x", text))) == ("BAD_VALUE", 2, "商户订单号")


def test_bad_cell_of_an_alipay_bill_is_named_as_the_file_names_it(tmp_path: Path) -> None:
    text = alipay([Row("sale", "A1", 100), Row("sale", "A2", 200)]).replace(",2.00,2.00,", ",2.00,2.0O,")

    assert place(refusal(put(tmp_path / "x", text, "gb18030"))) == ("BAD_VALUE", 7, "商家实收（元）")


def test_unknown_business_type_is_a_bad_value(tmp_path: Path) -> None:
    text = alipay([Row("sale", "A1", 100)]).replace("交易\t", "转账\t")

    assert place(refusal(put(tmp_path / "x", text, "gb18030"))) == ("BAD_VALUE", 6, "业务类型")


@pytest.mark.parametrize("change", [lambda row: row[:60], lambda row: row + ",`x", lambda row: row[1:]])
def test_row_of_another_width_is_a_bad_row(tmp_path: Path, change: object) -> None:
    lines = wechat(ROWS, end="\n").split("\n")
    lines[2] = change(lines[2])  # type: ignore[operator]

    found = refusal(put(tmp_path / "x", "\n".join(lines)))

    assert place(found) == ("BAD_ROW", 3, None)


@pytest.mark.parametrize(
    ("at", "value", "column"),
    [
        (0, "4", "总交易单数"),
        (1, "301.01", "应结订单总金额"),
        (4, "1.80001", "手续费总金额"),
        (6, "50.01", "申请退款总金额"),
    ],
)
def test_each_figure_of_the_trailer_is_compared(tmp_path: Path, at: int, value: str, column: str) -> None:
    lines = wechat(ROWS, end="\n").split("\n")
    figures = lines[-2][1:].split(",`")
    own = figures[at]
    figures[at] = value
    lines[-2] = "`" + ",`".join(figures)
    file = put(tmp_path / "x", "\n".join(lines))

    found = refusal(file)

    assert place(found) == ("TRAILER_MISMATCH", 6, column)
    assert value in str(found["message"]) and own in str(found["message"])
    assert inspect(file, check_trailer=False)["trailer"] == "skipped"


def test_trailer_is_read_before_it_is_compared(tmp_path: Path) -> None:
    lines = wechat(ROWS, end="\n").split("\n")
    figures = lines[-2][1:].split(",`")
    lines[-2] = "`" + ",`".join(["9", *figures[1:-1], "a0.00"])

    assert place(refusal(put(tmp_path / "x", "\n".join(lines)))) == ("BAD_VALUE", 6, "申请退款总金额")


def test_alipay_trailer_names_the_figure_and_both_numbers(tmp_path: Path) -> None:
    text = alipay([Row("sale", "A1", 49000)]).replace("共490.00元", "共491.00元")

    found = refusal(put(tmp_path / "x", text, "gb18030"))

    assert found["code"] == "TRAILER_MISMATCH"
    assert "491.00" in str(found["message"]) and "490.00" in str(found["message"])


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    data = wechat(ROWS).encode()
    whole = len(data.rstrip())
    for cut in range(len(data.split(b"\r\n")[0]), whole, 7):
        found = refusal(put(tmp_path / "x", data[:cut]))
        assert found["code"] in ("TRUNCATED", "TRAILER_MISMATCH", "BAD_VALUE", "BAD_ENCODING"), (cut, found)
    assert (
        refusal(put(tmp_path / "x", data[: data.index(WECHAT_TRAILER.encode()) - 3]))["code"] == "TRUNCATED"
    )


def test_an_alipay_file_without_its_foot_is_truncated(tmp_path: Path) -> None:
    text = alipay([Row("sale", "A1", 100)])

    for mark in ("-----业务明细列表结束", "#交易合计", "#退款合计"):
        cut = text.index(mark)
        assert refusal(put(tmp_path / "x", text[:cut], "gb18030"))["code"] == "TRUNCATED"


def test_text_after_the_trailer_is_a_bad_row(tmp_path: Path) -> None:
    text = wechat(ROWS, end="\n")

    assert refusal(put(tmp_path / "x", text + text))["code"] == "BAD_ROW"
    assert place(refusal(put(tmp_path / "y", text + "`x\n"))) == ("BAD_ROW", 7, None)


def test_damaged_archives(tmp_path: Path) -> None:
    packed = gzip.compress(wechat(ROWS * 50).encode())
    zipped = gbk_zip(tmp_path / "z", {"业务明细.csv": alipay(ROWS)}).read_bytes()

    assert refusal(put(tmp_path / "a", packed[:-20]))["code"] == "TRUNCATED"
    assert refusal(put(tmp_path / "b", packed[:60] + b"XXXX" + packed[64:]))["code"] == "BAD_ARCHIVE"
    assert refusal(put(tmp_path / "c", packed[:-8] + b"\0" * 8))["code"] == "BAD_ARCHIVE"
    assert refusal(put(tmp_path / "d", zipped[: len(zipped) // 2]))["code"] == "BAD_ARCHIVE"
    assert refusal(put(tmp_path / "e", zipped.replace(zipped[60:64], b"ABCD", 1)))["code"] == "BAD_ARCHIVE"


def test_bombs_are_refused_while_they_unpack(tmp_path: Path) -> None:
    text = wechat(ROWS).encode()
    assert refusal(put(tmp_path / "a", gzip.compress(text + b"0" * 40_000_000)))["code"] == "TOO_LARGE"
    assert refusal(put(tmp_path / "b", text), limits=Limits(file_bytes=100))["code"] == "TOO_LARGE"
    assert (
        refusal(put(tmp_path / "c", gzip.compress(text)), limits=Limits(unpacked_bytes=300))["code"]
        == "TOO_LARGE"
    )
    with zipfile.ZipFile(tmp_path / "d", "w") as archive:
        for number in range(101):
            archive.writestr(f"{number}.csv", "x")
    assert refusal(tmp_path / "d")["code"] == "TOO_LARGE"


def test_names_inside_an_archive_touch_no_disk(tmp_path: Path) -> None:
    file = gbk_zip(tmp_path / "z", {"../../../evil.csv": alipay([Row("sale", "A1", 100)])})

    assert inspect(file)["member"] == "../../../evil.csv"
    assert sorted(os.listdir(tmp_path)) == ["z"]


def test_bytes_that_do_not_decode(tmp_path: Path) -> None:
    data = wechat(ROWS).encode()
    at = data.index("92号".encode(), data.index(b"R1")) + 2

    assert place(refusal(put(tmp_path / "x", data[:at] + b"\xff" + data[at:]))) == ("BAD_ENCODING", 3, None)
    assert refusal(put(tmp_path / "y", wechat(ROWS).encode("utf-16")))["code"] == "BAD_ENCODING"


def test_two_accounts_in_one_file(tmp_path: Path) -> None:
    rows = [*ROWS, Row("sale", "S9", 100, account="1900000110")]
    found = refusal(put(tmp_path / "x", wechat(rows)))
    assert place(found) == ("MIXED_ACCOUNTS", 5, "商户号")

    members = {"a_业务明细_1.csv": alipay([]), "a_业务明细_2.csv": alipay([], account="20881021962563300157")}
    assert refusal(gbk_zip(tmp_path / "z", members))["code"] == "MIXED_ACCOUNTS"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("微信支付账单明细,,,\n微信昵称：[甲],,,\n", "pay.weixin.qq.com"),
        ("#支付宝业务汇总查询\n#账号：[1]\n门店编号,门店名称\n合计,\n", "业务明细"),
        ("导出信息：\n支付宝账户：甲\n导出交易类型：[全部]\n", "b.alipay.com"),
        ("记账日期,货币,交易金额,联机余额,交易摘要,对手信息,客户摘要\n", "银行"),
        ("<xml><return_code>FAIL</return_code><return_msg>No Bill Exist</return_msg></xml>", "下载"),
    ],
)
def test_other_files_are_known_and_the_hint_names_the_right_one(tmp_path: Path, text: str, hint: str) -> None:
    for encoding in ("utf-8", "gb18030"):
        found = refusal(put(tmp_path / "x", text, encoding))
        assert found["code"] == "WRONG_FILE"
        assert hint in str(found["hint"])


def test_strangers_are_unknown(tmp_path: Path) -> None:
    for number, data in enumerate(
        (b"", b"hello", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 9, b"a,b,c\n1,2,3\n")
    ):
        assert refusal(put(tmp_path / f"{number}", data))["code"] == "UNKNOWN_FILE"
    assert refusal(tmp_path / "not-there")["code"] == "UNKNOWN_FILE"


def test_unionpay_records_that_are_not_whole(tmp_path: Path) -> None:
    good = zm([Row("sale", "U1", 100), Row("sale", "U2", 100)])
    lines = good.split(b"\r\n")

    short = b"\r\n".join([lines[0], lines[1][:470], b""])
    assert place(refusal(put(tmp_path / "a", short))) == ("BAD_ROW", 2, None)
    other = b"\r\n".join([lines[0], lines[1][:507] + b" x" + b" " * 60, b""])
    assert place(refusal(put(tmp_path / "b", other))) == ("BAD_ROW", 2, None)
    word = good.replace(b" 0001                 01 01 ", b" 0001                 99 01 ", 1)
    assert place(refusal(put(tmp_path / "c", word))) == ("BAD_VALUE", 1, "交易类型")
    amount = good.replace(b"000000000100", b"0000000001x0", 1)
    assert place(refusal(put(tmp_path / "d", amount))) == ("BAD_VALUE", 1, "交易金额")
    assert inspect(put(tmp_path / "e", good.replace(b"\r\n", b"   \r\n")))["rows"] == 2


def test_a_child_that_runs_out_of_its_limits_refuses(tmp_path: Path) -> None:
    file = put(tmp_path / "x", wechat(ROWS))
    with pytest.raises(BillRefused) as caught:
        read_in_child(file, rows_to=tmp_path / "p", limits=Limits(child_memory_bytes=40_000_000))
    assert caught.value.code == "TOO_LARGE"
    with pytest.raises(BillRefused) as other:
        read_in_child(put(tmp_path / "y", wechat(ROWS)[:-40]), rows_to=tmp_path / "p", name="账单.csv")
    assert other.value.as_json()["file"] == "账单.csv"
    assert not (tmp_path / "p").exists()


def test_nothing_is_written_for_a_refused_file(tmp_path: Path) -> None:
    with pytest.raises(BillRefused):
        read(put(tmp_path / "x", wechat(ROWS).replace("`300.00", "`30x.00")), rows_to=tmp_path / "rows")
    assert sorted(os.listdir(tmp_path)) == ["x"]
