"""The world behind the wires: store, configuration, clock, faults."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from miniapp.sandbox.faults import Faults
from miniapp.sandbox.store import Row, Store

BEIJING = ZoneInfo("Asia/Shanghai")

# What a configuration document may hold: lists of objects, each named by this field.
FAMILIES = {
    "official_accounts": "code",
    "wechat_merchants": "mch_id",
    "alipay_apps": "app_id",
    "nuonuo": "app_key",
    "people": "code",
    "printers": "code",
    "tills": "code",
}


class World:
    """All that a door needs. Safe to share between threads."""

    def __init__(self, data: Path, clock_file: Path | None = None) -> None:
        data.mkdir(parents=True, exist_ok=True)
        self.data = data
        self.clock_file = clock_file or data / "clock"
        self.store = Store(data / "sandbox.sqlite3")
        self.faults = Faults()
        self.base_url = ""  # set by run: how the outside reaches this process
        self._lock = threading.RLock()
        self._entries = self._load()

    # time

    def now(self) -> datetime:
        """Aware UTC time of this world: the machine's clock plus the offset in the clock file."""
        return datetime.now(UTC) + timedelta(seconds=self.clock_offset())

    def beijing(self) -> datetime:
        """The same, on Beijing's wall clock."""
        return self.now().astimezone(BEIJING)

    def wire_seconds(self) -> int:
        """Unix time for freshness of signatures on the wire: the machine's, as receivers judge it by theirs."""
        return int(datetime.now(UTC).timestamp())

    def fresh(self, seconds: int, window: int = 300) -> bool:
        """Whether a caller's Unix time is near the machine's or this world's."""
        return any(abs(seconds - at) <= window for at in (self.wire_seconds(), self.now().timestamp()))

    def clock_offset(self) -> float:
        """Seconds added to the machine's clock; 0 without a file."""
        try:
            return float(self.clock_file.read_text().strip() or 0)
        except (FileNotFoundError, ValueError):
            return 0.0

    def set_clock_offset(self, seconds: float) -> None:
        """Move this world's clock, and that of everybody who reads the same file."""
        partial = self.clock_file.with_suffix(".partial")
        partial.write_text(f"{seconds:.3f}\n")
        partial.replace(self.clock_file)

    # configuration

    def configure(self, document: dict[str, Any], *, replace: bool = False) -> None:
        """Take over a configuration: objects of the same name are replaced, others stay.

        Raises ValueError for an unknown family or an object without its name.
        """
        for family, objects in document.items():
            if family not in FAMILIES:
                raise ValueError(f"unknown family {family}; known: {', '.join(FAMILIES)}")
            for entry in objects:
                if not entry.get(FAMILIES[family]):
                    raise ValueError(f"{family}: an object has no {FAMILIES[family]}")
        with self.store.writing() as db:
            if replace:
                db.execute("DELETE FROM config")
            for family, objects in document.items():
                for entry in objects:
                    db.execute(
                        "INSERT OR REPLACE INTO config (family, key, body) VALUES (?, ?, ?)",
                        (family, str(entry[FAMILIES[family]]), json.dumps(entry, ensure_ascii=False)),
                    )
        with self._lock:
            self._entries = self._load()

    def entries(self, family: str) -> list[dict[str, Any]]:
        """All objects of a family."""
        return list(self._entries.get(family, {}).values())

    def entry(self, family: str, key: str) -> dict[str, Any] | None:
        """One object by its name."""
        return self._entries.get(family, {}).get(key)

    def find(self, family: str, field: str, value: str) -> dict[str, Any] | None:
        """The first object of a family whose field has that value."""
        return next((entry for entry in self.entries(family) if entry.get(field) == value), None)

    def _load(self) -> dict[str, dict[str, dict[str, Any]]]:
        entries: dict[str, dict[str, dict[str, Any]]] = {}
        for row in self.store.rows("SELECT family, key, body FROM config ORDER BY rowid"):
            entries.setdefault(row["family"], {})[row["key"]] = json.loads(row["body"])
        return entries

    # ledger

    def log(self, door: str, path: str, outcome: str) -> None:
        """One line for an incoming call."""
        self.store.insert("requests_log", at=stamp(self.now()), door=door, path=path, outcome=outcome)

    def record_message(
        self, *, platform: str, account: str, person: str, direction: str, kind: str, body: dict[str, Any],
        via: str = "", ref: str = "",
    ) -> int:  # fmt: skip
        """One message between a person and an account; returns its id."""
        return self.store.insert(
            "messages",
            at=stamp(self.now()),
            platform=platform,
            account=account,
            person=person,
            direction=direction,
            kind=kind,
            body=json.dumps(body, ensure_ascii=False),
            via=via,
            ref=ref,
        )

    def messages(self, *, after: int = 0, **columns: str) -> list[Row]:
        """Messages newer than an id whose columns have these values, oldest first."""
        wanted = "".join(f" AND {name} = ?" for name in columns)
        sql = f"SELECT * FROM messages WHERE id > ?{wanted} ORDER BY id"  # noqa: S608 - names are ours
        return [opened(row) for row in self.store.rows(sql, after, *columns.values())]

    def ledger(self) -> dict[str, list[Row]]:
        """The whole truth, for whoever judges: JSON columns opened."""
        payments = [opened(row) for row in self.store.rows("SELECT * FROM payments ORDER BY id")]
        refunds = [opened(row) for row in self.store.rows("SELECT * FROM refunds ORDER BY id")]
        for payment in payments:
            payment["refunds"] = [r for r in refunds if r["payment_id"] == payment["id"]]
        tables = ("issues", "prints", "messages")
        rest = {t: [opened(r) for r in self.store.rows(f"SELECT * FROM {t} ORDER BY id")] for t in tables}  # noqa: S608
        return {"payments": payments, **rest}


def stamp(at: datetime) -> str:
    """How times stand in the store: UTC, ISO 8601, sortable as text."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def unstamp(text: str) -> datetime:
    """The aware time behind a stored text."""
    return datetime.fromisoformat(text)


def opened(row: Row) -> Row:
    """A row with its JSON columns parsed."""
    json_columns = {"extra", "body", "request", "detail", "plan"}
    return {name: json.loads(v) if name in json_columns and v else v for name, v in row.items()}
