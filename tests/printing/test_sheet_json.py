"""An invoice's face from JSON: tolerant of what is missing, clear about what is wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniapp.invoices.amounts import amounts
from miniapp.printing.invoice_pdf import SheetRefused, draw, sheet_from_json
from tests.printing.pdf_tools import Paper

LINE = {"name": "*汽油*92号", "net_fen": 17699, "tax_fen": 2301, "tax_rate": "0.13"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FACE = ["number", "issued_on", "kind", "buyer", "seller", "remark", "total_fen"]
CELLS = ["name", "net_fen", "tax_fen", "total_fen", "tax_rate", "quantity", "unit_price", "treatment", "unit"]


def test_a_whole_document(tmp_path):
    sheet = sheet_from_json(
        {
            "number": "YP-0001",
            "issued_on": "2026-11-24",
            "kind": "special",
            "buyer": {"name": "上海示例商贸有限公司", "taxpayer_no": "91310104084123648T"},
            "seller": {"name": "上海示例石油销售有限公司", "taxpayer_no": "91350100M000100Y43"},
            "lines": [{**LINE, "unit": "升", "spec": "92#", "quantity": "26.14379085"}],
            "total_fen": 20000,
            "remark": "第一行\n第二行",
            "issuer_name": "收银员甲",
        }
    )
    assert sheet.specimen
    assert f"{sheet.lines[0].unit_price:f}" == "6.76986750"
    words = Paper(draw(sheet), tmp_path).words()
    for text in (
        "电子发票（增值税专用发票）",
        "YP-0001",
        "2026年11月24日",
        "¥200.00",
        "第二行",
        "收银员甲",
        "样票",
    ):
        assert text in words


def test_the_answer_of_amounts_can_be_drawn_as_it_is(tmp_path):
    purchase = {
        "paid_fen": 1024,
        "merchant_discount_fen": 226,
        "discount_rows": True,
        "lines": [{"name": "矿泉水", "tax_rate": "0.09", "quantity": "1.000", "amount_fen": 1250}],
    }
    sheet = sheet_from_json(amounts(purchase))
    assert (sheet.net_fen, sheet.tax_fen, sheet.total_fen) == (939, 85, 1024)
    assert "¥10.24" in Paper(draw(sheet), tmp_path).words()


@pytest.mark.parametrize(
    ("cells", "net", "tax"),
    [
        ({"total_fen": 20000}, 17699, 2301),
        ({"total_fen": 20000, "net_fen": 17698}, 17698, 2302),
        ({"total_fen": 20000, "tax_fen": 2300}, 17700, 2300),
        ({"net_fen": 1, "tax_fen": 0}, 1, 0),
        ({"total_fen": -226, "tax_rate": "0.09"}, -207, -19),
        ({"total_fen": 0}, 0, 0),
    ],
)
def test_missing_amounts_are_computed(cells, net, tax):
    line = sheet_from_json({"lines": [{"name": "水", "tax_rate": "0.13", **cells}]}).lines[0]
    assert (line.net_fen, line.tax_fen) == (net, tax)


def test_an_official_number_is_never_drawn_on_a_specimen():
    sheet = sheet_from_json({"number": "26312000000136634917", "lines": [LINE]})
    assert sheet.number == "样票36634917"


@pytest.mark.parametrize(
    ("data", "where"),
    [
        ([], ""),
        ({}, "lines"),
        ({"lines": []}, "lines"),
        ({"lines": [1]}, "lines[1]"),
        ({"lines": [{**LINE, "net_fen": 1.5}]}, "lines[1].net_fen"),
        ({"lines": [{**LINE, "net_fen": True}]}, "lines[1].net_fen"),
        ({"lines": [{**LINE, "total_fen": 1}]}, "lines[1].total_fen"),
        ({"lines": [{"name": "水", "tax_rate": "0.13"}]}, "lines[1].net_fen"),
        ({"lines": [{"name": "水", "total_fen": 1}]}, "lines[1].tax_rate"),
        ({"lines": [{**LINE, "tax_rate": "13%"}]}, "lines[1].tax_rate"),
        ({"lines": [{**LINE, "tax_rate": "1"}]}, "lines[1].tax_rate"),
        ({"lines": [{**LINE, "quantity": "1e5"}]}, "lines[1].quantity"),
        ({"lines": [{**LINE, "name": 1}]}, "lines[1].name"),
        ({"lines": [{**LINE, "name": "长" * 101}]}, "lines[1].name"),
        ({"lines": [{**LINE, "treatment": "free"}]}, "lines[1].treatment"),
        ({"lines": [LINE], "kind": "paper"}, "kind"),
        ({"lines": [LINE], "issued_on": "2026-13-01"}, "issued_on"),
        ({"lines": [LINE], "issued_on": 20261124}, "issued_on"),
        ({"lines": [LINE], "buyer": "上海"}, "buyer"),
        ({"lines": [LINE], "seller": {"name": []}}, "seller.name"),
        ({"lines": [LINE], "total_fen": 1}, "total_fen"),
        ({"lines": [LINE] * 2001}, "lines"),
    ],
)
def test_the_place_of_a_fault_is_named(data, where):
    with pytest.raises(SheetRefused) as refusal:
        sheet_from_json(data)
    assert refusal.value.where == where
    assert refusal.value.message


ANY_LINE = JSON | st.fixed_dictionaries({}, optional=dict.fromkeys(CELLS, JSON))
ANY_FACE = st.fixed_dictionaries({"lines": JSON | st.lists(ANY_LINE)}, optional=dict.fromkeys(FACE, JSON))


@given(JSON | ANY_FACE)
def test_anything_else_is_refused_in_words(data):
    try:
        sheet_from_json(data)
    except SheetRefused as refusal:
        refusal.message.encode("utf-8")
