"""Follow a charge until it is known: query, after the deadline cancel, never charge again."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from miniapp import db
from miniapp.core.clock import now
from miniapp.outbox.jobs import Done, Later, Outcome, Outside, Task
from miniapp.payments import charging, gateways, settling, steps
from miniapp.payments.models import Charge

CANCEL_NOT_BEFORE = timedelta(seconds=15)
"""After the call's end: the platform asks for it, and a password box closes by itself."""

CANCEL_AGAIN = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(minutes=10)
CANCEL_UNTIL = timedelta(hours=24)
"""Alipay cancels on the day only; later a person settles it, and we go on asking."""


@dataclass(frozen=True)
class _Open:
    """An open charge as the work sees it."""

    out_trade_no: str
    account_id: int
    platform: str
    begun_at: datetime
    cancel_at: datetime

    @property
    def is_late(self) -> bool:
        """Is the time up, so that staff must see it?"""
        return now() >= self.begun_at + settling.FINAL_AFTER - timedelta(seconds=1)


def look(task: Task) -> Outcome:
    """Work: ask how a charge stands, and cancel it when its time is over. Safe to repeat: it only asks and cancels."""
    charge_id: int = task.payload["charge_id"]
    settling.lose_call(charge_id)
    found = _open(charge_id)
    if found is None:
        return Done()
    gateway = gateways.of(steps.settings_of(found.account_id))
    settling.settle_query(charge_id, gateway.query(found.out_trade_no), cancel=None)
    found = _open(charge_id)
    if found is None:
        return Done()
    if now() < found.cancel_at or now() > found.begun_at + CANCEL_UNTIL:
        return Later("open", after=_pause(found), counts=False)
    return _cancel(task, charge_id, found)


def look_again(task: Task) -> Outcome:
    """The same question again: nothing of it needs to be undone or proved first."""
    return look(task)


FOLLOW = Outside(call=look, query=look_again)


def _cancel(task: Task, charge_id: int, found: _Open) -> Outcome:
    """Cancel, then believe only what a query says about it."""
    gateway = gateways.of(steps.settings_of(found.account_id))
    if not task.is_current() or not settling.begin_cancel(charge_id):
        return Later("settled_meanwhile", after=CANCEL_AGAIN, counts=False)
    cancel = gateway.cancel(found.out_trade_no)
    settling.settle_query(charge_id, gateway.query(found.out_trade_no), cancel=cancel)
    still = _open(charge_id)
    if still is None:
        return Done()
    if still.is_late:
        settling.tell_unknown(charge_id)
    return Later("open_after_cancel", after=_pause(still), counts=False)


def _open(charge_id: int) -> _Open | None:
    with db.reading() as session:
        row = session.get_one(Charge, charge_id)
        if row.state not in settling.OPEN:
            return None
        earliest = settling.call_end(row) + CANCEL_NOT_BEFORE
        # A refusal that leaves the order open (message_key) needs no patience with the customer.
        cancel_at = earliest if row.message_key else max(row.deadline_at, earliest)
        return _Open(row.out_trade_no, row.merchant_account_id, row.platform, row.begun_at, cancel_at)


def _pause(found: _Open) -> timedelta:
    moment, every = now(), charging.QUERY_EVERY[found.platform]
    if moment < found.cancel_at:
        return min(every, found.cancel_at - moment)
    if not found.is_late:
        return CANCEL_AGAIN
    return min(LONGEST_PAUSE, max(every, (moment - found.begun_at) / 4))
