"""The sandbox's own SQLite file: one connection, one lock, rows as dictionaries."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Row = dict[str, Any]

SCHEMA = """
CREATE TABLE IF NOT EXISTS config (
    family TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (family, key));

-- One payment of a person to a merchant, whatever the platform. Amounts are fen.
-- state: waiting (password box open) | paid | failed | closed (unpaid, cancelled) | revoked (paid, then cancelled)
CREATE TABLE IF NOT EXISTS payments (
    id INTEGER PRIMARY KEY,
    platform TEXT NOT NULL,              -- wechat | alipay
    merchant TEXT NOT NULL,              -- wechat mch_id | alipay pid (seller)
    app_id TEXT NOT NULL,
    out_trade_no TEXT NOT NULL,          -- the merchant's number
    trade_no TEXT NOT NULL UNIQUE,       -- the platform's number
    person TEXT NOT NULL,                -- code of the payer
    payer TEXT NOT NULL,                 -- open id or user id under app_id
    state TEXT NOT NULL,
    amount_fen INTEGER NOT NULL,         -- the order's gross amount
    merchant_discount_fen INTEGER NOT NULL DEFAULT 0,  -- paid by the merchant: wechat non-prefunded coupon
    platform_discount_fen INTEGER NOT NULL DEFAULT 0,  -- paid by the platform or prefunded
    subject TEXT NOT NULL DEFAULT '',
    attach TEXT NOT NULL DEFAULT '',
    device TEXT NOT NULL DEFAULT '',     -- terminal
    store TEXT NOT NULL DEFAULT '',
    operator TEXT NOT NULL DEFAULT '',
    bank TEXT NOT NULL DEFAULT '',
    queries_left INTEGER,                -- waiting: paid when so many queries were seen; NULL: only by the person
    hidden_queries INTEGER NOT NULL DEFAULT 0,  -- so many queries still answer "no such order"
    created_at TEXT NOT NULL, paid_at TEXT, closed_at TEXT,
    extra TEXT NOT NULL DEFAULT '{}',
    UNIQUE (platform, merchant, out_trade_no));

-- Money given back. kind: refund | cancel (the whole of a paid order, by reverse or cancel)
-- state: success | processing | closed
CREATE TABLE IF NOT EXISTS refunds (
    id INTEGER PRIMARY KEY,
    payment_id INTEGER NOT NULL REFERENCES payments (id),
    refund_no TEXT NOT NULL,             -- the merchant's number; empty on a cancel
    platform_refund_no TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL DEFAULT 'refund',
    state TEXT NOT NULL DEFAULT 'success',
    amount_fen INTEGER NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    created_at TEXT NOT NULL, done_at TEXT,
    extra TEXT NOT NULL DEFAULT '{}',
    UNIQUE (payment_id, kind, refund_no));

-- Payment codes shown by a phone: single use, one minute by the sandbox's clock.
CREATE TABLE IF NOT EXISTS payment_codes (
    code TEXT PRIMARY KEY, platform TEXT NOT NULL, person TEXT NOT NULL,
    plan TEXT NOT NULL DEFAULT '{}', issued_at TEXT NOT NULL, used_at TEXT);

-- What a person and an account said to each other. direction: in (person to account) | out.
CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY, at TEXT NOT NULL, platform TEXT NOT NULL, account TEXT NOT NULL,
    person TEXT NOT NULL, direction TEXT NOT NULL,
    kind TEXT NOT NULL,                  -- text | news | image | template | event | banner | ...
    body TEXT NOT NULL,                  -- JSON
    via TEXT NOT NULL DEFAULT '',        -- reply | custom | template | chat | menu
    ref TEXT NOT NULL DEFAULT '');       -- MsgId or msgid

-- Invoices as a tax channel knows them; a second number for one serial is a second row.
CREATE TABLE IF NOT EXISTS issues (
    id INTEGER PRIMARY KEY, channel TEXT NOT NULL, taxpayer_no TEXT NOT NULL,
    serial TEXT NOT NULL,                -- the caller's order number
    channel_serial TEXT NOT NULL,        -- the channel's own
    invoice_no TEXT NOT NULL DEFAULT '', -- empty until issued
    kind TEXT NOT NULL DEFAULT 'blue',   -- blue | red
    state TEXT NOT NULL,                 -- waiting | signing | issued | failed
    buyer_name TEXT NOT NULL DEFAULT '', buyer_tax_no TEXT NOT NULL DEFAULT '',
    total_fen INTEGER NOT NULL DEFAULT 0,
    created_at TEXT NOT NULL, issued_at TEXT,
    request TEXT NOT NULL DEFAULT '{}', extra TEXT NOT NULL DEFAULT '{}');

CREATE TABLE IF NOT EXISTS prints (
    id INTEGER PRIMARY KEY, at TEXT NOT NULL, printer TEXT NOT NULL, media TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL, sha256 TEXT NOT NULL DEFAULT '', size INTEGER NOT NULL DEFAULT 0,
    path TEXT NOT NULL DEFAULT '', detail TEXT NOT NULL DEFAULT '{}');

-- Every incoming call; never a query string, body or key.
CREATE TABLE IF NOT EXISTS requests_log (
    id INTEGER PRIMARY KEY, at TEXT NOT NULL, door TEXT NOT NULL, path TEXT NOT NULL, outcome TEXT NOT NULL);
"""


class Store:
    """One SQLite file shared by all threads behind one lock."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self.create(SCHEMA)

    def create(self, schema: str) -> None:
        """Run CREATE ... IF NOT EXISTS statements; a door's module brings its own tables so."""
        with self._lock:
            self._db.executescript(schema)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction; inside another one it joins that one."""
        with self._lock:
            if self._db.in_transaction:
                yield self._db
                return
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def rows(self, sql: str, *values: Any) -> list[Row]:
        """All rows of a SELECT."""
        with self._lock:
            return [dict(row) for row in self._db.execute(sql, values)]

    def row(self, sql: str, *values: Any) -> Row | None:
        """The first row of a SELECT."""
        found = self.rows(sql, *values)
        return found[0] if found else None

    def insert(self, table: str, **columns: Any) -> int:
        """Insert one row; returns its rowid. Raises sqlite3.IntegrityError."""
        names = ", ".join(columns)
        marks = ", ".join("?" for _ in columns)
        with self.writing() as db:
            done = db.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(columns.values()))  # noqa: S608
            return int(done.lastrowid or 0)

    def update(self, table: str, row_id: int, **columns: Any) -> None:
        """Change columns of the row with that id."""
        sets = ", ".join(f"{name} = ?" for name in columns)
        with self.writing() as db:
            db.execute(f"UPDATE {table} SET {sets} WHERE id = ?", (*columns.values(), row_id))  # noqa: S608

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()
