"""Reading for the pages of days: which are open and how old, and one day as a matrix of account and store."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, select, true
from sqlalchemy.orm import Session, selectinload

from miniapp import db
from miniapp.core.clock import bill_date as day_of
from miniapp.core.clock import now
from miniapp.core.errors import Missing
from miniapp.core.reach import Reach
from miniapp.reconcile import fetching
from miniapp.reconcile.file_queries import FileRow, TryRow, file_row, last_tries
from miniapp.reconcile.models import Batch, BatchFile, Day, DayAct, DayHand, Difference
from miniapp.stores.models import Company, MerchantAccount, Store

SHOWN_DAYS = 31
ALARM_HOURS = (24, 72)


@dataclass(frozen=True)
class DayRow:
    """A company's bill date in the list. ``done`` of ``accounts`` are reconciled; ``late``: hours over the alarm, or 0."""

    company_id: int
    company_code: str
    company_name: str
    bill_date: date
    state: str
    accounts: int
    done: int
    open: int
    carried_over: int
    due_at: datetime
    late: int


@dataclass(frozen=True)
class Sums:
    """Count and fen of both sides. ``difference_fen``: ledger minus bill, refunds taken off."""

    ledger_sale: tuple[int, int]
    bill_sale: tuple[int, int]
    ledger_refund: tuple[int, int]
    bill_refund: tuple[int, int]
    matched: tuple[int, int]

    @property
    def difference_fen(self) -> int:
        """What the ledger has more than the bill."""
        return (self.ledger_sale[1] - self.ledger_refund[1]) - (self.bill_sale[1] - self.bill_refund[1])


@dataclass(frozen=True)
class AccountDay:
    """One account's batch of the day. ``stores``: (store name, sums); the nameless one is what no ledger row names."""

    id: int
    code: str
    platform: str
    state: str
    version: int
    is_empty_day: bool
    read_at: datetime | None
    sums: Sums
    stores: tuple[tuple[str, Sums], ...]
    open: int
    carried_over: int
    settled: int
    files: tuple[FileRow, ...]
    last_try: TryRow | None


@dataclass(frozen=True)
class ActRow:
    """What a person did with the day."""

    act: str
    hand: str
    name: str
    at: datetime
    why: str


@dataclass(frozen=True)
class DayView:
    """One day. ``hands``: person id → maker or checker. ``frozen``: what the last closing froze, while it is closed."""

    company_id: int
    company_code: str
    company_name: str
    bill_date: date
    state: str
    round: int
    closed_at: datetime | None
    accounts: tuple[AccountDay, ...]
    hands: dict[int, str]
    acts: tuple[ActRow, ...]
    frozen: dict[str, Any] | None

    @property
    def missing(self) -> list[str]:
        """Codes of the accounts that are not reconciled."""
        return [one.code for one in self.accounts if one.state != "done"]

    @property
    def open(self) -> int:
        """Differences that stop closing."""
        return sum(one.open for one in self.accounts)

    @property
    def carried_over(self) -> int:
        """Differences that are listed and need the role."""
        return sum(one.carried_over for one in self.accounts)


def days(reach: Reach, *, count: int = SHOWN_DAYS) -> list[DayRow]:
    """The last days of the companies within reach, newest first; only days that have begun to be reconciled."""
    today = day_of(now())
    first = today - timedelta(days=count)
    with db.reading() as session:
        companies = session.scalars(
            select(Company).where(companies_in(reach), Company.is_disabled.is_(False)).order_by(Company.code)
        ).all()
        accounts = _accounts_of(session)
        batches = _batches(session, first)
        differences = _differences(session, first)
        states = {
            (row.company_id, row.bill_date): row.state
            for row in session.scalars(select(Day).where(Day.bill_date >= first))
        }
    found = []
    for back in range(1, count + 1):
        bill_date = today - timedelta(days=back)
        for company in companies:
            key = (company.id, bill_date)
            if key in batches or key in states or (back == 1 and accounts.get(company.id)):
                found.append(_day_row(company, bill_date, accounts, batches, differences, states))
    return found


def day(reach: Reach, company_code: str, bill_date: date) -> DayView:
    """One day. Raises Missing for a company out of reach."""
    with db.reading() as session:
        company = session.scalar(select(Company).where(companies_in(reach), Company.code == company_code))
        if company is None:
            raise Missing("core.not_found")
        row = session.scalar(select(Day).where(Day.company_id == company.id, Day.bill_date == bill_date))
        return DayView(
            company_id=company.id,
            company_code=company.code,
            company_name=company.name,
            bill_date=bill_date,
            state=row.state if row else "open",
            round=row.round if row else 1,
            closed_at=row.closed_at if row else None,
            accounts=tuple(_account_days(session, company.id, bill_date)),
            hands=_hands(session, row),
            acts=tuple(_acts(session, row)),
            frozen=row.totals if row else None,
        )


def companies_in(reach: Reach) -> ColumnElement[bool]:
    """The condition on Company that a reach means."""
    return true() if reach.is_everywhere else Company.id.in_(reach.company_ids)


def _accounts_of(session: Session) -> dict[int, int]:
    rows = session.execute(
        select(MerchantAccount.company_id, func.count())
        .where(MerchantAccount.is_disabled.is_(False))
        .group_by(MerchantAccount.company_id)
    )
    return dict(rows.all())


