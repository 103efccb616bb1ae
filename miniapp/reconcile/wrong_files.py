"""Files that look like a bill to a person but are not a merchant's: what they are and what to fetch instead."""

import re
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from miniapp.reconcile.refusing import BillRefused

# UnionPay's file of errors and chargebacks: 22 fields in 339 bytes, the 13th is the first with a sign.
_ZME = re.compile(
    rb"[0-9A-Z]{3} [0-9 ]{11} [0-9 ]{11} .{6} .{10} .{19} .{12} .{4} .{2} .{2} .{6} .{10} .{4} .{12} [CD]"
)


@dataclass(frozen=True)
class WrongFile:
    """One kind of file that is often taken for a merchant bill. ``what`` is its name for people."""

    what: str
    marks: tuple[str, ...]
    hint: str


def wrong_file(text: str) -> BillRefused | None:
    """The refusal WRONG_FILE when the head of a file is one of those, else None."""
    for each in _wrong_files():
        if all(mark in text for mark in each.marks):
            return BillRefused("WRONG_FILE", "wrong_file", what=each.what, hint=each.hint)
    return None


def wrong_bytes(head: bytes) -> BillRefused | None:
    """The same for a file of fixed widths."""
    if _ZME.match(head):
        return BillRefused("WRONG_FILE", "wrong_zme", hint="fetch_zm")
    return None


@lru_cache(maxsize=1)
def _wrong_files() -> tuple[WrongFile, ...]:
    data = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
    return tuple(WrongFile(each["what"], tuple(each["all"]), each["hint"]) for each in data["file"])
