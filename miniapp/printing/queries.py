"""Reading for pages: the print queue and the printers, within a person's reach."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, case, func, select, true
from sqlalchemy.orm import joinedload

from miniapp import db
from miniapp.core.errors import Missing
from miniapp.core.reach import Reach
from miniapp.printing.models import PrintJob
from miniapp.printing.states import PRINT_JOB
from miniapp.stores.models import Printer, Store

OPEN = tuple(state for state in PRINT_JOB.all if state not in PRINT_JOB.ends)


@dataclass(frozen=True)
class JobRow:
    """One copy of one document on paper."""

    id: int
    subject: str
    subject_id: int
    copy_no: int
    printer: str
    store_name: str
    state: str
    reason: str
    evidence: str
    created_at: datetime
    sent_at: datetime | None
    closed_at: datetime | None
    is_ended: bool


@dataclass(frozen=True)
class PrinterRow:
    """A printer and what it has to do."""

    code: str
    kind: str
    store_name: str
    is_disabled: bool
    open: int
    uncertain: int
    blocked: int
    last_printed_at: datetime | None


def jobs(
    *, reach: Reach, states: Sequence[str] = (), printer: str = "", page: int = 1, size: int = 50
) -> list[JobRow]:
    """Print jobs, the newest first."""
    with db.reading() as session:
        query = select(PrintJob).join(Printer, Printer.id == PrintJob.printer_id).where(_within(reach))
        if states:
            query = query.where(PrintJob.state.in_(states))
        if printer:
            query = query.where(Printer.code == printer)
        query = query.options(joinedload(PrintJob.printer).joinedload(Printer.store))
        rows = session.scalars(query.order_by(PrintJob.id.desc()).offset((page - 1) * size).limit(size))
        return [_row(row) for row in rows]


def job(job_id: int, *, reach: Reach) -> JobRow:
    """One job. Raises Missing."""
    with db.reading() as session:
        query = select(PrintJob).join(Printer, Printer.id == PrintJob.printer_id)
        row = session.scalar(query.where(PrintJob.id == job_id, _within(reach)))
        if row is None:
            raise Missing("core.not_found")
        return _row(row)


def printers(*, reach: Reach) -> list[PrinterRow]:
    """Printers with their open, uncertain and blocked jobs."""
    with db.reading() as session:
        rows = session.execute(
            select(
                Printer,
                Store.name,
                func.coalesce(func.sum(case((PrintJob.state.in_(OPEN), 1), else_=0)), 0),
                func.coalesce(func.sum(case((PrintJob.state == "uncertain", 1), else_=0)), 0),
                func.coalesce(func.sum(case((PrintJob.state == "blocked", 1), else_=0)), 0),
                func.max(case((PrintJob.state == "printed", PrintJob.closed_at))),
            )
            .join(Store, Store.id == Printer.store_id)
            .outerjoin(PrintJob, PrintJob.printer_id == Printer.id)
            .where(_within(reach))
            .group_by(Printer.id, Store.id)
            .order_by(Store.code, Printer.code)
        ).all()
        return [
            PrinterRow(one.code, one.kind, store, one.is_disabled, is_open, uncertain, blocked, last)
            for one, store, is_open, uncertain, blocked, last in rows
        ]


def _within(reach: Reach) -> ColumnElement[bool]:
    return true() if reach.is_everywhere else Printer.store_id.in_(reach.store_ids)


def _row(row: PrintJob) -> JobRow:
    return JobRow(
        row.id,
        row.subject,
        row.subject_id,
        row.copy_no,
        row.printer.code,
        row.printer.store.name,
        row.state,
        row.reason or "",
        row.evidence or "",
        row.created_at,
        row.sent_at,
        row.closed_at,
        row.state in PRINT_JOB.ends,
    )
