"""`reconcile compare` once more, slow and obvious, in dictionaries: what the fast one must equal to the fen."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from tests.reconcile.papers import Row, Sale

Key = tuple[str, str, str, str]  # platform, kind, key, order number where the refund number needs it
FAILED = ("FAIL", "REFUNDCLOSE")


@dataclass
class Carried:
    reason: str
    fen: int
    since: date
    is_off: bool


@dataclass
class Side:
    fens: list[int]
    offs: list[bool]


def compare(
    *,
    ledger: list[Sale],
    bills: dict[str, list[Row]],
    day: date,
    previous: dict[Key, Carried],
    carry_days: int,
) -> dict[str, Any]:
    """``bills``: platform -> rows, only for platforms that have a bill today. Answers differences, cleared, totals, carried."""
    today, others = _ledger(ledger, bills, day)
    rows, gone = _bills(bills, ledger, previous)
    differences: dict[Key, dict[str, Any]] = {}
    cleared: list[Key] = []
    matched: dict[tuple[str, str], list[int]] = defaultdict(list)
    carried: dict[Key, Carried] = {}
    for key in sorted({*today, *rows, *gone, *previous}):
        past = previous.get(key)
        ours, theirs = today.get(key), rows.get(key)
        off = (
            key in gone
            or bool(theirs and any(theirs.offs))
            or bool(past and past.reason == "bill_only" and past.is_off)
        )
        bill_fen = sum(theirs.fens) if theirs else past.fen if past and past.reason == "bill_only" else None
        ledger_fen, statuses = _our_side(
            key, ours, past, others, bill_fen, off, day, carry_days, key in rows or key in gone
        )
        if ledger_fen is None and bill_fen is None:
            continue
        reasons = _reasons(key, ours, theirs, ledger_fen, bill_fen, statuses, off)
        if not reasons:
            if past:
                cleared.append(key)
            if key[0] in bills and (bill_fen is not None or ours or past):
                matched[key[:2]].append(bill_fen if bill_fen is not None else ledger_fen or 0)
            continue
        since = past.since if past else day
        waits = reasons in (["ledger_only"], ["bill_only"])
        state = "carried_over" if waits and (day - since).days <= carry_days else "open"
        differences[key] = {
            "reasons": reasons, "ledger_fen": ledger_fen, "bill_fen": bill_fen, "state": state, "since": since.isoformat()
        }  # fmt: skip
        if waits:
            is_off = all(statuses) if reasons == ["ledger_only"] else off
            carried[key] = Carried(reasons[0], ledger_fen if bill_fen is None else bill_fen, since, is_off)
    return {
        "differences": differences,
        "cleared": cleared,
        "matched": {name: (len(fens), sum(fens)) for name, fens in matched.items()},
        "carried": carried,
    }


def _key(platform: str, kind: str, order: str, refund: str) -> Key:
    if kind == "sale":
        return (platform, "sale", order, "")
    if platform == "alipay":
        return (platform, "refund", refund or order, order)
    return (platform, "refund", refund, "")


def _ledger(
    ledger: Iterable[Sale], bills: dict[str, list[Row]], day: date
) -> tuple[dict[Key, Side], dict[Key, list[Sale]]]:
    today: dict[Key, Side] = {}
    others: dict[Key, list[Sale]] = defaultdict(list)
    for sale in ledger:
        key = _key(sale.platform, sale.kind, sale.order, sale.refund)
        if sale.day == day.isoformat() and sale.platform in bills:
            side = today.setdefault(key, Side([], []))
            side.fens.append(sale.fen)
            side.offs.append(sale.status == "revoked")
        else:
            others[key].append(sale)
    return today, others


def _bills(
    bills: dict[str, list[Row]], ledger: list[Sale], previous: dict[Key, Carried]
) -> tuple[dict[Key, Side], set[Key]]:
    rows: dict[Key, Side] = {}
    gone: set[Key] = set()
    for platform, listed in bills.items():
        for row in listed:
            kind = _kind(platform, row, listed, ledger, previous)
            if kind == "revocation":
                gone.add((platform, "sale", row.order, ""))
                continue
            side = rows.setdefault(_key(platform, kind, row.order, row.refund), Side([], []))
            side.fens.append(row.fen)
            side.offs.append(kind == "refund" and platform == "wechat" and row.state in FAILED)
    return rows, gone


def _kind(
    platform: str, row: Row, listed: list[Row], ledger: list[Sale], previous: dict[Key, Carried]
) -> str:
    if platform != "alipay" or row.kind != "refund" or row.refund:
        return row.kind
    if any(other.kind == "sale" and (other.order, other.fen) == (row.order, row.fen) for other in listed):
        return "revocation"
    mine = [sale for sale in ledger if sale.platform == platform and sale.order == row.order]
    if any(sale.kind == "refund" and (sale.refund or sale.order) == row.order for sale in mine):
        return "refund"
    if any(sale.kind == "sale" and sale.fen == row.fen for sale in mine):
        return "revocation"
    past = previous.get((platform, "sale", row.order, ""))
    return "revocation" if past and past.fen == row.fen else "refund"


def _our_side(
    key: Key,
    ours: Side | None,
    past: Carried | None,
    others: dict[Key, list[Sale]],
    bill_fen: int | None,
    off: bool,
    day: date,
    carry_days: int,
    on_todays_bill: bool,
) -> tuple[int | None, list[bool]]:
    """The ledger's fen and statuses for a key: today's rows, else one of another date, else what was carried."""
    if ours:
        return sum(ours.fens), ours.offs
    any_day = past is not None and past.reason == "bill_only"
    if on_todays_bill or any_day:
        fitting = []
        for sale in others.get(key, []):
            age = (day - date.fromisoformat(sale.day)).days
            if any_day or 0 < age <= carry_days:
                is_off = sale.status == "revoked"
                wrong = bill_fen is not None and sale.fen != bill_fen
                fitting.append((wrong, is_off != off, abs(age), sale.fen, is_off))
        if fitting:
            best = min(fitting)
            return best[3], [best[4]]
    if past and past.reason == "ledger_only":
        return past.fen, [past.is_off]
    return None, []


def _reasons(
    key: Key,
    ours: Side | None,
    theirs: Side | None,
    ledger_fen: int | None,
    bill_fen: int | None,
    statuses: list[bool],
    off: bool,
) -> list[str]:
    twice_here = bool(ours and len(ours.fens) > 1)
    twice_there = bool(theirs and len(theirs.fens) > 1)
    on_bill = bill_fen is not None or off
    reasons = []
    if ledger_fen is not None and not on_bill and not (ours and key[1] == "sale" and all(statuses)):
        reasons.append("ledger_only")
    if bill_fen is not None and ledger_fen is None:
        reasons.append("bill_only")
    both = ledger_fen is not None and bill_fen is not None
    if both and ledger_fen != bill_fen and not twice_here and not twice_there:
        reasons.append("amount_differs")
    if ledger_fen is not None and on_bill and any(status != off for status in statuses):
        reasons.append("status_differs")
    if twice_there:
        reasons.append("duplicate_in_bill")
    if twice_here:
        reasons.append("duplicate_in_ledger")
    return reasons
