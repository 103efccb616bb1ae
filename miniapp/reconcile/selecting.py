"""Which files of a day make its batch, and when that is a new version. Steps in the caller's transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from miniapp.core import tasks
from miniapp.core.clock import now
from miniapp.reconcile import steps
from miniapp.reconcile.models import Batch, BatchFile, BillFile, Day
from miniapp.stores.models import MerchantAccount


@dataclass(frozen=True)
class Selection:
    """The files that count. ``is_whole``: ALL, or SUCCESS and REFUND together; one alone leaves the batch not done."""

    files: tuple[BillFile, ...]
    is_whole: bool


def select_files(files: Sequence[BillFile]) -> Selection:
    """Of a day's trade bills, oldest first: the newest ALL, unless a newer pair of SUCCESS and REFUND replaces it."""
    newest: dict[str, tuple[int, BillFile]] = {}
    for place, file in enumerate(files):
        newest[part_of(file.layout)] = (place, file)
    whole, sales, refunds = (newest.get(part) for part in ("whole", "sales", "refunds"))
    if sales and refunds and (whole is None or min(sales[0], refunds[0]) > whole[0]):
        return Selection((sales[1], refunds[1]), True)
    if whole:
        return Selection((whole[1],), True)
    lone = sales or refunds
    return Selection((lone[1],) if lone else (), False)


def part_of(layout: str) -> str:
    """Which part of a day a layout lists: whole | sales | refunds."""
    words = layout.split(".")
    if "success" in words:
        return "sales"
    return "refunds" if "refund" in words else "whole"


def attach(session: Session, account: MerchantAccount, bill_date: date) -> tuple[Batch, bool]:
    """The batch that the day's files make now, and whether it may be run; a new version where the files are others.

    A closed day keeps its batch; files that differ raise the task ``revised_bill`` once. All versions are locked.
    """
    batches = steps.lock_batches(session, account.id, bill_date, to_run=True)
    newest = batches[-1]
    selection = select_files(trade_files(session, account.id, bill_date))
    chosen = {file.id for file in selection.files}
    if chosen == {one.file_id for one in newest.files}:
        return newest, selection.is_whole or newest.is_empty_day
    if is_closed(session, account.company_id, bill_date):
        _revised(session, account, bill_date, selection)
        return newest, newest.state == "done"
    if newest.state == "done":
        newest = Batch(
            merchant_account_id=account.id,
            company_id=account.company_id,
            bill_date=bill_date,
            version=newest.version + 1,
            state="open",
            made_at=now(),
        )
        session.add(newest)
        session.flush()
    known = {one.file_id: one for one in newest.files}
    newest.files = [known.get(file.id) or BatchFile(file_id=file.id) for file in selection.files]
    newest.is_empty_day = False
    session.flush()
    return newest, selection.is_whole


def trade_files(session: Session, merchant_account_id: int, bill_date: date) -> Sequence[BillFile]:
    """A day's trade bills as they came, oldest first."""
    return session.scalars(
        select(BillFile)
        .where(
            BillFile.merchant_account_id == merchant_account_id,
            BillFile.bill_date == bill_date,
            BillFile.bill == "trade",
        )
        .order_by(BillFile.id)
    ).all()


def is_closed(session: Session, company_id: int, bill_date: date) -> bool:
    """Is the company's bill date closed (also while its reopening is only asked for)?"""
    closed = select(Day.closed_at).where(Day.company_id == company_id, Day.bill_date == bill_date)
    return session.scalar(closed) is not None


def _revised(session: Session, account: MerchantAccount, bill_date: date, selection: Selection) -> None:
    marks = "+".join(file.sha256[:12] for file in selection.files)
    tasks.open_once(
        session,
        "revised_bill",
        f"{account.code}:{bill_date}:{marks}",
        company_id=account.company_id,
        account=account.code,
        bill_date=bill_date.isoformat(),
    )
