"""What a text is: its layout and where its header stands. By content only, never by the file's name."""

import csv
import re
from dataclasses import dataclass

from miniapp.reconcile import decoding
from miniapp.reconcile.layouts import Layout, column_name
from miniapp.reconcile.refusing import BillRefused
from miniapp.reconcile.wrong_files import wrong_bytes, wrong_file

_HEADER_WITHIN = 60  # lines: personal exports have some 25 before their table


@dataclass(frozen=True)
class Recognised:
    """``header_line`` counts from 0 (None: no header). ``columns`` are canonical, ``own`` as the file writes them."""

    layout: Layout
    encoding: str
    header_line: int | None
    columns: list[str]
    own: list[str]
    head: str


def recognise(head: bytes, layouts: tuple[Layout, ...]) -> Recognised:
    """The layout of a text by its first bytes.

    Raises BillRefused: WRONG_FILE (known, but no merchant bill), BAD_ENCODING (known, but not readable), UNKNOWN_FILE.
    """
    found = _fixed(head, layouts)
    if found:
        return found
    texts = decoding.head_texts(head)
    for encoding, text in texts:
        found = _with_header(text, encoding, layouts)
        if found:
            return found
    wrong = wrong_bytes(head)
    for _, text in texts:
        wrong = wrong or wrong_file(text)
    if wrong:
        raise wrong
    for line, text in decoding.damaged_head_texts(head):
        if _known(text, layouts):
            raise decoding.bad_encoding(line)
    raise BillRefused("UNKNOWN_FILE", "unknown_file", hint="which_files")


def cells(line: str) -> list[str]:
    """One line of a comma separated table, quotes respected; a stray quote is an ordinary character."""
    try:
        return next(csv.reader([line]), [])
    except csv.Error:  # a cell longer than the reader takes
        return line.split(",")


def _fixed(head: bytes, layouts: tuple[Layout, ...]) -> Recognised | None:
    text = head.removeprefix(decoding.UTF8_BOM).decode("latin-1")
    first = next((line for line in text.split("\n") if line.strip()), "")
    for each in layouts:
        if each.form == "fixed" and re.match(each.fixed["begins"], first):
            names = [str(name) for name, _ in each.fixed["fields"]]
            return Recognised(each, "", None, names, names, "")
    return None


def _with_header(text: str, encoding: str, layouts: tuple[Layout, ...]) -> Recognised | None:
    for number, line in enumerate(text.split("\n")[:_HEADER_WITHIN]):
        if "," not in line:
            continue
        own = [cell.strip(" \t\"'`\ufeff") for cell in cells(line.rstrip("\r"))]
        while own and not own[-1]:  # Excel pads every line to the widest one
            own.pop()
        names = [column_name(cell) for cell in own]
        for each in layouts:
            columns = [each.aliases.get(name, name) for name in names]
            if each.fits(columns):
                return Recognised(each, encoding, number, columns, own, text)
    return None


def _known(text: str, layouts: tuple[Layout, ...]) -> bool:
    return bool(_with_header(text, "", layouts) or wrong_file(text))
