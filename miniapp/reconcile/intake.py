"""Bytes -> recognised, decoded, checked, normalised rows; or refused whole with line and column.

Doors: ``inspect`` (what is this file), ``read`` (the same, and its rows as Parquet), ``read_in_child`` (the same with limits
on memory and time, for files from strangers). Nothing here knows a database.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from miniapp.reconcile import bills
from miniapp.reconcile.limits import Limits
from miniapp.reconcile.memory_files import MemoryFile
from miniapp.reconcile.normalising import NORMALISED, quoted
from miniapp.reconcile.refusing import BillRefused

__all__ = ["BillRefused", "Limits", "ReadBill", "inspect", "read", "read_in_child"]


@dataclass(frozen=True)
class ReadBill:
    """One bill, whole. ``bill``: trade, or flow (fund flow, account log: kept beside, never compared).

    ``merchant_no`` is the file's own account (商户号, 账号, 商户代码), None where it names none. ``rows_path`` is the
    Parquet file that was asked for, with ``NORMALISED`` columns, ``line_no`` and ``part``; amounts are fen.
    """

    layout: str
    platform: str
    bill: str
    encoding: str | None
    compression: str | None
    member: str | None
    sha256: str
    merchant_no: str | None
    rows: int
    bill_dates: tuple[str, ...]
    totals: dict[str, Any]
    trailer: str
    rows_path: Path | None = None

    def as_json(self) -> dict[str, Any]:
        """The contract's ``bills inspect --json``."""
        return {
            "layout": self.layout,
            "encoding": self.encoding,
            "compression": self.compression,
            "member": self.member,
            "sha256": self.sha256,
            "rows": self.rows,
            "business_dates": list(self.bill_dates),
            "totals": self.totals,
            "trailer": self.trailer,
        }


def inspect(path: Path, *, check_trailer: bool = True, limits: Limits | None = None) -> dict[str, Any]:
    """What a file is and what it adds up to. Raises BillRefused, naming the file."""
    return read(path, check_trailer=check_trailer, limits=limits).as_json()


def read(
    source: Path | bytes,
    *,
    name: str | None = None,
    rows_to: Path | None = None,
    check_trailer: bool = True,
    limits: Limits | None = None,
    today: date | None = None,
    folders: tuple[Path, ...] = (),
) -> ReadBill:
    """Read one bill whole; its normalised rows go to the Parquet file ``rows_to`` (only if all of it is good).

    ``name`` is what the file was called: for messages, and the year of a ZM file. ``folders`` hold further layouts.
    Raises BillRefused.
    """
    shown = name or (str(source) if isinstance(source, Path) else None)
    try:
        with _path_of(source) as path:
            return _read(path, shown, rows_to, check_trailer, limits or Limits(), today, folders)
    except BillRefused as refused:
        raise (refused.named(shown) if shown else refused) from refused.__cause__


def _read(
    path: Path,
    name: str | None,
    rows_to: Path | None,
    check_trailer: bool,
    limits: Limits,
    today: date | None,
    folders: tuple[Path, ...],
) -> ReadBill:
    with (
        bills.opened(path, limits=limits, today=today, folders=folders, name=name) as bill,
        bills.connect(ordered=bool(rows_to)) as con,
    ):
        columns = NORMALISED if rows_to else bills.SUMMED
        sums = bills.load(con, bill, table="bill_rows", columns=columns, check_trailer=check_trailer)
        if rows_to:
            _write_rows(con, bill, rows_to)
        trailer = "absent" if not bill.layout.totals else "agrees" if check_trailer else "skipped"
        return ReadBill(
            layout=bill.layout.name,
            platform=bill.layout.platform,
            bill=bill.layout.bill,
            encoding=bill.encoding,
            compression=bill.compression,
            member=bill.member,
            sha256=bills.sha256_of(path),
            merchant_no=sums.merchant_no,
            rows=sums.rows,
            bill_dates=tuple(sums.bill_dates),
            totals=bills.totals(con, bill.layout, "bill_rows"),
            trailer=trailer,
            rows_path=rows_to,
        )


@contextmanager
def _path_of(source: Path | bytes) -> Iterator[Path]:
    if isinstance(source, Path):
        if not source.is_file():
            raise BillRefused("UNKNOWN_FILE", "no_file", hint="which_files")
        yield source
        return
    kept = MemoryFile()
    try:
        kept.write(source)
        kept.flush()
        yield kept.path
    finally:
        kept.close()


def _write_rows(con: Any, bill: bills.Bill, rows_to: Path) -> None:
    """Normalised rows in the file's order; written beside and renamed, so that a reader never sees half."""
    texts = [name for name in NORMALISED if name != "occurred_at"]
    first = " ".join(f"WHEN {number} THEN {part.first_line - 1}" for number, part in enumerate(bill.parts))
    beside = rows_to.with_name(rows_to.name + ".part")
    con.execute(
        f"COPY (SELECT {', '.join(texts)}, strftime(occurred_at, '%Y-%m-%d %H:%M:%S') AS occurred_at, part, "
        f"row_number() OVER (PARTITION BY part ORDER BY rowid) + (CASE part {first} END) AS line_no FROM bill_rows "
        f"ORDER BY rowid) TO {quoted(str(beside))} (FORMAT parquet, COMPRESSION zstd)"
    )
    beside.replace(rows_to)


def read_in_child(
    path: Path,
    *,
    rows_to: Path,
    name: str | None = None,
    check_trailer: bool = True,
    limits: Limits | None = None,
    folders: tuple[Path, ...] = (),
) -> ReadBill:
    """``read`` for a file from a stranger: in a process of its own with limits on memory and time.

    Raises BillRefused; a child that dies or runs out of its limits is refused as TOO_LARGE.
    """
    limits = limits or Limits()
    order = {
        "path": str(path),
        "name": name or path.name,
        "rows_to": str(rows_to),
        "check_trailer": check_trailer,
        "limits": asdict(limits),
        "folders": [str(folder) for folder in folders],
    }
    try:
        done = subprocess.run(
            [sys.executable, "-m", "miniapp.reconcile.reading_child"],
            input=json.dumps(order).encode(),
            capture_output=True,
            timeout=limits.child_seconds,
            check=False,
        )
        answer = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError) as fault:
        raise BillRefused("TOO_LARGE", "reader_stopped", hint="too_large", file=name or path.name) from fault
    if "refused" in answer:
        raise BillRefused.from_wire(answer["refused"])
    found = answer["read"]
    return ReadBill(**{**found, "bill_dates": tuple(found["bill_dates"]), "rows_path": rows_to})
