"""How an accepted order walks: 20 issuing → 21 signing → 2 done, or 22 failed, 24 signing failed.

It moves by the queries it has seen or by the clock, whichever is first. An app's `walk` sets both:
`{"signing_after_queries": 1, "done_after_queries": 2, "signing_after_seconds": 2, "done_after_seconds": 4}`;
null for seconds: by queries only. Lasting switches on door `nuonuo.queue` hold everything at 20:
`login_lost`, `credit_exhausted`, `stalled`. `credit_fen` of the app is a real limit.
"""

from __future__ import annotations

import json
import secrets
from typing import Any

from miniapp.sandbox.channels import nuonuo_notices
from miniapp.sandbox.store import Row
from miniapp.sandbox.world import World, opened, stamp, unstamp

PACE: dict[str, float | None] = {
    "signing_after_queries": 1,
    "done_after_queries": 2,
    "signing_after_seconds": 2,
    "done_after_seconds": 4,
}
STALLS = ("login_lost", "credit_exhausted", "stalled")


def by_id(world: World, issue_id: int) -> Row:
    """An issue that is known to exist, JSON opened."""
    return opened(world.store.row("SELECT * FROM issues WHERE id = ?", issue_id) or {})


def seen(world: World, issue: Row) -> Row:
    """A query looks at the issue; returns it as it stands for this query."""
    with world.store.writing():
        moved = advance(world, by_id(world, issue["id"]))
        if moved["state"] in ("waiting", "signing"):
            _note(world, moved, queries=int(moved["extra"].get("queries", 0)) + 1)
    return moved


def advance(world: World, issue: Row) -> Row:
    """Moves one issue as far as its queries and the clock allow, inside the caller's transaction."""
    if issue["state"] == "waiting" and _due(world, issue, "signing") and not stalled(world, issue):
        issue = _sign(world, issue)
    if issue["state"] == "signing" and _due(world, issue, "done") and not signing_failed(issue):
        issue = _done(world, issue)
    return issue


def finish(world: World, issue_id: int) -> Row:
    """Takes one issue to its end at once."""
    with world.store.writing():
        issue = by_id(world, issue_id)
        if issue["state"] == "waiting":
            issue = _sign(world, issue)
        return _done(world, issue) if issue["state"] == "signing" else issue


def advance_all(world: World) -> None:
    """Lets the clock move whatever is under way."""
    rows = world.store.rows(
        "SELECT id FROM issues WHERE channel = 'nuonuo' AND state IN ('waiting', 'signing') ORDER BY id"
    )
    for row in rows:
        # Read again inside: a query may have moved it meanwhile.
        with world.store.writing():
            advance(world, by_id(world, row["id"]))


def stalled(world: World, issue: Row) -> bool:
    """Whether the seller's queue stands still: login lost, no credit, or by switch; this order may stay for good."""
    if issue["extra"].get("fate") == "stays":
        return True
    if any(world.faults.on("nuonuo.queue", word) for word in STALLS):
        return True
    left = credit_left_fen(world, issue["extra"].get("app_key", ""))
    return left is not None and issue["total_fen"] > left


def credit_left_fen(world: World, app_key: str) -> int | None:
    """What the app's `credit_fen` still allows; None without a limit."""
    limit = (world.entry("nuonuo", app_key) or {}).get("credit_fen")
    if limit is None:
        return None
    row = world.store.row(
        "SELECT COALESCE(SUM(total_fen), 0) AS used FROM issues WHERE channel = 'nuonuo' AND kind = 'blue'"
        " AND state IN ('signing', 'issued')"
    )
    return int(limit) - int((row or {})["used"])


def signing_failed(issue: Row) -> bool:
    """Whether it stands at 24 until reInvoice."""
    return bool(issue["extra"].get("fate") == "sign_fails" and issue["state"] == "signing")


def new_number(world: World, entry: dict[str, Any]) -> str:
    """20 digits: year, province, channel digit 2, 15 digits of sequence; used by nobody yet."""
    while True:
        number = f"{world.beijing():%y}{entry.get('province', '31')}2{secrets.randbelow(10**15):015d}"
        if world.store.row("SELECT 1 FROM issues WHERE invoice_no = ?", number) is None:
            return number


def _due(world: World, issue: Row, step: str) -> bool:
    entry = world.entry("nuonuo", issue["extra"].get("app_key", "")) or {}
    pace = {**PACE, **entry.get("walk", {})}
    queries, seconds = pace[f"{step}_after_queries"], pace[f"{step}_after_seconds"]
    if queries is not None and int(issue["extra"].get("queries", 0)) >= queries:
        return True
    age = (world.now() - unstamp(issue["created_at"])).total_seconds()
    return seconds is not None and age >= float(seconds)


def _sign(world: World, issue: Row) -> Row:
    if issue["extra"].get("fate") == "fails":
        world.store.update("issues", issue["id"], state="failed")
        nuonuo_notices.plan(world, by_id(world, issue["id"]))
        return by_id(world, issue["id"])
    entry = world.entry("nuonuo", issue["extra"].get("app_key", "")) or {}
    world.store.update(
        "issues",
        issue["id"],
        state="signing",
        invoice_no=new_number(world, entry),
        issued_at=stamp(world.now()),
    )
    signed = by_id(world, issue["id"])
    if signing_failed(signed):
        nuonuo_notices.plan(world, signed)
    return signed


def _done(world: World, issue: Row) -> Row:
    world.store.update("issues", issue["id"], state="issued")
    if issue["extra"].get("fate") == "two_numbers":
        _second_number(world, issue)
    done = by_id(world, issue["id"])
    nuonuo_notices.plan(world, done)
    return done


def _second_number(world: World, issue: Row) -> None:
    entry = world.entry("nuonuo", issue["extra"].get("app_key", "")) or {}
    columns = {name: value for name, value in issue.items() if name != "id"}
    columns |= {
        "state": "issued",
        "invoice_no": new_number(world, entry),
        "channel_serial": f"{issue['channel_serial'][:-1]}X",
        "request": json.dumps(issue["request"], ensure_ascii=False),
        "extra": json.dumps({**issue["extra"], "fate": ""}, ensure_ascii=False),
    }
    world.store.insert("issues", **columns)


def _note(world: World, issue: Row, **more: Any) -> None:
    text = json.dumps({**issue["extra"], **more}, ensure_ascii=False)
    world.store.update("issues", issue["id"], extra=text)
