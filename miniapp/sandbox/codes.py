"""Payment codes that a phone shows: single use, one minute by the world's clock."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from miniapp.sandbox.world import World, stamp

LIFE = timedelta(minutes=1)
PREFIXES = {"wechat": ("10", "11", "12", "13", "14", "15"), "alipay": ("25", "26", "27", "28", "29", "30")}


@dataclass(frozen=True)
class PaymentCode:
    """Who pays, and what the phone has planned: see README.md, payment plans."""

    code: str
    person: str
    plan: dict[str, Any]


class CodeUnknown(Exception):
    """No phone shows such a code."""


class CodeUsed(Exception):
    """The code has paid already."""


class CodeExpired(Exception):
    """The code is older than a minute."""


def issue(world: World, *, person: str, platform: str, plan: dict[str, Any] | None = None) -> str:
    """A new 18-digit code of that person's phone. Raises KeyError for an unknown platform."""
    code = secrets.choice(PREFIXES[platform]) + "".join(secrets.choice("0123456789") for _ in range(16))
    world.store.insert(
        "payment_codes",
        code=code,
        platform=platform,
        person=person,
        plan=json.dumps(plan or {}),
        issued_at=stamp(world.now()),
    )
    return code


def redeem(world: World, code: str, *, platform: str) -> PaymentCode:
    """Use a code up. Raises CodeUnknown, CodeUsed or CodeExpired."""
    with world.store.writing() as db:
        row = world.store.row("SELECT * FROM payment_codes WHERE code = ? AND platform = ?", code, platform)
        if row is None:
            raise CodeUnknown
        if row["used_at"]:
            raise CodeUsed
        if row["issued_at"] < stamp(world.now() - LIFE):
            raise CodeExpired
        db.execute("UPDATE payment_codes SET used_at = ? WHERE code = ?", (stamp(world.now()), code))
    return PaymentCode(code, row["person"], json.loads(row["plan"]))
