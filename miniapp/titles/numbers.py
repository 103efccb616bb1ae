"""Taxpayer numbers: the unified code (GB 32100-2015), the organisation code in it (GB 11714), identity cards
(ISO 7064 MOD 11-2) and the older lengths 15, 17 and 20. Numbers come here already normalised."""

import re
from collections.abc import Sequence
from datetime import date

USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
LENGTHS = (15, 17, 18, 20)

_USCC_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
_USCC = re.compile(f"[1-9ANY][{USCC_ALPHABET}]{{17}}")
_ORGANISATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
_IDENTITY_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_IDENTITY = re.compile(r"[1-9][0-9]{16}[0-9X]")
# Provinces are 11 to 82; unified codes of enterprises begin with 9, so that one which lost a digit is not taken.
_OLD_IDENTITY_AND_TWO = re.compile(r"[1-8][0-9]{14}[0-9A-Z]{2}")
_BIRTH_YEARS = range(1850, 2050)
_WRITTEN = re.compile(r"[0-9A-Z]+")
# Letters that the unified code avoids because they are read as digits.
_MISREAD = str.maketrans("OIZS", "0125")


def fault(number: str) -> str | None:
    """What is wrong with a taxpayer number, as the last part of a message key; None when it is right.

    ``check_character`` means that only the check character is wrong: such numbers exist in older registers.
    """
    if len(number) == 15 or written_fault(number):
        return written_fault(number)
    if len(number) == 17:
        return None if _is_old_identity_and_two(number) else "lost_character"
    if len(number) == 20:
        return (
            "lost_character" if identity_fault(number[:18]) == "number_form" else identity_fault(number[:18])
        )
    if is_uscc(number) or identity_fault(number) is None:
        return None
    return "check_character" if _USCC.fullmatch(number) else "number_form"


def written_fault(number: str) -> str | None:
    """The same answer from characters and length alone."""
    if not _WRITTEN.fullmatch(number):
        return "number_character"
    return None if len(number) in LENGTHS else "number_length"


def identity_fault(number: str) -> str | None:
    """The same answer for a number that must be an 18-character identity number."""
    if not _IDENTITY.fullmatch(number) or not _is_date(number[6:10], number[10:12], number[12:14]):
        return "number_form"
    return None if number[17] == identity_check(number[:17]) else "check_character"


def is_uscc(number: str) -> bool:
    """Whether this is a unified code with the right check character."""
    return bool(_USCC.fullmatch(number)) and number[17] == uscc_check(number[:17])


def uscc_check(head: str) -> str:
    """The 18th character of a unified code from its first 17."""
    total = _weighted([USCC_ALPHABET.index(character) for character in head], _USCC_WEIGHTS)
    return USCC_ALPHABET[-total % 31]


def has_doubtful_organisation_code(number: str) -> bool:
    """Whether the organisation code in a unified code or an old 15-character number lacks its check digit.

    Registers hold such codes: it is a reason to look twice, never to refuse.
    """
    if fault(number) is not None or not (len(number) == 15 or is_uscc(number)):
        return False
    code = number[8:17] if len(number) == 18 else number[6:]
    return code[8] != organisation_check(code[:8])


def organisation_check(head: str) -> str:
    """The 9th character of an organisation code from its first 8 (GB 11714): 10 is X, 11 is 0."""
    rest = 11 - _weighted([int(character, 36) for character in head], _ORGANISATION_WEIGHTS) % 11
    return {10: "X", 11: "0"}.get(rest, str(rest))


def identity_check(head: str) -> str:
    """The 18th character of an identity number from its first 17 digits."""
    return "10X98765432"[_weighted([int(digit) for digit in head], _IDENTITY_WEIGHTS) % 11]


def suggestion(number: str) -> str | None:
    """The number that was probably meant where O, I, Z, S stand for 0, 1, 2, 5; None when that is not right either.

    To be offered to the person, never put in for them.
    """
    meant = number.translate(_MISREAD)
    return meant if meant != number and fault(meant) is None else None


def _weighted(values: Sequence[int], weights: Sequence[int]) -> int:
    return sum(value * weight for value, weight in zip(values, weights, strict=True))


def _is_old_identity_and_two(number: str) -> bool:
    return bool(_OLD_IDENTITY_AND_TWO.fullmatch(number)) and _is_date(
        f"19{number[6:8]}", number[8:10], number[10:12]
    )


def _is_date(year: str, month: str, day: str) -> bool:
    try:
        return date(int(year), int(month), int(day)).year in _BIRTH_YEARS
    except ValueError:
        return False
