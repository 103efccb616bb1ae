"""Money: texts, spreading and tax, against the published examples, Decimal and whole ranges."""

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniapp.core.money import NotAnAmount, largest_remainder, parse_yuan, show, split_tax, yuan

CENT = Decimal("0.01")
WEIGHTS = st.lists(st.integers(0, 10**9), min_size=1, max_size=30)


@pytest.mark.parametrize(
    ("text", "fen"),
    [("0", 0), ("0.01", 1), ("1234.5", 123450), ("1234.50", 123450), ("-8.8", -880), ("007", 700)],
)
def test_yuan_text_becomes_fen(text, fen):
    assert parse_yuan(text) == fen


@pytest.mark.parametrize(
    "text",
    [
        "",
        " 1",
        "1 ",
        "1\n",
        "+1",
        "1.",
        ".5",
        "1.005",
        "1,000.00",
        "1e3",
        "１２",
        "٣",
        "¥1",
        "--1",
        "1" * 13,
        "nan",
    ],
)
def test_other_text_is_no_amount(text):
    with pytest.raises(NotAnAmount):
        parse_yuan(text)


@given(st.integers(-(10**14) + 1, 10**14 - 1))
def test_fen_survive_the_way_through_text(fen):
    assert parse_yuan(yuan(fen)) == fen
    assert show(fen).replace("¥", "").replace(",", "") == yuan(fen)


def test_people_read_thousands():
    assert (show(123450), show(-5), yuan(-5), yuan(0)) == ("¥1,234.50", "-¥0.05", "-0.05", "0.00")


@pytest.mark.parametrize(
    ("total", "weights", "parts"),
    [
        (1000, [3500, 1250, 790], [632, 226, 142]),
        (5, [3, 3, 3], [2, 2, 1]),
        (0, [0, 0], [0, 0]),
        (1, [0, 1], [0, 1]),
        (7, [7], [7]),
    ],
)
def test_largest_remainder_examples(total, weights, parts):
    assert largest_remainder(total, weights) == parts


@given(WEIGHTS, st.data())
def test_parts_add_up_and_stay_within_one_fen_of_their_share(weights, data):
    total = data.draw(st.integers(0, sum(weights)))
    parts = largest_remainder(total, weights)
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert 0 <= part <= weight
        assert abs(part * sum(weights) - total * weight) < max(sum(weights), 1)


@given(WEIGHTS.filter(lambda weights: len(set(weights)) == len(weights) and sum(weights) > 0), st.data())
def test_order_of_lines_matters_only_among_equal_fractions(weights, data):
    total = data.draw(st.integers(0, sum(weights)))
    order = data.draw(st.permutations(range(len(weights))))
    there = largest_remainder(total, weights)
    moved = largest_remainder(total, [weights[place] for place in order])
    fractions = [total * weight % sum(weights) for weight in weights]
    for place, part in zip(order, moved, strict=True):
        if fractions.count(fractions[place]) == 1:
            assert part == there[place]


@pytest.mark.parametrize(("total", "weights"), [(-1, [1]), (1, [-1, 3]), (1, []), (1, [0, 0])])
def test_nonsense_is_not_spread(total, weights):
    with pytest.raises(ValueError, match="weight"):
        largest_remainder(total, weights)


@pytest.mark.parametrize(
    ("gross", "percent", "net", "tax"),
    [
        (20000, "0.13", 17699, 2301),
        (40200, "0.13", 35575, 4625),
        (22000, "0.13", 19469, 2531),
        (10000, "0.13", 8850, 1150),
        (4, "0.13", 4, 0),
        (5, "0.13", 4, 1),
        (10000, "0.09", 9174, 826),
        (10000, "0.06", 9434, 566),
        (10000, "0.03", 9709, 291),
        (10000, "0.01", 9901, 99),
        (100000, "0", 100000, 0),
        (-226, "0.09", -207, -19),
    ],
)
def test_tax_examples(gross, percent, net, tax):
    assert split_tax(gross, Decimal(percent)) == (net, tax)


@given(st.integers(-(10**14), 10**14), st.integers(0, 99_999))
def test_tax_agrees_with_decimal_rounding(gross, rate):
    rate = Decimal(rate) / 100_000
    net, tax = split_tax(gross, rate)
    exact = (Decimal(gross) / 100 / (1 + rate)).quantize(CENT, ROUND_HALF_UP)
    assert net == int(exact * 100)
    assert net + tax == gross


@pytest.mark.parametrize("percent", [13, 9, 6, 3, 1])
def test_every_price_up_to_20000_yuan_keeps_the_tax_within_one_fen(percent):
    rate = Decimal(percent) / 100
    last_net = 0
    for gross in range(1, 2_000_001):
        net = (200 * gross + 100 + percent) // (2 * (100 + percent))
        # |net × rate − tax| ≤ 0.01, in hundredths of a fen
        assert abs(net * percent - (gross - net) * 100) <= 100
        assert 0 <= net - last_net <= 1
        last_net = net
    for gross in range(1, 2_000_001, 997):
        assert split_tax(gross, rate)[0] == (200 * gross + 100 + percent) // (2 * (100 + percent))
