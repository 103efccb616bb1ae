"""Closing a company's bill date: one person submits, another confirms; reopening takes the same two acts.

Which hand a person is on a day is a row whose primary key is (day, person): who proposed or submitted anything of a
day can never approve or confirm anything of it.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from miniapp import db
from miniapp.core import audit, failpoints
from miniapp.core.clock import now
from miniapp.core.errors import Again, Forbidden, Refused
from miniapp.outbox import service as outbox
from miniapp.reconcile import steps
from miniapp.reconcile.events import DayClosed, DayReopened
from miniapp.reconcile.models import Day, DayAct, DayHand, Difference
from miniapp.reconcile.states import DAY
from miniapp.stores import service as stores
from miniapp.stores.models import Company, MerchantAccount
from miniapp.stores.rules import Person


@dataclass(frozen=True)
class Readiness:
    """May the day be closed? ``missing``: codes of accounts whose batch is not done."""

    missing: tuple[str, ...]
    open_differences: int
    carried_over: int
    totals: dict[str, Any]


@db.retried
def submit(company_id: int, bill_date: date, *, by: int) -> None:
    """提交复核: the maker's act. Raises Refused (not ready, or the person is the checker of this day), Again, Forbidden."""
    with db.transaction() as session:
        day = lock_day(session, company_id, bill_date)
        who = _person(session, by, "submit_day", day)
        found = readiness(session, day)
        _check_ready(found, who, day)
        _act(session, day, who, hand="maker", act="submit", totals=found.totals)
        day.submitted_by_id = who.id


@db.retried
def confirm(company_id: int, bill_date: date, *, by: int) -> None:
    """确认当日, by another person than the one who submitted; freezes the totals that were submitted.

    Raises Refused (not submitted, changed since, same person), Again, Forbidden.
    """
    with db.transaction() as session:
        day = lock_day(session, company_id, bill_date)
        who = _person(session, by, "confirm_day", day)
        _check_move(day, "confirm")
        found = readiness(session, day)
        _check_ready(found, who, day)
        if found.totals != _submitted_totals(session, day):
            raise Refused("reconcile.day.changed_since")
        _act(session, day, who, hand="checker", act="confirm", totals=found.totals)
        day.confirmed_by_id, day.closed_at, day.totals = who.id, now(), found.totals
        outbox.announce(session, DayClosed(company_id, bill_date.isoformat()))
        session.flush()
        failpoints.hit("day.closed")


@db.retried
def return_day(company_id: int, bill_date: date, *, by: int, why: str) -> None:
    """退回: the checker wants something looked at first. Raises Refused, Forbidden."""
    with db.transaction() as session:
        day = lock_day(session, company_id, bill_date)
        who = _person(session, by, "confirm_day", day)
        _act(session, day, who, hand="checker", act="return", why=_reason(why))
        day.submitted_by_id = None


@db.retried
def ask_reopening(company_id: int, bill_date: date, *, by: int, why: str) -> None:
    """A person asks for a closed day to be opened again; it stays closed until another agrees. Raises Refused."""
    with db.transaction() as session:
        day = lock_day(session, company_id, bill_date)
        who = _person(session, by, "submit_day", day)
        _act(session, day, who, hand="maker", act="ask_reopening", why=_reason(why))


@db.retried
def reopen(company_id: int, bill_date: date, *, by: int) -> None:
    """Another person agrees: the day is open again. What was frozen stays in its acts; no invoice changes."""
    with db.transaction() as session:
        day = lock_day(session, company_id, bill_date)
        who = _person(session, by, "confirm_day", day)
        _act(session, day, who, hand="checker", act="reopen", totals=day.totals)
        day.closed_at = day.totals = day.submitted_by_id = day.confirmed_by_id = None
        day.round += 1
        outbox.announce(session, DayReopened(company_id, bill_date.isoformat()))


@db.retried
def keep_closed(company_id: int, bill_date: date, *, by: int, why: str) -> None:
    """Another person does not agree to reopen. Raises Refused, Forbidden."""
    with db.transaction() as session:
        day = lock_day(session, company_id, bill_date)
        who = _person(session, by, "confirm_day", day)
        _act(session, day, who, hand="checker", act="keep", why=_reason(why))