def _batches(session: Session, first: date) -> dict[tuple[int, date], int]:
    """(company, date) → how many accounts are done; 0 where batches exist but none is done."""
    found: dict[tuple[int, date], int] = {}
    for company_id, bill_date, state, superseded in session.execute(
        select(Batch.company_id, Batch.bill_date, Batch.state, Batch.is_superseded).where(
            Batch.bill_date >= first
        )
    ):
        key = (company_id, bill_date)
        found[key] = found.get(key, 0) + (state == "done" and not superseded)
    return found


def _differences(session: Session, first: date) -> dict[tuple[int, date, str], int]:
    rows = session.execute(
        select(Difference.company_id, Difference.bill_date, Difference.state, func.count())
        .where(Difference.bill_date >= first, Difference.state != "settled")
        .group_by(Difference.company_id, Difference.bill_date, Difference.state)
    )
    return {(company_id, bill_date, state): count for company_id, bill_date, state, count in rows}


def _day_row(
    company: Company,
    bill_date: date,
    accounts: dict[int, int],
    batches: dict[tuple[int, date], int],
    differences: dict[tuple[int, date, str], int],
    states: dict[tuple[int, date], str],
) -> DayRow:
    key = (company.id, bill_date)
    state, due = states.get(key, "open"), fetching.due_at(bill_date)
    hours = int((now() - due).total_seconds() // 3600)
    late = 0 if state == "closed" else max((one for one in ALARM_HOURS if hours >= one), default=0)
    return DayRow(
        company_id=company.id,
        company_code=company.code,
        company_name=company.name,
        bill_date=bill_date,
        state=state,
        accounts=accounts.get(company.id, 0),
        done=batches.get(key, 0),
        open=differences.get((*key, "open"), 0),
        carried_over=differences.get((*key, "carried_over"), 0),
        due_at=due,
        late=late,
    )


def _account_days(session: Session, company_id: int, bill_date: date) -> Iterable[AccountDay]:
    accounts = session.scalars(
        select(MerchantAccount).where(MerchantAccount.company_id == company_id).order_by(MerchantAccount.code)
    ).all()
    batches = session.scalars(
        select(Batch)
        .where(Batch.company_id == company_id, Batch.bill_date == bill_date)
        .order_by(Batch.version)
        .options(selectinload(Batch.files).selectinload(BatchFile.file))
    ).all()
    newest = {batch.merchant_account_id: batch for batch in batches}
    deciding = {b.merchant_account_id: b for b in batches if b.state == "done" and not b.is_superseded}
    counts = {
        (account_id, state): count
        for account_id, state, count in session.execute(
            select(Difference.merchant_account_id, Difference.state, func.count())
            .where(Difference.company_id == company_id, Difference.bill_date == bill_date)
            .group_by(Difference.merchant_account_id, Difference.state)
        )
    }
    names = {str(store_id): name for store_id, name in session.execute(select(Store.id, Store.name))}
    tries = last_tries(session, [(account.id, bill_date) for account in accounts])
    for account in accounts:
        if account.is_disabled and account.id not in newest:
            continue
        batch = deciding.get(account.id) or newest.get(account.id)
        yield _account_day(account, batch, counts, names, tries.get((account.id, bill_date)))


def _account_day(
    account: MerchantAccount,
    batch: Batch | None,
    counts: dict[tuple[int, str], int],
    names: dict[str, str],
    last_try: TryRow | None,
) -> AccountDay:
    totals = batch.totals if batch and batch.totals else {}
    stores = tuple(
        (names.get(store_id, ""), _sums(sides))
        for store_id, sides in sorted(
            totals.get("stores", {}).items(), key=lambda one: names.get(one[0], "\uffff")
        )
    )
    return AccountDay(
        id=account.id,
        code=account.code,
        platform=account.platform,
        state=batch.state if batch else "open",
        version=batch.version if batch else 1,
        is_empty_day=bool(batch and batch.is_empty_day),
        read_at=batch.read_at if batch else None,
        sums=_sums(totals),
        stores=stores,
        open=counts.get((account.id, "open"), 0),
        carried_over=counts.get((account.id, "carried_over"), 0),
        settled=counts.get((account.id, "settled"), 0),
        files=tuple(file_row(one.file, (batch.version,)) for one in batch.files) if batch else (),
        last_try=last_try,
    )


def _sums(totals: dict[str, Any]) -> Sums:
    def one(side: str, kind: str) -> tuple[int, int]:
        found = totals.get(side, {}).get(kind, {})
        return int(found.get("count", 0)), int(found.get("amount_fen", 0))

    sale, refund = one("matched", "sale"), one("matched", "refund")
    return Sums(
        ledger_sale=one("ledger", "sale"),
        bill_sale=one("bill", "sale"),
        ledger_refund=one("ledger", "refund"),
        bill_refund=one("bill", "refund"),
        matched=(sale[0] + refund[0], sale[1] - refund[1]),
    )


def _hands(session: Session, day_row: Day | None) -> dict[int, str]:
    if day_row is None:
        return {}
    rows = session.scalars(select(DayHand).where(DayHand.day_id == day_row.id))
    return {row.person_id: row.hand for row in rows}


def _acts(session: Session, day_row: Day | None) -> Iterable[ActRow]:
    if day_row is None:
        return []
    rows = session.scalars(
        select(DayAct)
        .where(DayAct.day_id == day_row.id)
        .order_by(DayAct.id)
        .options(selectinload(DayAct.hand_row).selectinload(DayHand.person))
    )
    return [ActRow(row.act, row.hand, row.hand_row.person.name, row.at, row.why) for row in rows]
