"""Bills as they should not be. Lasting switches (`times` null) on the door `wechat_pay.bills`.

`match` may name `bill_date` (else every day), `mch_id`, and `out_trade_no` (the row; else the first one).
Rows: `missing_row`, `extra_row`, `off_by_a_fen`, `duplicate_row`, `status:WORD`, `foreign`. Each file says what its own rows sum up to.
File: `cut:K` (K bytes off the end), `bom`, `lf`, `wrong_hash`. Answer: `late` (still being made), `empty` (no statement).
"""

from __future__ import annotations

from dataclasses import replace

from miniapp.sandbox.faults import Fault
from miniapp.sandbox.wechat_bill_file import BillRow
from miniapp.sandbox.world import World

DOOR = "wechat_pay.bills"


def switches(world: World, *, mch_id: str, bill_date: str) -> list[Fault]:
    """The switches that are on for that bill."""
    here = {"mch_id": mch_id, "bill_date": bill_date}
    return [
        fault
        for fault in world.faults.lasting(DOOR)
        if all(fault.match.get(name, value) == value for name, value in here.items())
    ]


def has(found: list[Fault], word: str) -> bool:
    """Whether that switch is among them."""
    return any(fault.word == word for fault in found)


def damaged(rows: list[BillRow], found: list[Fault]) -> list[BillRow]:
    """The rows after all row switches."""
    for fault in found:
        rows = _apply(rows, fault)
    return rows


def cut(content: bytes, found: list[Fault]) -> bytes:
    """The file after all file switches but the hash's."""
    for fault in found:
        if fault.word == "bom":
            content = b"\xef\xbb\xbf" + content
        if fault.word == "cut":
            content = content[: -fault.number(10)]
    return content


def _apply(rows: list[BillRow], fault: Fault) -> list[BillRow]:
    index = _index(rows, fault.match.get("out_trade_no", ""))
    if index is None:
        return rows
    row = rows[index].copy()
    match fault.word:
        case "missing_row":
            return rows[:index] + rows[index + 1 :]
        case "duplicate_row":
            return [*rows[: index + 1], row, *rows[index + 1 :]]
        case "extra_row":
            row.payment |= {name: "9" + row.payment[name][1:] for name in ("trade_no", "out_trade_no")}
            return [*rows, row]
        case "off_by_a_fen":
            row.share = replace(row.share, gross=row.share.gross + 1)
        case "status":
            row.changed["交易状态"] = fault.argument or "CLOSED"
        case "foreign":
            row.payment["merchant"] = "1900009999"
        case _:
            return rows
    return [*rows[:index], row, *rows[index + 1 :]]


def _index(rows: list[BillRow], out_trade_no: str) -> int | None:
    for index, row in enumerate(rows):
        if not out_trade_no or row.payment["out_trade_no"] == out_trade_no:
            return index
    return None
