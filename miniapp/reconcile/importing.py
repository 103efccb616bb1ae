"""Taking a bill into the system: bytes first, then what they say; nothing half-taken, the same file twice is nothing."""

import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from miniapp import db
from miniapp.core import audit, failpoints, files
from miniapp.core.clock import now
from miniapp.core.errors import Invalid, Missing
from miniapp.core.text import say
from miniapp.reconcile import intake, selecting, steps
from miniapp.reconcile.intake import ReadBill
from miniapp.reconcile.models import BillFile
from miniapp.stores.models import MerchantAccount

FINANCE_FILE_BYTES = 1024 * 1024 * 1024


@dataclass(frozen=True)
class Taken:
    """What became of a file. ``result``: new | known | kept (fund flow, beside the batch) | day_closed (a task is open).

    ``version`` and ``is_whole`` are of the batch it went to: a lone SUCCESS or REFUND bill leaves it not whole.
    """

    result: str
    account: str
    bill_date: date
    layout: str
    sha256: str
    rows: int
    version: int | None
    is_whole: bool

    @property
    def message(self) -> str:
        """What became of it, and what comes next."""
        result = "waits" if self.result == "new" and not self.is_whole else self.result
        return say(
            f"reconcile.taken.{result}", account=self.account, bill_date=self.bill_date, rows=self.rows
        )

    def as_json(self) -> dict[str, object]:
        """``bills import --json``."""
        return {
            "result": self.result,
            "account": self.account,
            "bill_date": self.bill_date.isoformat(),
            "layout": self.layout,
            "sha256": self.sha256,
            "rows": self.rows,
            "version": self.version,
            "complete": self.is_whole,
        }


@dataclass(frozen=True)
class _Account:
    """What of a merchant account a bill is compared with."""

    id: int
    code: str
    platform: str
    own_numbers: frozenset[str]


def import_file(path: Path, *, account: str, by: str = audit.SYSTEM) -> dict[str, object]:
    """``bills import``: take one file of a merchant account (its code); answers what became of it.

    Raises BillRefused (with line and column), Invalid (another account's or platform's bill, several days), Missing.
    """
    if path.is_file() and path.stat().st_size > FINANCE_FILE_BYTES:
        raise intake.BillRefused("TOO_LARGE", "too_large", hint="too_large", file=path.name)
    if not path.is_file():
        raise intake.BillRefused("UNKNOWN_FILE", "no_file", hint="which_files", file=path.name)
    taken = take(path.read_bytes(), name=path.name, account=account, source="imported", by=by)
    return {**taken.as_json(), "message": taken.message}


def take(
    content: bytes,
    *,
    name: str,
    account: str,
    source: str,
    by: str = audit.SYSTEM,
    expected: date | None = None,
) -> Taken:
    """Take the bytes of a bill, fetched or handed in. ``expected``: the day that was asked for, when fetched."""
    owner = _account(account)
    digest = files.write(content)
    failpoints.hit("recon.file_stored")
    known = _known(owner, digest)
    if known is not None:
        return known
    with tempfile.TemporaryDirectory(prefix="miniapp-bill-") as folder:
        rows_to = Path(folder) / "rows.parquet"
        read = intake.read_in_child(files.path_of(digest), rows_to=rows_to, name=name)
        bill_date = _check(read, owner, expected)
        rows_digest = files.write(rows_to.read_bytes())
    return _record(owner, read, bill_date, name=name, rows_digest=rows_digest, source=source, by=by)


def rows_path(session: Session, file_id: int) -> Path:
    """Where a bill's normalised rows lie. Raises FileNotFoundError where the file has been lost."""
    digest = session.scalars(select(BillFile.rows_sha256).where(BillFile.id == file_id)).one()
    return files.path_of(digest)


