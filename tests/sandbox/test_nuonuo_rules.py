"""The channel's rules, its signature and its files, without the door."""

from __future__ import annotations

import subprocess
import tempfile
import zipfile
from datetime import datetime
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from miniapp.sandbox.channels import nuonuo_files as files
from miniapp.sandbox.channels import nuonuo_rules as rules
from miniapp.sandbox.channels.nuonuo_signing import signature


def order(**changes: Any) -> dict[str, Any]:
    good = {
        "buyerName": "上海示例商贸有限公司",
        "buyerTaxNum": "91310104084123648T",
        "salerTaxNum": "339902999999789113",
        "orderNo": "A1",
        "invoiceDate": "2026-11-24 16:00:00",
        "clerk": "开票员甲",
        "pushMode": "-1",
        "invoiceType": "1",
        "invoiceLine": "pc",
        "invoiceDetail": [detail()],
    }
    return {**good, **changes}


def detail(**changes: Any) -> dict[str, Any]:
    good = {
        "goodsName": "矿泉水",
        "goodsCode": "1030307010000000000",
        "withTaxFlag": "1",
        "taxRate": "0.13",
        "taxIncludedAmount": "100.00",
        "taxExcludedAmount": "88.50",
        "tax": "11.50",
        "invoiceLineProperty": "0",
    }
    return {**good, **changes}


def discount(**changes: Any) -> dict[str, Any]:
    amounts = {"taxIncludedAmount": "-10.00", "taxExcludedAmount": "-8.85", "tax": "-1.15"}
    return detail(**{**amounts, "invoiceLineProperty": "1", **changes})


def refused(bad: object) -> str:
    with pytest.raises(rules.Refusal) as caught:
        rules.checked(bad)
    return caught.value.code


def test_signature_vector() -> None:
    found = signature(
        secret="SECRET",
        appkey="APPKEY",
        senid="SENID",
        nonce="12345678",
        timestamp="1700000000",
        body=b'{"a":1}',
    )
    assert found == "7iSZiR+0g+376QEJ38xLM+3vGDs="


@pytest.mark.parametrize("name", [n for n, (_, required) in rules.ORDER_FIELDS.items() if required])
def test_a_missing_or_empty_field_is_e4000(name: str) -> None:
    assert refused(order(**{name: ""})) == "E4000"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"buyerName": "甲" * 101}, "E4000"),
        ({"buyerName": 7}, "E4000"),
        ({"email": "a" * 51}, "E9104"),
        ({"invoiceDetail": []}, "E9122"),
        ({"invoiceDetail": [detail()] * 2001}, "E4000"),
        ({"pushMode": ""}, "E4000"),
        ({"invoiceLine": "bs", "buyerTaxNum": ""}, "E4000"),
        ({"invoiceLine": "zz"}, "E4000"),
        ({"buyerTaxNum": "12345"}, "E4000"),
        ({"invoiceDate": "2026/11/24"}, "E4000"),
        ({"specificFactor": "1"}, "E4000"),
    ],
)
def test_orders_that_are_refused(changes: dict[str, Any], code: str) -> None:
    assert refused(order(**changes)) == code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"goodsCode": ""}, "E9121"),
        ({"goodsCode": "103"}, "E9138"),
        ({"tax": ""}, "E9123"),
        ({"taxIncludedAmount": "100.001"}, "E9124"),
        ({"taxExcludedAmount": "x"}, "E9125"),
        ({"tax": "11,50"}, "E9126"),
        ({"price": "1.123456789", "num": "1"}, "E9127"),
        ({"price": "99.00", "num": "1"}, "E9127"),
        ({"price": "1", "num": "one"}, "E9128"),
        ({"price": "1"}, "E4000"),
        ({"taxRate": "13%"}, "E9129"),
        ({"taxExcludedAmount": "88.49"}, "E9130"),
        ({"taxExcludedAmount": "88.40", "tax": "11.60"}, "E9131"),
        ({"taxIncludedAmount": "-1.13", "taxExcludedAmount": "-1.00", "tax": "-0.13"}, "E9114"),
    ],
)
def test_lines_that_are_refused(changes: dict[str, Any], code: str) -> None:
    assert refused(order(invoiceDetail=[detail(**changes)])) == code


