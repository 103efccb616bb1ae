"""What a person asks for by hand: recorded as work, so that a page answers at once and nothing is lost."""

from collections.abc import Sequence
from datetime import date, timedelta

from sqlalchemy import select

from miniapp import db
from miniapp.core import audit, clock
from miniapp.core.clock import now
from miniapp.core.errors import Refused
from miniapp.outbox import service as outbox
from miniapp.reconcile import selecting, steps
from miniapp.stores.models import MerchantAccount

FETCHABLE_DAYS = 90


def ask_for_runs(merchant_account_ids: Sequence[int], bill_date: date, *, by: str) -> int:
    """Match these accounts' day again, fetching first where no bill is here; answers how many works were recorded.

    Raises Refused for a day that is not over or lies more than 90 days back.
    """
    days = (clock.bill_date(now()) - bill_date).days
    if days < 1:
        raise Refused("reconcile.run.day_not_over", bill_date=bill_date)
    if days > FETCHABLE_DAYS:
        raise Refused("reconcile.run.too_old", days=FETCHABLE_DAYS)
    with db.transaction() as session:
        accounts = session.scalars(
            select(MerchantAccount).where(
                MerchantAccount.id.in_(merchant_account_ids), MerchantAccount.is_disabled.is_(False)
            )
        ).all()
        for account in accounts:
            batch = steps.newest_batch(session, account.id, bill_date)
            files = selecting.trade_files(session, account.id, bill_date)
            is_here = selecting.select_files(files).is_whole or (batch is not None and batch.is_empty_day)
            outbox.put(
                session,
                "reconcile.run" if is_here else "reconcile.fetch",
                key=f"{account.id}:{bill_date}:asked:{now().isoformat()}",
                delay=timedelta(),
                merchant_account_id=account.id,
                bill_date=bill_date.isoformat(),
            )
            audit.note(
                session,
                "merchant_account",
                account.id,
                "ask_for_run",
                by=by,
                why=bill_date.isoformat(),
                company_id=account.company_id,
            )
        return len(accounts)


def ask_for_bill(merchant_account_id: int, bill_date: date, *, by: str) -> None:
    """Fetch one account's bill again, also where one is here: other bytes are a new version. Raises Refused."""
    days = (clock.bill_date(now()) - bill_date).days
    if not 1 <= days <= FETCHABLE_DAYS:
        raise Refused("reconcile.run.too_old", days=FETCHABLE_DAYS)
    with db.transaction() as session:
        account = session.get_one(MerchantAccount, merchant_account_id)
        outbox.put(
            session,
            "reconcile.fetch",
            key=f"{account.id}:{bill_date}:asked:{now().isoformat()}",
            merchant_account_id=account.id,
            bill_date=bill_date.isoformat(),
        )
        audit.note(
            session,
            "merchant_account",
            account.id,
            "ask_for_bill",
            by=by,
            why=bill_date.isoformat(),
            company_id=account.company_id,
        )