@db.retried
def _record(
    owner: _Account, read: ReadBill, bill_date: date, *, name: str, rows_digest: str, source: str, by: str
) -> Taken:
    with db.transaction() as session:
        account = session.get_one(MerchantAccount, owner.id)
        steps.lock_batches(session, account.id, bill_date, to_run=True)
        known = session.scalar(
            select(BillFile).where(BillFile.merchant_account_id == owner.id, BillFile.sha256 == read.sha256)
        )
        if known is not None:
            return _taken(session, "known", account, known)
        file = BillFile(
            merchant_account_id=owner.id,
            bill_date=bill_date,
            layout=read.layout,
            bill=read.bill,
            sha256=read.sha256,
            rows_sha256=rows_digest,
            name=name[:200],
            rows=read.rows,
            totals=read.totals,
            trailer=read.trailer,
            source=source,
            taken_at=now(),
            taken_by=by,
        )
        session.add(file)
        session.flush()
        files.keep(
            session,
            read.sha256,
            media_type="application/octet-stream",
            subject="bill_file",
            subject_id=file.id,
            role="bill",
        )
        audit.note(session, "bill_file", file.id, "take", by=by, after=source, company_id=account.company_id)
        return _taken(session, "new", account, file)


def _taken(session: Session, result: str, account: MerchantAccount, file: BillFile) -> Taken:
    version, is_whole = None, False
    if file.bill == "flow":
        result = result if result == "known" else "kept"
    else:
        batch, is_whole = selecting.attach(session, account, file.bill_date)
        version = batch.version
        closed = selecting.is_closed(session, account.company_id, file.bill_date)
        if result == "new" and closed:
            result = "day_closed"
        elif result == "new" and is_whole:
            steps.queue_rerun(session, account.id, file.bill_date, mark=f"file:{file.id}")
    return Taken(result, account.code, file.bill_date, file.layout, file.sha256, file.rows, version, is_whole)


def _account(code: str) -> _Account:
    with db.reading() as session:
        row = session.scalar(select(MerchantAccount).where(MerchantAccount.code == code))
        if row is None:
            raise Missing("reconcile.import.no_account", account=code)
        numbers = {row.merchant_no, str(row.settings.get("account_no", ""))} - {""}
        return _Account(row.id, row.code, row.platform, frozenset(numbers))


def _known(owner: _Account, digest: str) -> Taken | None:
    with db.reading() as session:
        file = session.scalar(
            select(BillFile)
            .where(BillFile.merchant_account_id == owner.id, BillFile.sha256 == digest)
            .order_by(BillFile.id)
        )
        if file is None:
            return None
        batch = steps.newest_batch(session, owner.id, file.bill_date)
        is_whole = selecting.select_files(selecting.trade_files(session, owner.id, file.bill_date)).is_whole
        version = batch.version if batch and file.bill == "trade" else None
        return Taken("known", owner.code, file.bill_date, file.layout, digest, file.rows, version, is_whole)


def _check(read: ReadBill, owner: _Account, expected: date | None) -> date:
    """The one day of a bill of this account. Raises Invalid."""
    if read.platform != owner.platform:
        raise Invalid("reconcile.import.other_platform", account=owner.code, layout=read.layout)
    if read.merchant_no is not None and not _is_same_account(read.merchant_no, owner.own_numbers):
        raise Invalid("reconcile.import.other_account", account=owner.code, found=read.merchant_no)
    days = [date.fromisoformat(day) for day in read.bill_dates] or ([expected] if expected else [])
    if not days:
        raise Invalid("reconcile.import.no_day")
    if len(days) > 1:
        raise Invalid("reconcile.import.several_days", first=days[0], last=days[-1])
    if expected is not None and days[0] != expected:
        raise Invalid("reconcile.import.other_day", found=days[0], expected=expected)
    return days[0]


def _is_same_account(found: str, own: frozenset[str]) -> bool:
    """Alipay writes its partner number with 0156 behind it in a bill's heading."""
    return any(found in (number, f"{number}0156") for number in own)
