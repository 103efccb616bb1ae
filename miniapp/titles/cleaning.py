"""How a typed or pasted text becomes the one we keep: nothing invisible, one form of each character, and
nothing changed that the customer meant."""

import re
import unicodedata

_REMOVED = {"Cc", "Cf", "Zl", "Zp"}
_REFUSED = {"Co", "Cs", "Cn"}
# Invisible without being of a removed category: joiners, fillers, variation selectors.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\uffa0\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)
_EMOJI = re.compile("[\u20e3\u231a\u231b\u23e9-\u23fa\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff]")
# Ideographs that are younger than the Unicode tables of this Python.
_IDEOGRAPHIC_PLANES = range(0x20000, 0x323B0)
_BRACKETS = str.maketrans("()", "（）")
_ANY_BRACKET_OR_SPACE = re.compile(r"[\s()\[\]{}<>【】〔〕〈〉《》「」『』]+")
_DASHES_AND_SPACES = re.compile("[\\s\\-\u2010-\u2015\u2212]+")
_ASCII_UPPER = {letter: letter - 32 for letter in range(ord("a"), ord("z") + 1)}
_CHINA_PREFIX = re.compile(r"(?:\+|00)?86(?=1[0-9]{10}$)")


def clean(text: str) -> str:
    """NFC without control, zero-width and line characters; spaces trimmed and runs of them made one."""
    seen = (character for character in text if unicodedata.category(character) not in _REMOVED)
    composed = unicodedata.normalize("NFC", _INVISIBLE.sub("", "".join(seen)))
    return " ".join(composed.split())


def organisation_name(text: str) -> str:
    """Clean, with the full-width brackets of the company register. Never NFKC: it changes ．，（）①."""
    return clean(text).translate(_BRACKETS)


def narrow(text: str) -> str:
    """Clean, with full-width digits, letters and signs made half-width (NFKC): telephone, account, e-mail."""
    return clean(unicodedata.normalize("NFKC", clean(text)))


def number(text: str) -> str:
    """A taxpayer number: narrow, without spaces and dashes, upper case (ASCII only, so that ß and ı stay wrong)."""
    return _DASHES_AND_SPACES.sub("", narrow(text)).translate(_ASCII_UPPER)


def mobile(text: str) -> str:
    """A mobile number: narrow, without spaces, dashes and the prefix of the mainland."""
    return _CHINA_PREFIX.sub("", _DASHES_AND_SPACES.sub("", narrow(text)))


def comparable(name: str) -> str:
    """A name for finding the same title again: NFKC, case folded, without brackets and spaces."""
    return _ANY_BRACKET_OR_SPACE.sub("", unicodedata.normalize("NFKC", clean(name)).casefold())


def refused_character(text: str) -> str | None:
    """The first character that no invoice can carry, as people can read it: angle brackets, emoji, private use."""
    for character in text:
        if character in "<>":
            return character
        if _EMOJI.match(character) or _is_unassigned(character):
            return f"U+{ord(character):04X}"
    return None


def rare_characters(text: str) -> str:
    """The characters that two-byte Chinese systems lack (four bytes in GB18030), once each."""
    return "".join(dict.fromkeys(char for char in text if len(char.encode("gb18030")) == 4))


def _is_unassigned(character: str) -> bool:
    return unicodedata.category(character) in _REFUSED and ord(character) not in _IDEOGRAPHIC_PLANES