@pytest.mark.parametrize(
    ("details", "code"),
    [
        ([discount()], "E9110"),
        ([detail(invoiceLineProperty="2"), detail()], "E9110"),
        ([detail(invoiceLineProperty="2"), discount(goodsName="别的")], "E9105"),
        (
            [
                detail(invoiceLineProperty="2"),
                discount(taxIncludedAmount="-113.00", taxExcludedAmount="-100.00", tax="-13.00"),
            ],
            "E9108",
        ),
        (
            [
                detail(invoiceLineProperty="2"),
                discount(taxRate="0.09", tax="-0.80", taxExcludedAmount="-9.20"),
            ],
            "E9112",
        ),
        ([detail(invoiceLineProperty="2"), discount(), discount()], "E9110"),
    ],
)
def test_discount_rows_that_are_refused(details: list[dict[str, Any]], code: str) -> None:
    assert refused(order(invoiceDetail=details)) == code


def test_good_orders_pass_and_add_up() -> None:
    lines = rules.checked(order(invoiceDetail=[detail(invoiceLineProperty="2"), discount()]))
    found = rules.totals(lines)
    assert found == {"included": Decimal("90.00"), "excluded": Decimal("79.65"), "tax": Decimal("10.35")}


def test_amounts_left_out_come_from_price_and_quantity() -> None:
    given = detail(price="6.85", num="2", taxIncludedAmount="", taxExcludedAmount="", tax="")
    line = rules.checked(order(invoiceDetail=[given]))[0]
    assert (line.included, line.excluded, line.tax) == (Decimal("13.70"), Decimal("12.12"), Decimal("1.58"))


@pytest.mark.parametrize(
    ("head", "crc"),
    [
        ("01,32,,24312000000136634917,0.01,20240514,,", 0x1DD6),
        ("01,32,,26427000000375586818,10.70,20260430,,", 0xFAFB),
        ("123456789", 0xFEE8),
    ],
)
def test_crc_of_the_code(head: str, crc: int) -> None:
    assert files.crc16(head.encode()) == crc


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        ("402.00", "肆佰零贰圆整"),
        ("0.01", "壹分"),
        ("10.70", "壹拾圆零柒角整"),
        ("16000.00", "壹万陆仟圆整"),
        ("1001000.05", "壹佰万零壹仟圆零伍分"),
    ],
)
def test_capitals(amount: str, words: str) -> None:
    assert files.capitals(Decimal(amount)) == words


def face() -> files.Face:
    lines = rules.checked(order())
    return files.Face(
        number="26312000000136634917",
        line_kind="pc",
        issued_at=datetime(2026, 11, 24, 16, 0),  # noqa: DTZ001
        buyer_name="上海示例商贸有限公司",
        buyer_tax_no="91310104084123648T",
        seller_name="沙箱销售方",
        seller_tax_no="339902999999789113",
        included=Decimal("100.00"),
        excluded=Decimal("88.50"),
        tax=Decimal("11.50"),
        clerk="开票员甲",
        remark="",
        lines=tuple(lines),
    )


def test_other_programs_read_the_pdf() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "invoice.pdf"
        path.write_bytes(files.pdf(face()))
        text = run("pdftotext", "-layout", str(path), "-")
        for wanted in ("沙箱样票", "上海示例商贸有限公司", "26312000000136634917", "100.00", "壹佰圆整"):
            assert wanted in text
        run("pdftoppm", "-r", "200", "-png", "-singlefile", str(path), str(Path(folder) / "page"))
        code = run("zbarimg", "-q", "--raw", str(Path(folder) / "page.png")).strip()
        assert code == files.qr_payload(face())
        run("qpdf", "--check", str(path))


def test_xml_and_ofd_carry_the_number() -> None:
    assert b"<InvoiceNumber>26312000000136634917</InvoiceNumber>" in files.xml(face())
    with zipfile.ZipFile(BytesIO(files.ofd(face()))) as package:
        assert "26312000000136634917" in package.read("OFD.xml").decode()


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
