"""Money between persons and merchants, the same for every platform. Amounts are fen."""

from __future__ import annotations

import json
import secrets
import sqlite3
from datetime import timedelta
from typing import Any

from miniapp.sandbox.store import Row
from miniapp.sandbox.world import World, opened, stamp


class NumberTaken(Exception):
    """The merchant has used that out_trade_no; `.payment` is the row."""

    def __init__(self, payment: Row) -> None:
        super().__init__(payment["out_trade_no"])
        self.payment = payment


class TooMuch(Exception):
    """More would be given back than was paid."""


def start(world: World, *, state: str, seconds_ahead: float = 0, **columns: Any) -> Row:
    """A new payment, `waiting`, `paid` or `failed`; columns as in the table. Raises NumberTaken.

    `seconds_ahead`: the platform's clock goes before ours, so a late sale is in tomorrow's bill.
    """
    at = stamp(world.now())
    columns["extra"] = json.dumps(columns.get("extra") or {}, ensure_ascii=False)
    paid_at = stamp(world.now() + timedelta(seconds=seconds_ahead)) if state == "paid" else None
    try:
        row_id = world.store.insert("payments", state=state, created_at=at, paid_at=paid_at, **columns)
    except sqlite3.IntegrityError:
        taken = find(world, columns["platform"], columns["merchant"], out_trade_no=columns["out_trade_no"])
        if taken is None:
            raise
        raise NumberTaken(taken) from None
    return by_id(world, row_id)


def find(
    world: World, platform: str, merchant: str, *, out_trade_no: str = "", trade_no: str = ""
) -> Row | None:
    """A merchant's payment by one of its numbers; the platform's number wins."""
    column, value = ("trade_no", trade_no) if trade_no else ("out_trade_no", out_trade_no)
    row = world.store.row(
        f"SELECT * FROM payments WHERE platform = ? AND merchant = ? AND {column} = ?",  # noqa: S608
        platform,
        merchant,
        value,
    )
    return opened(row) if row else None


def by_id(world: World, payment_id: int) -> Row:
    """A payment that is known to exist."""
    row = world.store.row("SELECT * FROM payments WHERE id = ?", payment_id)
    if row is None:
        raise KeyError(payment_id)
    return opened(row)


def answer(world: World, payment_id: int, *, accept: bool) -> bool:
    """The person enters the password, or refuses. False if the payment waits no more."""
    return _leave_waiting(world, payment_id, "paid" if accept else "failed")


def close(world: World, payment_id: int) -> bool:
    """The merchant gives up an unpaid order. False if it waits no more (failed ones close too)."""
    with world.store.writing() as db:
        done = db.execute(
            "UPDATE payments SET state = 'closed', closed_at = ? WHERE id = ? AND state IN ('waiting', 'failed')",
            (stamp(world.now()), payment_id),
        )
        return done.rowcount == 1


def seen(world: World, payment: Row) -> Row:
    """A query by the merchant looks at the payment: counts `queries_left` down, 0 pays. Returns the row after it."""
    if payment["state"] == "waiting" and payment["queries_left"] is not None:
        left = payment["queries_left"] - 1
        world.store.update("payments", payment["id"], queries_left=left)
        if left <= 0:
            _leave_waiting(world, payment["id"], "failed" if payment["extra"].get("then_fails") else "paid")
    return by_id(world, payment["id"])


def hidden(world: World, payment: Row) -> bool:
    """Whether this query still answers "no such order"; counts down."""
    if payment["hidden_queries"] <= 0:
        return False
    world.store.update("payments", payment["id"], hidden_queries=payment["hidden_queries"] - 1)
    return True


def refunds_of(world: World, payment_id: int) -> list[Row]:
    """What was given back of a payment, oldest first, cancels included."""
    rows = world.store.rows("SELECT * FROM refunds WHERE payment_id = ? ORDER BY id", payment_id)
    return [opened(row) for row in rows]


def refunded_fen(world: World, payment_id: int) -> int:
    """The sum given back or on its way."""
    return sum(r["amount_fen"] for r in refunds_of(world, payment_id) if r["state"] != "closed")


def refund(
    world: World,
    payment: Row,
    *,
    refund_no: str,
    amount_fen: int,
    kind: str = "refund",
    state: str = "success",
    platform_refund_no: str = "",
    reason: str = "",
) -> tuple[Row, bool]:
    """Give money back. The same number again gives the first row and False.

    Raises TooMuch. A `cancel` also moves the payment to `revoked`.
    """
    with world.store.writing() as db:
        for row in refunds_of(world, payment["id"]):
            if row["kind"] == kind and row["refund_no"] == refund_no:
                return row, False
        if refunded_fen(world, payment["id"]) + amount_fen > payment["amount_fen"]:
            raise TooMuch
        at = stamp(world.now())
        row_id = world.store.insert(
            "refunds",
            payment_id=payment["id"],
            refund_no=refund_no,
            platform_refund_no=platform_refund_no or "503" + _digits(world, 25),
            kind=kind,
            state=state,
            amount_fen=amount_fen,
            reason=reason,
            created_at=at,
            done_at=at if state == "success" else None,
        )
        if kind == "cancel":
            db.execute(
                "UPDATE payments SET state = 'revoked', closed_at = ? WHERE id = ?", (at, payment["id"])
            )
        row = world.store.row("SELECT * FROM refunds WHERE id = ?", row_id) or {}
        return opened(row), True


def finish_refund(world: World, refund_id: int, *, state: str) -> Row:
    """A refund under way ends: `success` or `closed`. Others stay as they are."""
    with world.store.writing() as db:
        db.execute(
            "UPDATE refunds SET state = ?, done_at = ? WHERE id = ? AND state = 'processing'",
            (state, stamp(world.now()), refund_id),
        )
        return opened(world.store.row("SELECT * FROM refunds WHERE id = ?", refund_id) or {})


def waiting_for(world: World, person: str) -> list[Row]:
    """Payments that wait for this person's password, newest first."""
    return world.store.rows(
        "SELECT * FROM payments WHERE person = ? AND state = 'waiting' ORDER BY id DESC", person
    )


def trade_no(world: World, prefix: str) -> str:
    """A platform's number: 28 digits, the Beijing day inside."""
    return prefix + _digits(world, 28 - len(prefix))


def _digits(world: World, count: int) -> str:
    day = f"{world.beijing():%Y%m%d}"
    return day + "".join(secrets.choice("0123456789") for _ in range(count - len(day)))


def _leave_waiting(world: World, payment_id: int, state: str) -> bool:
    at = stamp(world.now())
    with world.store.writing() as db:
        done = db.execute(
            "UPDATE payments SET state = ?, paid_at = CASE WHEN ? = 'paid' THEN ? END"
            " WHERE id = ? AND state = 'waiting'",
            (state, state, at, payment_id),
        )
        return done.rowcount == 1
