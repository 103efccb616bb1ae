"""Fetching a day's bill from its platform: asked again while it is being made; an empty day only when that is proved."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from miniapp import db
from miniapp.core import clock
from miniapp.core.clock import now
from miniapp.core.errors import Failure
from miniapp.core.text import say
from miniapp.outbox import service as outbox
from miniapp.payments import gateways
from miniapp.payments import steps as payments
from miniapp.payments.gateways import EmptyDay, Failed, FetchedBill, NotYet
from miniapp.payments.models import TerminalTransaction
from miniapp.reconcile import importing, selecting, steps
from miniapp.reconcile.models import FetchRun
from miniapp.stores.models import MerchantAccount

FETCH_FROM = time(10, 10)
LOOK_BACK_DAYS = 7


@dataclass(frozen=True)
class Fetched:
    """``outcome``: fetched | same | revised | empty | not_yet | refused | failed | unknown. ``wait_seconds``: ask then."""

    outcome: str
    message: str = ""
    wait_seconds: int | None = None

    @property
    def is_final(self) -> bool:
        """Is there nothing to come back for?"""
        return self.outcome in ("fetched", "same", "revised", "empty")


def fetch(merchant_account_id: int, bill_date: date) -> Fetched:
    """Ask the platform for one day's bill and take it. Safe to repeat; each try is a ``fetch_run`` row."""
    found = _fetch(merchant_account_id, bill_date)
    with db.transaction() as session:
        session.add(
            FetchRun(
                merchant_account_id=merchant_account_id,
                bill_date=bill_date,
                outcome=found.outcome,
                message=found.message[:2000],
                at=now(),
            )
        )
    return found


def plan() -> int:
    """Record the fetches that are due: each account's last days without a bill, from 10:10 of the day after.

    A company begins with its first transaction: what its accounts did before is not ours to reconcile. Safe to call at any time and often; answers how many were new.
    """
    today, moment = clock.bill_date(now()), now()
    planned = 0
    with db.transaction() as session:
        accounts = session.scalars(
            select(MerchantAccount).where(MerchantAccount.is_disabled.is_(False)).order_by(MerchantAccount.id)
        ).all()
        begun = steps.first_days(session)
        for account in accounts:
            if account.platform not in gateways.all_kinds() or account.company_id not in begun:
                continue
            for days in range(1, LOOK_BACK_DAYS + 1):
                bill_date = today - timedelta(days=days)
                if bill_date < begun[account.company_id] or due_at(bill_date) > moment:
                    continue
                if steps.deciding_batch(session, account.id, bill_date) is None:
                    planned += _put(session, account.id, bill_date, mark=today.isoformat())
    return planned


def due_at(bill_date: date) -> datetime:
    """From when a day's bill is asked for: 10:10 of the next day in Beijing."""
    return datetime.combine(bill_date + timedelta(days=1), FETCH_FROM, clock.BEIJING)


def _put(session: Session, merchant_account_id: int, bill_date: date, *, mark: str) -> bool:
    return outbox.put(
        session,
        "reconcile.fetch",
        key=f"{merchant_account_id}:{bill_date}:{mark}",
        merchant_account_id=merchant_account_id,
        bill_date=bill_date.isoformat(),
    )


def _fetch(merchant_account_id: int, bill_date: date) -> Fetched:
    settings = payments.settings_of(merchant_account_id)
    try:
        gateway = gateways.of(settings)
    except LookupError:
        return Fetched("failed", say("reconcile.fetch.by_hand", platform=settings.platform))
    try:
        answer = gateway.fetch_bill(bill_date)
    except ValueError:
        # A key of the account that is absent or damaged: nothing was sent.
        return Fetched("failed", say("reconcile.fetch.bad_key", account=settings.code))
    if isinstance(answer, FetchedBill):
        return _take(settings.code, bill_date, answer)
    if isinstance(answer, NotYet):
        return Fetched("not_yet", say("reconcile.fetch.not_yet", reason=answer.reason), answer.wait_seconds)
    if isinstance(answer, EmptyDay):
        return _empty(merchant_account_id, bill_date, answer)
    if isinstance(answer, Failed):
        words = answer.words or answer.code
        return Fetched("failed", say("reconcile.fetch.failed", words=words))
    return Fetched("unknown", say("reconcile.fetch.unknown", reason=answer.reason))


def _take(account: str, bill_date: date, answer: FetchedBill) -> Fetched:
    try:
        taken = importing.take(
            answer.content,
            name=answer.file_name or f"{account}_{bill_date}",
            account=account,
            source="fetched",
            expected=bill_date,
        )
    except Failure as refused:
        return Fetched("refused", refused.message)
    if taken.result == "known":
        return Fetched("same")
    return Fetched("revised" if taken.result == "day_closed" or (taken.version or 1) > 1 else "fetched")


def _empty(merchant_account_id: int, bill_date: date, answer: EmptyDay) -> Fetched:
    """A day without trade is proved by a document, or by the platform's silence where our ledger knows of nothing."""
    with db.transaction() as session:
        account = session.get_one(MerchantAccount, merchant_account_id)
        batches = steps.lock_batches(session, merchant_account_id, bill_date, to_run=True)
        known = session.scalar(
            select(func.count()).where(
                TerminalTransaction.merchant_account_id == merchant_account_id,
                TerminalTransaction.bill_date == bill_date,
            )
        )
        if known and not answer.proved:
            return Fetched("not_yet", say("reconcile.fetch.not_empty", count=known), 1800)
        if selecting.trade_files(session, merchant_account_id, bill_date):
            return Fetched("same")
        if batches[-1].state == "open" and not batches[-1].is_empty_day:
            batches[-1].is_empty_day = True
            steps.queue_rerun(session, account.id, bill_date, mark="empty")
    return Fetched("empty", say("reconcile.fetch.empty"))
