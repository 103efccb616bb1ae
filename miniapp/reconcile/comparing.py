"""Files in, differences out, without a database: ``reconcile compare``, for a clerk's quick check and for tests."""

import json
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date as Date
from pathlib import Path
from typing import Any

import duckdb

from miniapp.reconcile import bills as bill_files
from miniapp.reconcile import ledgers, matching, reporting
from miniapp.reconcile.ledgers import REFUNDS_WITHIN_ORDER
from miniapp.reconcile.limits import Limits
from miniapp.reconcile.matching import Difference, Matched, Missing
from miniapp.reconcile.refusing import BillRefused

# Beside the contract's files: which carried rows are revoked or failed on the side that has them.
_CARRIED = "carried.json"


@dataclass(frozen=True)
class _Loaded:
    path: Path
    layout: str
    platform: str
    rows: int
    table: str


def compare(
    ledger: Path,
    bills: list[Path],
    date: Date,
    previous: Path | None,
    carry_days: int,
    out: Path,
    *,
    limits: Limits | None = None,
    memory: str | None = None,
) -> dict[str, Any]:
    """Match a ledger file with the bill files of one date; write result.json, differences.csv, report.xlsx to ``out``.

    Returns the contract's JSON. ``memory`` caps DuckDB (``1.5GB``). Raises BillRefused; then nothing was written.
    """
    missing = _previous(previous, date) if previous else []
    _there([ledger, *bills])
    with ThreadPoolExecutor(2) as pool, bill_files.connect(ordered=False, memory=memory) as con:
        hashes = {path: pool.submit(bill_files.sha256_of, path) for path in dict.fromkeys([ledger, *bills])}
        pool.submit(reporting.make_ready)
        ledger_rows = _named(ledger, lambda: ledgers.load(con, ledger))
        loaded = [
            _named(
                path,
                lambda path=path, number=number: _load(con, path, f"bill_{number}", date, limits or Limits()),
            )
            for number, path in enumerate(_different(bills, hashes))
        ]
        _bill_rows(con, loaded)
        platforms = sorted({each.platform for each in loaded})
        matched = matching.match(
            con, bill_date=date, carry_days=carry_days, bill_platforms=platforms, previous=missing
        )
        sources = [_source(ledger, hashes, "ledger", ledger_rows)]
        sources += [_source(each.path, hashes, each.layout, each.rows) for each in loaded]
    result = {
        "date": date.isoformat(),
        "platforms": {platform: _platform(platform, matched) for platform in platforms},
        "differences": [_difference(each) for each in matched.differences],
        "cleared": [_cleared(each, date) for each in matched.cleared],
        "sources": sources,
    }
    carried = {"is_off": [[d.platform, d.kind, d.key, d.sub] for d in matched.differences if d.is_off]}
    reporting.write(out, result, beside={_CARRIED: carried})
    return result


def _there(paths: list[Path]) -> None:
    for path in paths:
        if not path.is_file():
            raise BillRefused("UNKNOWN_FILE", "no_file", file=str(path), hint="which_files")


def _named(path: Path, load: Any) -> Any:
    """What ``load`` returns; its refusal names the file as it was given."""
    try:
        return load()
    except BillRefused as refused:
        raise refused.named(str(path)) from refused.__cause__


def _different(paths: list[Path], hashes: dict[Path, Future[str]]) -> list[Path]:
    """The bills without those given twice. Hashes are waited for only where two sizes are equal."""
    kept: list[Path] = []
    for path in paths:
        size = path.stat().st_size
        same = [other for other in kept if other.stat().st_size == size]
        if not any(other == path or hashes[other].result() == hashes[path].result() for other in same):
            kept.append(path)
    return kept


def _load(con: duckdb.DuckDBPyConnection, path: Path, table: str, date: Date, limits: Limits) -> _Loaded:
    with bill_files.opened(path, limits=limits, today=date) as bill:
        if bill.layout.bill != "trade":
            raise BillRefused("WRONG_FILE", "not_a_trade_bill", what=bill.layout.title, hint="fetch_trade")
        sums = bill_files.load(con, bill, table=table, columns=(), check_trailer=True)
        if sums.rows and date.isoformat() not in sums.bill_dates:
            found = "、".join(sums.bill_dates[:3])
            raise BillRefused(
                "WRONG_DATE", "wrong_date", found=found, date=date.isoformat(), hint="right_day"
            )
        return _Loaded(path, bill.layout.name, bill.layout.platform, sums.rows, table)


