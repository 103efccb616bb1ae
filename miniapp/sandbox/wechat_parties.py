"""Who takes part in WeChat here: official accounts, merchants, persons and who follows whom."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import Any, TypeVar

from miniapp.sandbox.world import World, stamp

T = TypeVar("T")

SCHEMA = """
CREATE TABLE IF NOT EXISTS wechat_followers (
    account TEXT NOT NULL, person TEXT NOT NULL, follows INTEGER NOT NULL, since TEXT NOT NULL,
    scene TEXT NOT NULL DEFAULT '', PRIMARY KEY (account, person));
-- Customer-service messages that an account may still send to a person; sendable NULL: without limit.
CREATE TABLE IF NOT EXISTS wechat_quota (
    id INTEGER PRIMARY KEY, account TEXT NOT NULL, person TEXT NOT NULL, ends_at TEXT NOT NULL, sendable INTEGER);
"""

# What earns how many customer-service messages for how long (current table for service accounts).
EARNED: dict[str, tuple[int | None, timedelta]] = {
    "message": (5, timedelta(hours=48)),
    "click": (3, timedelta(minutes=1)),
    "subscribe": (3, timedelta(minutes=1)),
    "scan": (3, timedelta(minutes=1)),
    "payment": (None, timedelta(hours=48)),
}


@dataclass(frozen=True)
class Account:
    """One official account (service account)."""

    code: str
    app_id: str
    secret: str
    original_id: str
    token: str = ""
    aes_key: str = ""
    callback_url: str = ""
    name: str = ""
    mode: str = "safe"  # safe | compat | plain
    oauth_domain: str = ""  # host (with port) that OAuth may return to; empty: any
    templates: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Merchant:
    """One WeChat Pay merchant."""

    mch_id: str
    api_v2_key: str
    app_ids: list[str] = field(default_factory=list)
    api_v3_key: str = ""
    merchant_certificate: str = ""
    merchant_public_key: str = ""
    cert_serial: str = ""
    platform_private_key: str = ""
    platform_key_id: str = ""
    fee_rate: str = "0.60"  # percent
    bill_ready: str = "10:00"  # Beijing time of the next day
    password_above_fen: int = 100_000
    client_certificate: bool = False  # ask reverse and refund for the header that stands for mutual TLS


def account(world: World, code: str) -> Account | None:
    """An account by its code."""
    entry = world.entry("official_accounts", code)
    return _typed(Account, entry) if entry else None


def account_of_app(world: World, app_id: str) -> Account | None:
    """An account by its app id."""
    entry = world.find("official_accounts", "app_id", app_id)
    return _typed(Account, entry) if entry else None


def merchant(world: World, mch_id: str) -> Merchant | None:
    """A merchant by its number."""
    entry = world.entry("wechat_merchants", mch_id)
    return _typed(Merchant, entry) if entry else None


def open_id(world: World, person: str, app_id: str) -> str:
    """The person's open id under an app id: as configured, else always the same made-up one."""
    entry = world.entry("people", person) or {}
    configured = (entry.get("wechat") or {}).get(app_id)
    if configured:
        return str(configured)
    digest = hashlib.sha256(f"{app_id}|{person}".encode()).digest()
    return "o" + base64.urlsafe_b64encode(digest).decode()[:27]


def person_of(world: World, app_id: str, given_open_id: str) -> str | None:
    """The code of the person behind an open id."""
    for entry in world.entries("people"):
        if open_id(world, entry["code"], app_id) == given_open_id:
            return str(entry["code"])
    return None


def follows(world: World, account_code: str, person: str) -> bool:
    """Whether the person follows the account now."""
    row = world.store.row(
        "SELECT follows FROM wechat_followers WHERE account = ? AND person = ?", account_code, person
    )
    if row is not None:
        return bool(row["follows"])
    return account_code in (world.entry("people", person) or {}).get("follows", [])


def set_follows(world: World, account_code: str, person: str, follows_now: bool, scene: str = "") -> None:
    """Follow or leave."""
    with world.store.writing() as db:
        db.execute(
            "INSERT OR REPLACE INTO wechat_followers (account, person, follows, since, scene) VALUES (?, ?, ?, ?, ?)",
            (account_code, person, int(follows_now), stamp(world.now()), scene),
        )


def earn_quota(world: World, account_code: str, person: str, trigger: str) -> None:
    """The person did something after which the account may write."""
    count, life = EARNED[trigger]
    ends_at = stamp(world.now() + life)
    world.store.insert("wechat_quota", account=account_code, person=person, ends_at=ends_at, sendable=count)


def spend_quota(world: World, account_code: str, person: str) -> int:
    """Take one message off the window that ends first. Returns 0, or errcode 45015 or 45047."""
    with world.store.writing() as db:
        windows = world.store.rows(
            "SELECT * FROM wechat_quota WHERE account = ? AND person = ? AND ends_at > ? ORDER BY ends_at, id",
            account_code,
            person,
            stamp(world.now()),
        )
        if not windows:
            return 45015
        for window in windows:
            if window["sendable"] is None:
                return 0
            if window["sendable"] > 0:
                db.execute("UPDATE wechat_quota SET sendable = sendable - 1 WHERE id = ?", (window["id"],))
                return 0
        return 45047


def _typed(kind: type[T], entry: dict[str, Any]) -> T:
    names = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in entry.items() if name in names})
