"""A comparison as files for people: result.json, differences.csv and report.xlsx, safe to open in Excel."""

import csv
import io
import json
import os
from importlib import import_module
from pathlib import Path
from typing import Any

from miniapp.core.text import say

COLUMNS = ("platform", "kind", "key", "reasons", "ledger_fen", "bill_fen", "state", "since", "note")
# What a spreadsheet would run as a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_SHEET_ROWS = 1_000_000


def write(out: Path, result: dict[str, Any], *, beside: dict[str, Any]) -> None:
    """Write the three files and ``beside`` (name -> JSON) to a folder, each whole or not at all; result.json last."""
    out.mkdir(parents=True, exist_ok=True)
    _put(out / "differences.csv", _csv(result["differences"]))
    _put(out / "report.xlsx", _xlsx(result))
    for name, content in beside.items():
        _put(out / name, _json(content))
    _put(out / "result.json", _json(result))


def make_ready() -> None:
    """Load the sheet writer; a caller with other work to wait for does it beside."""
    import_module("xlsxwriter")


def safe_cell(value: str | int | None) -> str:
    """A cell of a CSV that no spreadsheet takes for a formula: such text gets a leading apostrophe."""
    if value is None:
        return ""
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _put(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    os.replace(part, path)


def _json(content: Any) -> bytes:
    return (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode()


def _columns(differences: list[dict[str, Any]]) -> tuple[str, ...]:
    """The contract's columns, and the order number where a refund number needs it."""
    return (*COLUMNS, "out_trade_no") if any("out_trade_no" in row for row in differences) else COLUMNS


def _row(difference: dict[str, Any], columns: tuple[str, ...]) -> list[Any]:
    return [
        "|".join(difference["reasons"]) if name == "reasons" else difference.get(name, "") for name in columns
    ]


def _csv(differences: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    columns = _columns(differences)
    writer.writerow(columns)
    for difference in differences:
        writer.writerow([safe_cell(value) for value in _row(difference, columns)])
    return text.getvalue().encode("utf-8-sig")


def _xlsx(result: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with import_module("xlsxwriter").Workbook(buffer, options) as book:
        bold = book.add_format({"bold": True, "bg_color": "#E8EEF4"})
        yuan = book.add_format({"num_format": "#,##0.00"})
        _summary_sheet(book, result, bold, yuan)
        _difference_sheet(book, result["differences"], bold, yuan)
        _cleared_sheet(book, result["cleared"], bold)
    return buffer.getvalue()


def _summary_sheet(book: Any, result: dict[str, Any], bold: Any, yuan: Any) -> None:
    sheet = book.add_worksheet(say("reconcile.report.summary"))
    sheet.set_column(0, 0, 18)
    sheet.set_column(1, 8, 14)
    sheet.write_row(0, 0, [say("reconcile.report.date"), result["date"]], bold)
    sheet.write_row(
        2, 0, _words("platform", "kind", "ledger_n", "ledger", "bill_n", "bill", "matched_n", "matched"), bold
    )
    row = 3
    for platform, sides in result["platforms"].items():
        for kind in ("sale", "refund"):
            sheet.write_row(row, 0, [_word(platform), _word(kind)])
            for index, side in enumerate(("ledger", "bill", "matched")):
                sheet.write_number(row, 2 + 2 * index, sides[side][kind]["count"])
                sheet.write(row, 3 + 2 * index, _yuan(sides[side][kind]["amount_fen"]), yuan)
            row += 1
    row += 1
    sheet.write_row(row, 0, _words("file", "layout", "rows", "sha256"), bold)
    for source in result["sources"]:
        row += 1
        for column, name in enumerate(("file", "layout", "rows", "sha256")):
            sheet.write(row, column, source[name])


def _difference_sheet(book: Any, differences: list[dict[str, Any]], bold: Any, yuan: Any) -> None:
    sheet = book.add_worksheet(say("reconcile.report.differences"))
    names = ("platform", "kind", "key", "out_trade_no", "reasons", "ledger", "bill", "state", "since", "note")
    sheet.set_column(0, len(names) - 1, 16)
    sheet.set_column(2, 4, 30)
    sheet.freeze_panes(1, 0)
    sheet.write_row(0, 0, _words(*names), bold)
    for row, each in enumerate(differences[:_SHEET_ROWS], start=1):
        reasons = "、".join(_word(reason) for reason in each["reasons"])
        texts = [
            _word(each["platform"]),
            _word(each["kind"]),
            each["key"],
            each.get("out_trade_no", ""),
            reasons,
        ]
        for column, text in enumerate(texts):
            sheet.write_string(row, column, text)
        for column, name in ((5, "ledger_fen"), (6, "bill_fen")):
            if each[name] is not None:
                sheet.write(row, column, _yuan(each[name]), yuan)
        sheet.write_string(row, 7, _word(each["state"]))
        sheet.write_string(row, 8, each["since"])
        sheet.write_string(row, 9, each["note"])
    sheet.autofilter(0, 0, max(1, len(differences)), len(names) - 1)


def _cleared_sheet(book: Any, cleared: list[dict[str, str]], bold: Any) -> None:
    sheet = book.add_worksheet(say("reconcile.report.cleared"))
    names = ("platform", "kind", "key", "since", "cleared")
    sheet.set_column(0, len(names) - 1, 16)
    sheet.write_row(0, 0, _words(*names), bold)
    for row, each in enumerate(cleared[:_SHEET_ROWS], start=1):
        for column, name in enumerate(names):
            sheet.write_string(row, column, _word(each[name]) if column < 2 else each[name])


def _yuan(fen: int) -> float:
    """Only for a spreadsheet's cell, which holds nothing else; no sum is made of it here."""
    return fen / 100


def _word(name: str) -> str:
    key = f"reconcile.word.{name}"
    try:
        return say(key)
    except KeyError:
        return name


def _words(*names: str) -> list[str]:
    return [_word(name) for name in names]
