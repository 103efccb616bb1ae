"""From a purchase to invoice lines: the published examples, the refusals in their order, and what always holds."""

import json
from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniapp.invoices.amounts import (
    AmountsRefused,
    Line,
    amounts,
    invoiceable_fen,
    quantity_of,
    spread,
    spread_with_discount_rows,
    unit_price,
)

CENT = Decimal("0.01")
LINES = st.lists(
    st.builds(
        Line,
        name=st.sampled_from(["汽油", "水", "面包"]),
        amount_fen=st.integers(0, 10**8),
        tax_rate=st.sampled_from([Decimal(rate) for rate in ("0.13", "0.09", "0.06", "0.03", "0.01", "0")]),
        quantity=st.sampled_from([None, Decimal("1.000"), Decimal("32.11678832")]),
    ),
    min_size=1,
    max_size=12,
).filter(lambda lines: any(line.amount_fen for line in lines))


def line(amount_fen, tax_rate="0.13", **more):
    return {"name": "矿泉水", "tax_rate": tax_rate, "quantity": "1.000", "amount_fen": amount_fen, **more}


def refusal_of(data):
    with pytest.raises(AmountsRefused) as caught:
        amounts(data)
    assert caught.value.message
    return caught.value.code


def test_a_plain_purchase():
    answer = amounts(
        {"paid_fen": 20000, "lines": [line(20000, unit="升", tax_category_code="1070101010100000000")]}
    )
    assert answer == {
        "invoiceable_fen": 20000,
        "lines": [
            {
                "name": "矿泉水",
                "tax_category_code": "1070101010100000000",
                "quantity": "1.000",
                "total_fen": 20000,
                "net_fen": 17699,
                "tax_fen": 2301,
                "tax_rate": "0.13",
                "row": "normal",
            }
        ],
        "total_fen": 20000,
        "net_fen": 17699,
        "tax_fen": 2301,
    }


def test_a_discount_is_spread_by_largest_remainder():
    answer = amounts(
        {
            "paid_fen": 4540,
            "merchant_discount_fen": 1000,
            "lines": [line(3500), line(1250, "0.09"), line(790, "0.06")],
        }
    )
    assert [row["total_fen"] for row in answer["lines"]] == [2868, 1024, 648]
    assert answer["total_fen"] == answer["invoiceable_fen"] == 4540


def test_discount_rows_are_differences():
    """12.50 at 9 % less 2.26: splitting the discount alone would give 9.40 and 0.84."""
    data = {"paid_fen": 1024, "merchant_discount_fen": 226, "lines": [line(1250, "0.09")]}
    (net,) = amounts(data)["lines"]
    assert (net["net_fen"], net["tax_fen"]) == (939, 85)

    full, discount = amounts({**data, "discount_rows": True})["lines"]
    assert (full["row"], full["total_fen"], full["net_fen"], full["tax_fen"]) == (
        "discounted",
        1250,
        1147,
        103,
    )
    assert (discount["row"], discount["quantity"], discount["total_fen"]) == ("discount", None, -226)
    assert (full["net_fen"] + discount["net_fen"], full["tax_fen"] + discount["tax_fen"]) == (939, 85)


def test_lines_that_get_nothing_are_left_out_and_full_ones_stay_normal():
    data = {"paid_fen": 5, "lines": [line(5), line(0)], "discount_rows": True}
    assert [row["row"] for row in amounts(data)["lines"]] == ["normal"]
    data = {"paid_fen": 1, "merchant_discount_fen": 2, "lines": [line(1), line(1), line(1)]}
    assert len(amounts(data)["lines"]) == 1