def lock_day(session: Session, company_id: int, bill_date: date) -> Day:
    """The day's row, locked for this transaction; made if it is not there."""
    query = select(Day).where(Day.company_id == company_id, Day.bill_date == bill_date)
    locking = query.with_for_update().execution_options(populate_existing=True)
    day = session.scalar(locking)
    if day is None:
        dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
        session.execute(
            dialect.insert(Day)
            .values(company_id=company_id, bill_date=bill_date, state=DAY.start, round=1)
            .on_conflict_do_nothing(index_elements=["company_id", "bill_date"])
        )
        day = session.scalars(locking).one()
    return day


def take_hand(session: Session, day: Day, who: Person, hand: str) -> None:
    """The person works on this day as maker or checker from now on. Raises Refused for the other hand."""
    row = session.get(DayHand, (day.id, who.id))
    if row is None:
        session.add(DayHand(day_id=day.id, person_id=who.id, hand=hand, since=now()))
        session.flush()
    elif row.hand != hand:
        raise Refused(f"reconcile.day.hand_is_{row.hand}", name=who.name)


def readiness(session: Session, day: Day) -> Readiness:
    """What stands between a day and its closing, and the totals that would be frozen; batches are locked."""
    accounts = session.scalars(
        select(MerchantAccount)
        .where(MerchantAccount.company_id == day.company_id, MerchantAccount.is_disabled.is_(False))
        .order_by(MerchantAccount.id)
    ).all()
    missing, totals = [], {}
    for account in accounts:
        batch = steps.deciding(steps.lock_batches(session, account.id, day.bill_date, to_run=True))
        if batch is None:
            missing.append(account.code)
        else:
            totals[account.code] = {"version": batch.version, **batch.totals}
    counts = dict(
        session.execute(
            select(Difference.state, func.count())
            .where(Difference.company_id == day.company_id, Difference.bill_date == day.bill_date)
            .group_by(Difference.state)
        ).all()
    )
    live = {state: counts.get(state, 0) for state in ("open", "carried_over", "settled")}
    frozen = {"accounts": totals, "differences": live}
    return Readiness(tuple(missing), live["open"], live["carried_over"], frozen)


def _person(session: Session, staff_id: int, ability: str, day: Day) -> Person:
    company = session.get_one(Company, day.company_id)
    who = stores.person_in(session, staff_id)
    if who is None or not who.may(ability, company=company.code):
        raise Forbidden("core.forbidden")
    return who


def _check_ready(found: Readiness, who: Person, day: Day) -> None:
    if found.missing:
        raise Refused("reconcile.day.bill_missing", accounts="、".join(found.missing))
    if found.open_differences:
        raise Refused("reconcile.day.differences_open", count=found.open_differences)
    if found.carried_over and not who.may("close_with_carried_over", company=day.company.code):
        raise Refused("reconcile.day.carried_over_needs_role", count=found.carried_over)


def _check_move(day: Day, act: str) -> str:
    after = DAY.next(day.state, act)
    if after is None:
        kind = Again if day.state in ("submitted", "closed") and act in ("submit", "confirm") else Refused
        raise kind(f"reconcile.day.is_{day.state}")
    return after


def _act(
    session: Session,
    day: Day,
    who: Person,
    *,
    hand: str,
    act: str,
    why: str = "",
    totals: dict[str, Any] | None = None,
) -> None:
    after = _check_move(day, act)
    take_hand(session, day, who, hand)
    before, day.state = day.state, after
    session.add(DayAct(day_id=day.id, person_id=who.id, hand=hand, act=act, why=why, totals=totals, at=now()))
    audit.note(
        session,
        "day",
        day.id,
        act,
        by=who.audit_name,
        before=before,
        after=after,
        why=why or None,
        company_id=day.company_id,
    )


def _submitted_totals(session: Session, day: Day) -> dict[str, Any] | None:
    return session.scalar(
        select(DayAct.totals)
        .where(DayAct.day_id == day.id, DayAct.act == "submit")
        .order_by(DayAct.id.desc())
        .limit(1)
    )


def _reason(why: str) -> str:
    if not why.strip():
        raise Refused("reconcile.day.reason_needed")
    return why.strip()