def _bill_rows(con: duckdb.DuckDBPyConnection, loaded: list[_Loaded]) -> None:
    sides = [
        matching.bill_side(
            each.table, platform=each.platform, refunds_within_order=each.platform in REFUNDS_WITHIN_ORDER
        )
        for each in loaded
    ]
    con.execute(f"CREATE OR REPLACE TEMP VIEW bill_rows AS {' UNION ALL '.join(sides) or matching.NO_BILL}")


def _previous(folder: Path, date: Date) -> list[Missing]:
    """The rows of an earlier run that were missing on one side, and nothing else. Raises BillRefused."""
    file = folder / "result.json"
    try:
        result = json.loads(file.read_text("utf-8"))
        earlier = Date.fromisoformat(result["date"])
        rows = [row for row in result["differences"] if row["reasons"] in (["ledger_only"], ["bill_only"])]
        is_off = _carried_off(folder)
        missing = [_missing(row, is_off) for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise BillRefused("UNKNOWN_FILE", "bad_previous", file=str(file), hint="previous_dir") from fault
    if earlier >= date:
        raise BillRefused(
            "WRONG_DATE",
            "previous_date",
            file=str(file),
            found=earlier.isoformat(),
            date=date.isoformat(),
            hint="previous_dir",
        )
    return missing


def _missing(row: dict[str, Any], is_off: set[tuple[str, ...]]) -> Missing:
    platform, kind, key = str(row["platform"]), str(row["kind"]), str(row["key"])
    sub = str(row.get("out_trade_no", "")) if kind == "refund" and platform in REFUNDS_WITHIN_ORDER else ""
    reason = str(row["reasons"][0])
    return Missing(
        platform=platform,
        kind=kind,
        key=key,
        sub=sub,
        reason=reason,
        fen=int(row["ledger_fen"] if reason == "ledger_only" else row["bill_fen"]),
        since=Date.fromisoformat(row["since"]),
        is_off=(platform, kind, key, sub) in is_off,
    )


def _carried_off(folder: Path) -> set[tuple[str, ...]]:
    try:
        return {tuple(row) for row in json.loads((folder / _CARRIED).read_text("utf-8"))["is_off"]}
    except FileNotFoundError:
        return set()


def _platform(platform: str, matched: Matched) -> dict[str, Any]:
    def side(name: str) -> dict[str, dict[str, int]]:
        found = {kind: matched.totals.get((name, platform, kind), (0, 0)) for kind in matching.KINDS}
        return {kind: {"count": count, "amount_fen": fen} for kind, (count, fen) in found.items()}

    states = [each.state for each in matched.differences if each.platform == platform]
    return {
        "ledger": side("ledger"),
        "bill": side("bill"),
        "matched": side("matched"),
        "open": states.count("open"),
        "carried_over": states.count("carried_over"),
    }


def _difference(each: Difference) -> dict[str, Any]:
    found = {
        "platform": each.platform,
        "kind": each.kind,
        "key": each.key,
        "reasons": list(each.reasons),
        "ledger_fen": each.ledger_fen,
        "bill_fen": each.bill_fen,
        "state": each.state,
        "since": each.since.isoformat(),
        "note": "",
    }
    return {**found, "out_trade_no": each.sub} if each.sub else found


def _cleared(each: matching.Cleared, date: Date) -> dict[str, str]:
    return {
        "platform": each.platform,
        "kind": each.kind,
        "key": each.key,
        "since": each.since.isoformat(),
        "cleared": date.isoformat(),
    }


def _source(path: Path, hashes: dict[Path, Future[str]], layout: str, rows: int) -> dict[str, Any]:
    return {"file": str(path), "sha256": hashes[path].result(), "layout": layout, "rows": rows}
