"""Taxpayer numbers: published codes, every single slip of the finger, and a second implementation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniapp.titles import numbers

UNIFIED = [
    "9144030071526726XG",
    "91440300708461136T",
    "91330100799655058B",
    "914403001922038216",
    "91110000710926094P",
    "91110000710925462X",
    "9111000010169286X1",
    "91350100M000100Y43",
    "91310104084123648T",
    "92230102MAECWNQX6M",
]
IDENTITY = "11010519491231002X"


@pytest.mark.parametrize("number", UNIFIED)
def test_published_codes_pass_both_checks(number):
    assert numbers.fault(number) is None
    assert not numbers.has_doubtful_organisation_code(number)


@pytest.mark.parametrize("number", UNIFIED)
def test_no_single_wrong_character_passes(number):
    for place, right in enumerate(number):
        for wrong in numbers.USCC_ALPHABET.replace(right, ""):
            assert numbers.fault(number[:place] + wrong + number[place + 1 :]) is not None


@pytest.mark.parametrize("number", UNIFIED)
def test_no_swap_of_neighbours_passes(number):
    for place in range(17):
        swapped = number[:place] + number[place + 1] + number[place] + number[place + 2 :]
        assert swapped == number or numbers.fault(swapped) is not None


@pytest.mark.parametrize("number", [*UNIFIED, "91330106MA2B2ABCDN"])
def test_a_code_that_lost_or_won_a_character_is_refused(number):
    for place in range(18):
        assert numbers.fault(number[:place] + number[place + 1 :]) == "lost_character"
        assert numbers.fault(number[:place] + "0" + number[place:]) == "number_length"
    assert numbers.fault(number + "00") == "lost_character"


def test_organisation_digit_alone_is_only_a_doubt():
    assert numbers.fault("91330106MA2B2ABCDN") is None
    assert numbers.has_doubtful_organisation_code("91330106MA2B2ABCDN")
    assert not numbers.has_doubtful_organisation_code(IDENTITY)


@pytest.mark.parametrize(
    ("number", "fault"),
    [
        ("91310000717855097N", "check_character"),
        ("339902999999789113", "check_character"),
        ("91310104O84123648T", "number_form"),
        ("B1310104084123648T", "number_form"),
        ("91310104084123648t", "number_character"),
        ("9131010408412364税", "number_character"),
        ("９１310104084123648T", "number_character"),
        ("", "number_character"),
        ("9131", "number_length"),
        (IDENTITY, None),
        ("310104084123648", None),
        ("310104491231001" + "01", None),
        ("310104491331001" + "01", "lost_character"),
        ("310104490231001" + "L1", "lost_character"),
        (IDENTITY + "01", None),
        ("110105194912310021" + "01", "check_character"),
        ("110105194913310021" + "01", "lost_character"),
    ],
)
def test_faults(number, fault):
    assert numbers.fault(number) == fault


def test_identity_numbers_need_a_date_and_their_check():
    assert numbers.identity_fault(IDENTITY) is None
    assert numbers.identity_fault("110105194912310021") == "check_character"
    assert numbers.identity_fault("11010519490231002X") == "number_form"
    assert numbers.identity_fault(UNIFIED[0]) == "number_form"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("9I3IOIO4O84I23648T", "91310104084123648T"),
        ("91310104084123648T", None),
        ("91310104O8412364ST", None),
        ("9111000071O926094P", "91110000710926094P"),
    ],
)
def test_misread_letters_are_offered_only_where_the_result_is_right(typed, meant):
    assert numbers.suggestion(typed) == meant


@given(st.text(alphabet=numbers.USCC_ALPHABET, min_size=16, max_size=16))
def test_check_character_solves_the_equation_of_the_standard(tail):
    """Independent form: the weighted sum over all 18, the last with weight 1, is a multiple of 31."""
    head = "9" + tail
    code = head + numbers.uscc_check(head)
    values = [numbers.USCC_ALPHABET.index(character) for character in code]
    assert (sum(value * pow(3, place, 31) for place, value in enumerate(values[:17])) + values[17]) % 31 == 0
    assert numbers.is_uscc(code)


@given(st.text(max_size=25))
def test_any_text_gets_an_answer(text):
    numbers.fault(text)
    numbers.identity_fault(text)
    numbers.suggestion(text)
    numbers.has_doubtful_organisation_code(text)
