"""The invoice's face, read back by poppler, pypdf, qpdf and zbar."""

import inspect
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from pypdf import PdfReader
from reportlab.pdfbase import ttfonts

from miniapp.printing import fonts
from miniapp.printing.documents import InvoiceSheet, Party, SheetLine
from miniapp.printing.fonts import FontChain, FontFile, FontMissing, UndrawableCharacter
from miniapp.printing.invoice_pdf import draw, rate_text
from tests.printing.pdf_tools import Paper

NUMBER = "26312000000136634917"
PETROL = SheetLine(
    "*汽油*92号车用汽油（VIB）",
    19469,
    2531,
    Decimal("0.13"),
    spec="92#",
    unit="升",
    quantity=Decimal("32.11678832"),
    unit_price=Decimal("6.06193864"),
)
INVOICE = InvoiceSheet(
    number=NUMBER,
    issued_on=date(2026, 11, 24),
    kind="ordinary",
    buyer=Party("上海示例商贸有限公司", "91310104084123648T"),
    seller=Party("上海示例石油销售有限公司", "91350100M000100Y43"),
    lines=(PETROL,),
    remark="订单号：20261124000001\n门店：徐汇加油站",
    issuer_name="收银员甲",
)
SPECIMEN = replace(INVOICE, number="YP20261124-000001", specimen=True)
DEJAVU = FontFile("DejaVu", Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"), "fonts-dejavu-core")


@pytest.fixture
def paper(tmp_path):
    return lambda sheet, **how: Paper(draw(sheet, **how), tmp_path)


def named(name):
    return replace(SPECIMEN, buyer=Party(name, "91310104084123648T"))


def test_every_field_can_be_read(paper):
    page = paper(INVOICE)
    for words in (page.words(), page.words_by_pypdf()):
        for field in (
            "电子发票（普通发票）",
            f"发票号码：{NUMBER}",
            "开票日期：2026年11月24日",
            "名称：上海示例商贸有限公司",
            "统一社会信用代码/纳税人识别号：91310104084123648T",
            "名称：上海示例石油销售有限公司",
            "*汽油*92号车用汽油",
            "92#升32.116788326.06193864194.6913%25.31",
            "合计¥194.69¥25.31",
            "价税合计（大写）贰佰贰拾圆整（小写）¥220.00",
            "订单号：20261124000001",
            "开票人：收银员甲",
        ):
            assert field in words
    assert page.code() == "01,32,,26312000000136634917,220.00,20261124,,82A5"


def test_the_file_is_sound_small_and_always_the_same(paper):
    page = paper(INVOICE)
    assert page.is_sound()
    assert draw(INVOICE) == page.pdf
    assert len(page.pdf) < 60_000
    (width, height) = PdfReader(page.path).pages[0].mediabox[2:]
    assert (round(float(width), 2), round(float(height), 2)) == (595.28, 396.85)
    assert all(row[-5:-2] == ["yes", "yes", "yes"] for row in page.fonts())


def test_nothing_is_drawn_at_the_edge(paper):
    picture = paper(replace(SPECIMEN, remark="备注" * 115, lines=(PETROL,) * 40)).picture(page=1, dpi=50)
    edge = round(50 / 25.4 * 3)
    inner = (edge, edge, picture.width - edge, picture.height - edge)
    margins = picture.copy()
    margins.paste("white", inner)
    assert margins.getextrema() == ((255, 255),) * 3


@pytest.mark.parametrize("dpi", [100, 150, 203])
def test_cameras_read_the_code(paper, dpi):
    assert paper(SPECIMEN).code(dpi=dpi) == SPECIMEN.number


def test_a_specimen_says_so_on_every_page(paper):
    page = paper(replace(SPECIMEN, lines=(PETROL,) * 30))
    assert page.pages > 1
    for number in range(1, page.pages + 1):
        assert "样票" in page.text(page=number) and "非税务凭证" in page.text(page=number)
    with pytest.raises(ValueError, match="20-digit"):
        replace(SPECIMEN, number=NUMBER)


def test_the_mark_lies_across_the_page(paper):
    marked = paper(SPECIMEN).picture(dpi=50).convert("L")
    grey = marked.point(lambda value: 255 if 190 <= value <= 235 else 0)
    left, top, right, bottom = grey.getbbox()
    assert right - left > marked.width * 0.4
    assert bottom - top > marked.height * 0.4


def test_what_is_no_specimen_is_marked_as_a_copy(paper):
    words = paper(INVOICE).words()
    assert "副本，非税务凭证" in words
    assert "样票" not in words


def test_many_lines_go_on_list_pages_and_none_is_lost(paper):
    lines = tuple(replace(PETROL, name=f"*汽油*第{number:03d}种", net_fen=number) for number in range(1, 121))
    page = paper(replace(INVOICE, lines=lines))
    words = page.words()
    for number in range(1, 121):
        assert words.count(f"第{number:03d}种") == 1
    assert page.text(page=1).count("合") >= 1
    assert f"共{page.pages}页第{page.pages}页" in words.replace(" ", "")
    net = f"¥{sum(range(1, 121)) / 100:.2f}"
    assert net in page.text(page=1) and net in page.text(page=page.pages)
    assert words.count("小计") == page.pages


def test_seven_short_lines_fit_on_the_face(paper):
    short = replace(PETROL, name="*汽油*92号")
    assert paper(replace(INVOICE, lines=(short,) * 7)).pages == 1
    assert paper(replace(INVOICE, lines=(short,) * 8)).pages == 2


@pytest.mark.parametrize(
    "name",
    [
        "中" * 100,
        "Shanghai Example International Trading Company Limited " * 2,
        "W" * 100,
        "上海（示例）" * 15,
    ],
)
def test_long_names_are_whole_and_inside_their_box(paper, name):
    page = paper(named(name))
    assert name.replace(" ", "") in page.words()
    picture = page.picture(dpi=200)
    for edge in (105.0, 205.4):  # the right edges of the two boxes, drawn in red
        strip = picture.crop((round((edge - 0.6) / 25.4 * 200), 230, round((edge + 0.6) / 25.4 * 200), 368))
        assert strip.getextrema()[0][0] > 80


def test_long_item_names_and_amounts_are_whole(paper):
    line = replace(
        PETROL, name="项目" * 50, spec="规格" * 20, quantity=Decimal("123456789.12345678"), net_fen=10**13
    )
    words = paper(replace(INVOICE, lines=(line,))).words()
    assert "项目" * 50 in words.replace("规格", "") or words.count("项目") == 51
    assert "123456789.12345678" in words
    assert "100000000000.00" in words


@pytest.mark.parametrize(
    ("line", "rate", "tax"),
    [
        (PETROL, "13%", "25.31"),
        (replace(PETROL, tax_rate=Decimal("0.005"), tax_fen=110), "0.5%", "1.10"),
        (replace(PETROL, tax_rate=Decimal("0.010"), tax_fen=218), "1%", "2.18"),
        (replace(PETROL, treatment="exempt", tax_rate=Decimal(0), tax_fen=0), "免税", "***"),
        (replace(PETROL, treatment="not_taxable", tax_rate=Decimal(0), tax_fen=0), "不征税", "***"),
    ],
)
def test_rates_and_taxes_in_words(paper, line, rate, tax):
    assert rate_text(line) == rate
    assert f"194.69{rate}{tax}" in paper(replace(INVOICE, lines=(line,))).words()


def test_a_discount_row_and_a_red_letter(paper):
    discount = SheetLine("*汽油*92号", -1000, -130, Decimal("0.13"))
    assert "-10.0013%-1.30" in paper(replace(INVOICE, lines=(PETROL, discount))).words()
    red = replace(PETROL, net_fen=-19469, tax_fen=-2531, quantity=Decimal("-32.11678832"))
    words = paper(replace(INVOICE, lines=(red,))).words()
    assert "（负数）贰佰贰拾圆整" in words and "¥-220.00" in words


@pytest.mark.parametrize("name", ["李㛃", "张䶮", "㐂示例", "é·ü示例", "<b>&amp;</b>(\\)%s{x}"])
def test_rare_characters_and_markup_are_read_back_as_they_are(paper, name):
    page = paper(named(name))
    assert name in page.words()
    assert name in page.words_by_pypdf()


@pytest.mark.parametrize("name", ["示例\ue000", "示例\U000323af", "示例\u200b", "示例\x00", "示\t例"])
def test_what_no_font_has_is_refused(name):
    with pytest.raises(UndrawableCharacter) as refusal:
        draw(named(name))
    assert "U+" in refusal.value.message


def test_a_second_font_draws_what_the_first_lacks(paper):
    """𝔸 and ⊗ are not in Zen Hei; 𝔸 lies above U+FFFF, where reportlab's own table for copying is wrong."""
    page = paper(named("示例𝔸⊗公司"), fonts=FontChain([fonts.FONT_FILES[0], DEJAVU]))
    assert "示例𝔸⊗公司" in page.words()
    assert "示例𝔸⊗公司" in page.words_by_pypdf()
    assert {row[0].split("+")[1].split("-")[0] for row in page.fonts()} == {"WenQuanYiZenHei", "DejaVuSans"}
    with pytest.raises(UndrawableCharacter):
        draw(named("示例𝔸"), fonts=FontChain(fonts.FONT_FILES[:1]))


def test_reportlab_still_has_the_fault_that_we_mend():
    """When this fails, look whether its table for copying is right now, and take ours out."""
    assert '"<%02X> <%04X>"' in inspect.getsource(ttfonts)
    assert ttfonts.makeToUnicodeCMap is fonts._to_unicode


def test_without_the_font_the_package_is_named(tmp_path):
    absent = replace(fonts.FONT_FILES[0], path=tmp_path / "absent.ttc")
    with pytest.raises(FontMissing) as failure:
        FontChain([absent])
    assert "fonts-wqy-zenhei" in failure.value.message


def test_threads_draw_at_once_what_they_draw_alone():
    sheets = [named(f"上海示例{character}公司") for character in "甲乙丙丁戊己庚辛"]
    alone = [draw(sheet) for sheet in sheets]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(draw, sheets)) == alone
