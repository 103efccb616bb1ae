"""Codes that people read aloud and type: every slip of the finger is noticed."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as some

from miniapp.core import codes

CODES = some.builds(codes.claim_code, some.text("ABCDEFG0123456789", min_size=1, max_size=8))


@given(CODES)
def test_a_claim_code_is_read_back_however_it_is_typed(code: str) -> None:
    assert len(code) == 10 and set(code) <= set(codes.ALPHABET)
    typed = " ".join((code[:3].lower(), code[3:7], code[7:]))
    wide = "".join(chr(ord(one) + 0xFEE0) for one in code)
    assert codes.normal_claim_code(typed) == codes.normal_claim_code(wide) == code


@given(CODES, some.integers(0, 9), some.sampled_from(codes.ALPHABET))
def test_one_wrong_character_is_noticed(code: str, at: int, other: str) -> None:
    wrong = code[:at] + other + code[at + 1 :]
    assert codes.normal_claim_code(wrong) == (code if other == code[at] else None)


@given(CODES, some.integers(0, 8))
def test_two_swapped_neighbours_are_noticed(code: str, at: int) -> None:
    swapped = code[:at] + code[at + 1] + code[at] + code[at + 2 :]
    assert codes.normal_claim_code(swapped) in ((code,) if swapped == code else (None,))


@pytest.mark.parametrize("typed", ["", "ABC", "0O1IL", "A" * 11, "../../etc", "领取码领取码领取码领"])
def test_anything_else_is_none(typed: str) -> None:
    assert codes.normal_claim_code(typed) is None


def test_serials_are_short_and_unlike() -> None:
    made = {codes.serial() for _ in range(1000)}
    assert len(made) == 1000
    assert all(re.fullmatch(rf"[{codes.ALPHABET}]{{20}}", one) for one in made)


def test_a_store_names_itself_in_its_codes() -> None:
    assert codes.claim_code("S031")[:3] == codes.store_part("S031") == codes.claim_code("S031")[:3]