@pytest.mark.parametrize(
    ("paid", "refunded", "discount", "policy", "expected"),
    [
        (900, 0, 100, "exclude", 900),
        (900, 0, 100, "invoice", 1000),
        (900, 300, 100, "exclude", 600),
        (900, 300, 100, "invoice", 666),
        (900, 900, 100, "invoice", 0),
        (0, 0, 100, "invoice", 0),
        (3, 1, 2, "invoice", 3),
    ],
)
def test_what_is_invoiceable(paid, refunded, discount, policy, expected):
    assert (
        invoiceable_fen(paid, refunded_fen=refunded, platform_discount_fen=discount, policy=policy)
        == expected
    )


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ([], "BAD_AMOUNT"),
        (None, "BAD_AMOUNT"),
        ({}, "BAD_AMOUNT"),
        ({"paid_fen": 1, "lines": []}, "BAD_AMOUNT"),
        ({"paid_fen": 1, "lines": {}}, "BAD_AMOUNT"),
        ({"paid_fen": 1, "lines": [1]}, "BAD_AMOUNT"),
        ({"paid_fen": True, "lines": [line(1)]}, "BAD_AMOUNT"),
        ({"paid_fen": 1.0, "lines": [line(1)]}, "BAD_AMOUNT"),
        ({"paid_fen": "1", "lines": [line(1)]}, "BAD_AMOUNT"),
        ({"paid_fen": -1, "lines": [line(1)]}, "BAD_AMOUNT"),
        ({"paid_fen": 10**14, "lines": [line(10**14)]}, "BAD_AMOUNT"),
        ({"paid_fen": 1, "refunded_fen": 2, "lines": [line(1)]}, "BAD_AMOUNT"),
        ({"paid_fen": 1, "refunded_fen": None, "lines": [line(1)]}, "BAD_AMOUNT"),
        ({"paid_fen": 1, "lines": [{"name": "水", "tax_rate": "0.13"}]}, "BAD_AMOUNT"),
        ({"paid_fen": 1, "lines": [line(1, quantity=1)]}, "BAD_AMOUNT"),
        ({"paid_fen": 1, "lines": [line(1, quantity="-1")]}, "BAD_AMOUNT"),
        ({"paid_fen": 1, "lines": [line(1, name=1)]}, "BAD_AMOUNT"),
        ({"paid_fen": 1, "lines": [line(1, name="水\ud800")]}, "BAD_AMOUNT"),
        ({"paid_fen": 1, "lines": [line(1)], "platform_discount": "half"}, "BAD_AMOUNT"),
        ({"paid_fen": 1, "lines": [line(1)], "discount_rows": 1}, "BAD_AMOUNT"),
        ({"paid_fen": 1, "lines": [line(1)], "refund_fen": 1}, "BAD_AMOUNT"),
        ({"paid_fen": 1, "lines": [line(2)]}, "LINES_DO_NOT_ADD_UP"),
        ({"paid_fen": 1, "lines": [line(1)], "platform_discount_fen": 1}, "LINES_DO_NOT_ADD_UP"),
        ({"paid_fen": 1, "refunded_fen": 1, "lines": [line(1)]}, "NOT_INVOICEABLE"),
        ({"paid_fen": 0, "lines": [line(0)]}, "NOT_INVOICEABLE"),
        (
            {"paid_fen": 0, "platform_discount_fen": 1, "platform_discount": "invoice", "lines": [line(1)]},
            "NOT_INVOICEABLE",
        ),
        # the order: an amount before a rate, a rate before the sum, the sum before what is left
        ({"paid_fen": 1, "lines": [line(1, "1"), line(-1)]}, "BAD_AMOUNT"),
        ({"paid_fen": 1, "lines": [line(2, "1")]}, "BAD_RATE"),
        ({"paid_fen": 1, "refunded_fen": 1, "lines": [line(2)]}, "LINES_DO_NOT_ADD_UP"),
    ],
)
def test_refusals(data, code):
    assert refusal_of(data) == code


@pytest.mark.parametrize(
    "rate",
    [
        None,
        0,
        0.13,
        True,
        "",
        "1",
        "1.0",
        "-0.1",
        "13%",
        "1e-2",
        " 0.13",
        "0.13\n",
        "０.13",
        ".13",
        "NaN",
        "0." + "1" * 99,
    ],
)
def test_rates_are_decimal_texts_below_one(rate):
    assert refusal_of({"paid_fen": 1, "lines": [line(1, rate)]}) == "BAD_RATE"


