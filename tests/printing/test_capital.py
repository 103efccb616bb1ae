"""Capital figures: the published examples, and back again by another road."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniapp.printing.capital import capital

FIGURES = "零壹贰叁肆伍陆柒捌玖"
VALUES = {"分": 1, "角": 10, "拾": 10, "佰": 100, "仟": 1000}


@pytest.mark.parametrize(
    ("fen", "spoken"),
    [
        (40200, "肆佰零贰圆整"),
        (1, "壹分"),
        (1070, "壹拾圆零柒角整"),
        (1600000, "壹万陆仟圆整"),
        (100100005, "壹佰万零壹仟圆零伍分"),
        (0, "零圆整"),
        (50, "伍角整"),
        (105, "壹圆零伍分"),
        (150, "壹圆伍角整"),
        (10000, "壹佰圆整"),
        (1001, "壹拾圆零壹分"),
        (100000000000, "壹拾亿圆整"),
        (100000000100, "壹拾亿零壹圆整"),
        (1010000000000, "壹佰零壹亿圆整"),
        (99999999999999, "玖仟玖佰玖拾玖亿玖仟玖佰玖拾玖万玖仟玖佰玖拾玖圆玖角玖分"),
        (-22000, "（负数）贰佰贰拾圆整"),
    ],
)
def test_examples(fen, spoken):
    assert capital(fen) == spoken


def heard(spoken: str) -> int:
    """The amount that a listener understands."""
    total = group = figure = 0
    for sign in spoken.removeprefix("（负数）").removesuffix("整"):
        if sign in FIGURES:
            figure = FIGURES.index(sign)
        elif sign in "万亿圆":
            scale = {"万": 10**4, "亿": 10**8, "圆": 1}[sign]
            total, group, figure = total + (group + figure) * scale * 100, 0, 0
        elif sign in "角分":
            total, figure = total + figure * VALUES[sign], 0
        else:
            group, figure = group + figure * VALUES[sign], 0
    return -total if spoken.startswith("（负数）") else total


@given(st.integers(-(10**14) + 1, 10**14 - 1))
def test_a_listener_understands_the_same_amount(fen):
    spoken = capital(fen)
    assert heard(spoken) == fen
    assert "零零" not in spoken
    assert spoken.endswith("分") == (fen % 10 != 0)


def test_more_than_twelve_digits_have_no_words():
    with pytest.raises(ValueError, match="12 digits"):
        capital(10**14)
