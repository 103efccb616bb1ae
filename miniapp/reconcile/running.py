"""One bill date, account by account: fetch what is absent, match, write exceptions and totals. Safe to repeat."""

import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session, selectinload

from miniapp import db
from miniapp.core import audit, clock, failpoints
from miniapp.core.clock import now
from miniapp.core.errors import Missing, Refused
from miniapp.core.text import say
from miniapp.outbox import service as outbox
from miniapp.reconcile import day_match, fetching, importing, ledger_rows, selecting, steps
from miniapp.reconcile.carrying import Carrying
from miniapp.reconcile.events import BatchReconciled, DifferenceFound, DifferenceSettled
from miniapp.reconcile.models import Batch, BatchFile, Difference
from miniapp.reconcile.rules import TURNED_UP, Found
from miniapp.reconcile.states import BATCH, LIVE
from miniapp.stores.models import MerchantAccount

IDS_AN_EVENT = 500


def run(bill_date: date, account: str | None = None) -> dict[str, Any]:
    """``reconcile run``: fetch, match and report one bill date of one account or of all; answers the report.

    Raises Missing (no such account), Refused (the day is not over yet).
    """
    if bill_date >= clock.bill_date(now()):
        raise Refused("reconcile.run.day_not_over", bill_date=bill_date)
    outcomes = {}
    accounts = _accounts(account)
    for account_id, code in accounts:
        outcomes[code] = run_account(account_id, bill_date)
    with db.reading() as session:
        return _report(session, bill_date, [account_id for account_id, _ in accounts], outcomes)


def run_account(merchant_account_id: int, bill_date: date) -> dict[str, Any]:
    """Fetch the account's bill if it is absent, then match. Answers ``state`` (done | waiting) and ``fetched``."""
    fetched = None
    if not _has_bill(merchant_account_id, bill_date):
        fetched = fetching.fetch(merchant_account_id, bill_date)
    state = match_account(merchant_account_id, bill_date)
    answer: dict[str, Any] = {"state": state}
    if fetched is not None:
        answer |= {"fetched": fetched.outcome, "message": fetched.message}
    return answer


@db.retried
def match_account(merchant_account_id: int, bill_date: date) -> str:
    """Match one account's day with the files that are here and write what did not match: one transaction.

    Answers done, or waiting where the bill (or its other half) is not here.
    """
    with db.transaction() as session:
        account = _lock_account(session, merchant_account_id)
        batch, is_ready = selecting.attach(session, account, bill_date)
        if not is_ready:
            return "waiting"
        batch.read_at = now()
        matched = _match(session, account, batch)
        carrying = Carrying(
            session, batch, carry_days=account.carry_days, as_of=_as_of(session, account.id, bill_date)
        )
        carrying.write(matched.found, platform=account.platform)
        _finish(session, batch, matched.totals)
        _announce(session, batch, carrying)
        session.flush()
        failpoints.hit("recon.written")
    return "done"


def _match(session: Session, account: MerchantAccount, batch: Batch) -> day_match.Matched:
    with tempfile.TemporaryDirectory(prefix="miniapp-run-") as folder:
        ledger = Path(folder) / "ledger.csv"
        ledger_rows.export(session, account.id, batch.bill_date, to=ledger)
        side = day_match.Side(
            platform=account.platform,
            bill_date=batch.bill_date,
            ledger=ledger,
            bills=[(one.file_id, importing.rows_path(session, one.file_id)) for one in batch.files],
            fee_rate=str(account.settings.get("fee_rate") or "") or None,
        )
        return day_match.match(side)


def _lock_account(session: Session, merchant_account_id: int) -> MerchantAccount:
    """One run at a time for an account, because days settle each other; recording goes on (FOR NO KEY UPDATE)."""
    query = select(MerchantAccount).where(MerchantAccount.id == merchant_account_id)
    account = session.scalar(query.with_for_update(key_share=True))
    if account is None:
        raise Missing("reconcile.import.no_account", account=merchant_account_id)
    return account


def _as_of(session: Session, merchant_account_id: int, bill_date: date) -> date:
    newest = session.scalar(
        select(func.max(Batch.bill_date)).where(
            Batch.merchant_account_id == merchant_account_id, Batch.state == "done"
        )
    )
    return max(bill_date, newest) if newest else bill_date


def _finish(session: Session, batch: Batch, totals: dict[str, Any]) -> None:
    batch.totals = totals
    if batch.state == "done":
        return
    older = session.scalars(
        select(Batch).where(
            Batch.merchant_account_id == batch.merchant_account_id,
            Batch.bill_date == batch.bill_date,
            Batch.id != batch.id,
            Batch.is_superseded.is_(False),
        )
    )
    for one in older:
        one.is_superseded = True
    session.flush()
    batch.state, batch.done_at = BATCH.next("open", "run") or "done", now()
    audit.note(session, "batch", batch.id, "run", before="open", after="done", company_id=batch.company_id)