@pytest.mark.parametrize(
    ("net", "quantity", "price"),
    [
        (19469, "32.11678832", "6.06193864"),
        (17699, "26.14379085", "6.76986750"),
        (35575, "50.82142857", "7.00000000"),
        (885, "1.000", "8.85000000"),
        (1, "99999999999", None),
        (1, "0", None),
        (100, "0.123456789", None),
    ],
)
def test_price_of_a_channel_line(net, quantity, price):
    found = unit_price(net, quantity=Decimal(quantity))
    assert found == (None if price is None else Decimal(price))
    if found is not None:
        assert (found * Decimal(quantity)).quantize(CENT, ROUND_HALF_UP) * 100 == net


@pytest.mark.parametrize(
    ("total", "price", "quantity"), [(22000, "6.85", "32.11678832"), (20000, "7.65", "26.14379085")]
)
def test_litres_from_an_amount(total, price, quantity):
    assert quantity_of(total, price=Decimal(price)) == Decimal(quantity)


@given(LINES, st.data())
def test_lines_add_up_to_the_amount_and_never_exceed_their_price(lines, data):
    amount = data.draw(st.integers(0, sum(line.amount_fen for line in lines)))
    rows = spread(lines, amount)
    assert sum(row.total_fen for row in rows) == amount
    for row in rows:
        assert row.total_fen > 0
        assert row.net_fen >= 0
        assert row.tax_fen >= 0
        assert row.net_fen + row.tax_fen == row.total_fen
        # the channel's own tolerance is 0.06; ours is 0.01
        assert abs(row.net_fen * row.tax_rate - row.tax_fen) <= 1


@given(LINES, st.data())
def test_discount_rows_give_exactly_the_net_lines(lines, data):
    amount = data.draw(st.integers(0, sum(line.amount_fen for line in lines)))
    nets = spread(lines, amount)
    rows = iter(spread_with_discount_rows(lines, amount))
    for net in nets:
        row = next(rows)
        total, without, tax = row.total_fen, row.net_fen, row.tax_fen
        if row.row == "discounted":
            discount = next(rows)
            assert (discount.row, discount.name, discount.tax_rate) == ("discount", row.name, row.tax_rate)
            assert -total < discount.total_fen < 0
            assert discount.net_fen <= 0 and discount.tax_fen <= 0
            total, without, tax = (
                total + discount.total_fen,
                without + discount.net_fen,
                tax + discount.tax_fen,
            )
        assert (total, without, tax) == (net.total_fen, net.net_fen, net.tax_fen)
    assert next(rows, None) is None


@given(
    paid=st.integers(0, 10**6),
    platform=st.integers(0, 10**5),
    merchant=st.integers(0, 10**5),
    policy=st.sampled_from(["exclude", "invoice"]),
    rows=st.booleans(),
    data=st.data(),
)
def test_any_sound_purchase_is_answered_exactly(paid, platform, merchant, policy, rows, data):
    gross = paid + platform + merchant
    refunded = data.draw(st.integers(0, paid))
    cuts = sorted(data.draw(st.lists(st.integers(0, gross), max_size=5)))
    prices = [end - start for start, end in zip([0, *cuts], [*cuts, gross], strict=True)]
    purchase = {
        "paid_fen": paid,
        "platform_discount_fen": platform,
        "merchant_discount_fen": merchant,
        "refunded_fen": refunded,
        "platform_discount": policy,
        "discount_rows": rows,
        "lines": [line(price) for price in prices],
    }
    try:
        answer = amounts(purchase)
    except AmountsRefused as refusal:
        assert refusal.code == "NOT_INVOICEABLE"
        assert paid == refunded
        return
    for name in ("total_fen", "net_fen", "tax_fen"):
        assert sum(row[name] for row in answer["lines"]) == answer[name]
    assert answer["total_fen"] == answer["invoiceable_fen"] <= gross - merchant
    assert answer["net_fen"] + answer["tax_fen"] == answer["total_fen"]
    json.dumps(answer)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
KEYS = st.sampled_from(["paid_fen", "refunded_fen", "lines", "platform_discount", "discount_rows", "x"])


@given(JSON | st.dictionaries(KEYS, JSON | st.lists(st.just(line(1)) | JSON, max_size=3)))
def test_anything_else_is_refused_in_words(data):
    try:
        amounts(data)
    except AmountsRefused as refusal:
        refusal.message.encode("utf-8")
