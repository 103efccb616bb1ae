"""Reading for the page of bill files: what came, what it adds up to, which versions read it, which bills are missing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import func, select, tuple_
from sqlalchemy.orm import Session, joinedload

from miniapp import db
from miniapp.core.clock import bill_date as day_of
from miniapp.core.clock import now
from miniapp.core.reach import Reach
from miniapp.reconcile import fetching, steps
from miniapp.reconcile.models import Batch, BatchFile, BillFile, FetchRun
from miniapp.stores.models import MerchantAccount

MISSING_DAYS = 14


@dataclass(frozen=True)
class FileRow:
    """One bill as received. ``versions``: of the batch that read it; empty: kept beside, or waiting for its other half."""

    id: int
    account: str
    platform: str
    bill_date: date
    layout: str
    bill: str
    name: str
    rows: int
    sale: tuple[int, int]
    refund: tuple[int, int]
    trailer: str
    sha256: str
    source: str
    taken_at: datetime
    taken_by: str
    versions: tuple[int, ...]


@dataclass(frozen=True)
class TryRow:
    """The last try to fetch a bill."""

    outcome: str
    message: str
    at: datetime
    tries: int


@dataclass(frozen=True)
class MissingRow:
    """An account's day that is due and not reconciled."""

    account_id: int
    account: str
    platform: str
    company_code: str
    bill_date: date
    due_at: datetime
    last_try: TryRow | None
    has_half: bool


@dataclass(frozen=True)
class AccountRow:
    """A merchant account for a form's choice."""

    id: int
    code: str
    platform: str
    merchant_no: str
    company_id: int
    company_code: str


def accounts(reach: Reach) -> list[AccountRow]:
    """Merchant accounts in use within reach."""
    with db.reading() as session:
        return [
            AccountRow(row.id, row.code, row.platform, row.merchant_no, row.company_id, row.company.code)
            for row in _accounts(session, reach)
        ]


def files(
    reach: Reach, *, account: str = "", bill_date: date | None = None, page: int = 1, size: int = 50
) -> list[FileRow]:
    """Bill files within reach, the newest first."""
    query = (
        select(BillFile)
        .join(MerchantAccount, MerchantAccount.id == BillFile.merchant_account_id)
        .options(joinedload(BillFile.merchant_account))
        .order_by(BillFile.id.desc())
        .limit(size)
        .offset((page - 1) * size)
    )
    if not reach.is_everywhere:
        query = query.where(MerchantAccount.company_id.in_(reach.company_ids))
    if account:
        query = query.where(MerchantAccount.code == account)
    if bill_date:
        query = query.where(BillFile.bill_date == bill_date)
    with db.reading() as session:
        found = session.scalars(query).all()
        versions: dict[int, list[int]] = {}
        for file_id, version in session.execute(
            select(BatchFile.file_id, Batch.version)
            .join(Batch, Batch.id == BatchFile.batch_id)
            .where(BatchFile.file_id.in_([row.id for row in found]))
            .order_by(Batch.version)
        ):
            versions.setdefault(file_id, []).append(version)
        return [file_row(row, versions.get(row.id, ())) for row in found]


def missing(reach: Reach) -> list[MissingRow]:
    """Days of the last two weeks whose bill is due and that no batch has read, the oldest first.

    A day before the company's first transaction is not missed.
    """
    today, found = day_of(now()), []
    first = today - timedelta(days=MISSING_DAYS)
    with db.reading() as session:
        rows = _accounts(session, reach)
        begun = steps.first_days(session)
        done = {
            (account_id, day)
            for account_id, day in session.execute(
                select(Batch.merchant_account_id, Batch.bill_date).where(
                    Batch.bill_date >= first, Batch.state == "done", Batch.is_superseded.is_(False)
                )
            )
        }
        halves = {
            (account_id, day)
            for account_id, day in session.execute(
                select(BillFile.merchant_account_id, BillFile.bill_date).where(
                    BillFile.bill_date >= first, BillFile.bill == "trade"
                )
            )
        }
        for back in range(MISSING_DAYS, 0, -1):
            day = today - timedelta(days=back)
            for row in rows:
                is_begun = row.company_id in begun and begun[row.company_id] <= day
                if is_begun and (row.id, day) not in done and fetching.due_at(day) <= now():
                    found.append((row, day))
        tries = last_tries(session, [(row.id, day) for row, day in found])
        return [
            MissingRow(
                row.id,
                row.code,
                row.platform,
                row.company.code,
                day,
                fetching.due_at(day),
                tries.get((row.id, day)),
                (row.id, day) in halves,
            )
            for row, day in found
        ]


def last_tries(session: Session, wanted: Sequence[tuple[int, date]]) -> dict[tuple[int, date], TryRow]:
    """(account, date) → the last fetch and how many there were."""
    if not wanted:
        return {}
    account_day = tuple_(FetchRun.merchant_account_id, FetchRun.bill_date)
    newest = (
        select(func.max(FetchRun.id), func.count())
        .where(account_day.in_(list(wanted)))
        .group_by(FetchRun.merchant_account_id, FetchRun.bill_date)
    )
    counts = dict(session.execute(newest).all())
    rows = session.scalars(select(FetchRun).where(FetchRun.id.in_(list(counts))))
    return {
        (row.merchant_account_id, row.bill_date): TryRow(row.outcome, row.message, row.at, counts[row.id])
        for row in rows
    }


def file_row(row: BillFile, versions: Iterable[int]) -> FileRow:
    """A file as pages show it."""
    return FileRow(
        id=row.id,
        account=row.merchant_account.code,
        platform=row.merchant_account.platform,
        bill_date=row.bill_date,
        layout=row.layout,
        bill=row.bill,
        name=row.name,
        rows=row.rows,
        sale=_pair(row.totals, "sale"),
        refund=_pair(row.totals, "refund"),
        trailer=row.trailer,
        sha256=row.sha256,
        source=row.source,
        taken_at=row.taken_at,
        taken_by=row.taken_by,
        versions=tuple(versions),
    )


def _pair(totals: dict[str, Any], kind: str) -> tuple[int, int]:
    found = totals.get(kind) or {}
    return int(found.get("count", 0)), int(found.get("amount_fen", 0))


def _accounts(session: Session, reach: Reach) -> Sequence[MerchantAccount]:
    query = (
        select(MerchantAccount)
        .where(MerchantAccount.is_disabled.is_(False))
        .options(joinedload(MerchantAccount.company))
        .order_by(MerchantAccount.code)
    )
    if not reach.is_everywhere:
        query = query.where(MerchantAccount.company_id.in_(reach.company_ids))
    return session.scalars(query).all()