def _announce(session: Session, batch: Batch, carrying: Carrying) -> None:
    for ids in _parts(sorted(carrying.blocked - carrying.freed)):
        outbox.announce(session, DifferenceFound(ids))
    for ids in _parts(sorted(carrying.freed - carrying.blocked)):
        outbox.announce(session, DifferenceSettled(ids))
    outbox.announce(session, BatchReconciled(batch.merchant_account_id, batch.bill_date.isoformat()))


def _parts(ids: list[int]) -> list[list[int]]:
    return [ids[start : start + IDS_AN_EVENT] for start in range(0, len(ids), IDS_AN_EVENT)]


def _has_bill(merchant_account_id: int, bill_date: date) -> bool:
    with db.reading() as session:
        batch = steps.newest_batch(session, merchant_account_id, bill_date)
        files = selecting.trade_files(session, merchant_account_id, bill_date)
        return selecting.select_files(files).is_whole or (batch is not None and batch.is_empty_day)


def _accounts(code: str | None) -> list[tuple[int, str]]:
    with db.reading() as session:
        query = select(MerchantAccount.id, MerchantAccount.code).order_by(MerchantAccount.code)
        if code is None:
            query = query.where(MerchantAccount.is_disabled.is_(False))
        else:
            query = query.where(MerchantAccount.code == code)
        found = [(account_id, name) for account_id, name in session.execute(query)]
    if code is not None and not found:
        raise Missing("reconcile.import.no_account", account=code)
    return found


def _report(
    session: Session, bill_date: date, account_ids: Sequence[int], outcomes: dict[str, Any]
) -> dict[str, Any]:
    """The shape of ``reconcile compare``, with an entry per account in place of the platforms' files."""
    batches = session.scalars(
        select(Batch)
        .where(
            Batch.merchant_account_id.in_(account_ids),
            Batch.bill_date == bill_date,
            Batch.state == "done",
            Batch.is_superseded.is_(False),
        )
        .options(selectinload(Batch.files).selectinload(BatchFile.file), selectinload(Batch.merchant_account))
        .order_by(Batch.id)
    ).all()
    rows = session.scalars(
        select(Difference)
        .where(Difference.merchant_account_id.in_(account_ids), Difference.bill_date <= bill_date)
        .order_by(Difference.platform, Difference.kind, Difference.out_trade_no, Difference.out_refund_no)
    ).all()
    live = [row for row in rows if row.state in LIVE]
    cleared = [row for row in rows if row.met_on == bill_date and row.settled_how == TURNED_UP]
    for batch in batches:
        mine = [row for row in live if row.merchant_account_id == batch.merchant_account_id]
        outcomes[batch.merchant_account.code] |= {
            "version": batch.version,
            **{side: batch.totals[side] for side in ("ledger", "bill", "matched")},
            **{state: sum(row.state == state for row in mine) for state in LIVE},
        }
    waiting = [code for code, outcome in outcomes.items() if outcome["state"] != "done"]
    return {
        "date": bill_date.isoformat(),
        "message": _summary(bill_date, live, waiting),
        "exit": 1 if live or waiting else 0,
        "accounts": outcomes,
        "differences": [_shown(row) for row in live],
        "cleared": [
            {
                "platform": row.platform,
                "kind": row.kind,
                "key": _key(row),
                "since": row.since.isoformat(),
                "cleared": bill_date.isoformat(),
            }
            for row in cleared
        ],
        "sources": [
            {
                "file": one.file.name,
                "sha256": one.file.sha256,
                "layout": one.file.layout,
                "rows": one.file.rows,
            }
            for batch in batches
            for one in batch.files
        ],
    }


def _summary(bill_date: date, live: Sequence[Difference], waiting: Sequence[str]) -> str:
    counts = {state: sum(row.state == state for row in live) for state in LIVE}
    words = say("reconcile.run.summary", bill_date=bill_date, **counts)
    return f"{words} {say('reconcile.run.waiting', accounts='、'.join(waiting))}" if waiting else words


def _shown(row: Difference) -> dict[str, Any]:
    return {
        "platform": row.platform,
        "kind": row.kind,
        "key": _key(row),
        "out_trade_no": row.out_trade_no,
        "reasons": row.reasons,
        "ledger_fen": row.ledger_fen,
        "bill_fen": row.bill_fen,
        "state": row.state,
        "since": row.since.isoformat(),
        "note": row.note,
    }


def _key(row: Difference | Found) -> str:
    return row.out_refund_no if row.kind == "refund" else row.out_trade_no
