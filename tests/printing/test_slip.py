"""The slip: on 32 columns, as a roll page, and its code under a camera."""

from dataclasses import replace
from datetime import UTC, datetime
from unicodedata import east_asian_width

from hypothesis import given
from hypothesis import strategies as st

from miniapp.printing.documents import Slip
from miniapp.printing.slip import draw_pdf, lines, qr_matrix, qr_png
from tests.printing.pdf_tools import Paper, read_code

SLIP = Slip(
    store_name="上海示例商贸有限公司徐汇店",
    terminal_name="3号机",
    amount_fen=20000,
    paid_at=datetime(2026, 11, 24, 3, 4, 5, tzinfo=UTC),
    out_trade_no="20261124000001",
    claim_code="K7QXH3W9PM",
    url="https://wechat.localhost/c/claim?t=" + "aB3_" * 20,
)


def columns(text):
    return sum(2 if east_asian_width(character) in "WFA" else 1 for character in text)


def test_lines():
    assert lines(SLIP) == [
        "   上海示例商贸有限公司徐汇店",
        "-" * 32,
        "终端                       3号机",
        "时间         2026-11-24 11:04:05",
        "金额                    ￥200.00",
        "单号              20261124000001",
        "领取码                K7QXH3W9PM",
        "-" * 32,
        "        扫码自助开具发票",
        "         本小票不是发票",
    ]


def test_a_reprint_says_which_it_is():
    assert lines(replace(SLIP, reprint=2))[0].strip() == "【补打】第2次"


@given(
    st.builds(
        Slip,
        store_name=st.text(max_size=60),
        terminal_name=st.text(max_size=40),
        amount_fen=st.integers(0, 10**14),
        paid_at=st.just(SLIP.paid_at),
        out_trade_no=st.text(max_size=64),
        claim_code=st.just("K7QXH3W9PM"),
        url=st.just("x"),
    )
)
def test_no_name_is_wider_than_the_paper_or_steers_the_printer(slip):
    for line in lines(slip):
        assert columns(line) <= 32
        assert all(character.isprintable() for character in line)


def test_a_long_number_is_whole():
    slip = replace(SLIP, out_trade_no="ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcd")
    assert slip.out_trade_no in "".join(lines(slip))


def test_the_roll_page_can_be_read(tmp_path):
    paper = Paper(draw_pdf(SLIP), tmp_path)
    assert paper.is_sound()
    for text in (
        "上海示例商贸有限公司徐汇店",
        "￥200.00",
        "2026-11-2411:04:05",
        "20261124000001",
        "K7QXH3W9PM",
    ):
        assert text in paper.words()
    assert paper.code(dpi=203) == SLIP.url
    assert draw_pdf(SLIP) == paper.pdf


def test_picture_and_rows_are_one_code(tmp_path):
    (tmp_path / "code.png").write_bytes(qr_png(SLIP.url))
    assert read_code(tmp_path / "code.png") == SLIP.url
    rows = qr_matrix(SLIP.url)
    assert {len(row) for row in rows} == {len(rows)}
