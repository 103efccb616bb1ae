"""QR codes are read by zbar, and the text of an invoice's code agrees with published ones."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from miniapp.printing.documents import InvoiceSheet, Party, SheetLine
from miniapp.printing.qr import checksum, invoice_text, matrix, png
from tests.printing.pdf_tools import read_code


@pytest.mark.parametrize(
    ("text", "crc"),
    [
        ("123456789", "FEE8"),
        ("01,32,,24312000000136634917,0.01,20240514,,", "1DD6"),
        ("01,32,,26427000000375586818,10.70,20260430,,", "FAFB"),
        ("01,32,,26447000001243494438,285.92,20260619,,", "300A"),
    ],
)
def test_checksum_of_published_codes(text, crc):
    assert f"{checksum(text):04X}" == crc


def sheet(number, kind="ordinary", net_fen=947, tax_fen=123):
    line = SheetLine("水", net_fen, tax_fen, Decimal("0.13"))
    party = Party("上海示例商贸有限公司")
    return InvoiceSheet(number, date(2026, 4, 30), kind, party, party, (line,))


def test_text_of_an_official_number_and_of_our_own():
    assert invoice_text(sheet("26427000000375586818")) == "01,32,,26427000000375586818,10.70,20260430,,FAFB"
    assert invoice_text(sheet("26427000000375586818", "special")).startswith(
        "01,31,,26427000000375586818,10.70,"
    )
    assert invoice_text(sheet("YP-0001")) == "YP-0001"


@pytest.mark.parametrize(
    "text", ["YP-0001", "https://wechat.localhost/c/claim?t=" + "aB3_" * 40, "领取码 K7QXH3W9PM"]
)
def test_zbar_reads_the_picture(tmp_path, text):
    (tmp_path / "code.png").write_bytes(png(text, scale=4))
    assert read_code(tmp_path / "code.png") == text


@settings(max_examples=30, deadline=None)
@given(st.text(min_size=1, max_size=200))
def test_rows_are_square_and_start_with_a_finder(text):
    rows = matrix(text)
    assert {len(row) for row in rows} == {len(rows)}
    assert set("".join(rows)) == {"0", "1"}
    assert rows[0].startswith("11111110") and rows[3].startswith("10111010")
