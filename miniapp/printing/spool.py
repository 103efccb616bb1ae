"""Paper: enqueue, lease, send, look, settle. At most one unmarked copy by itself; every extra copy is marked.

SENDING is committed before byte one; after it nothing is sent again without proof that nothing was printed.
"""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from miniapp import db
from miniapp.core import audit, failpoints, files, tasks
from miniapp.core.clock import now
from miniapp.core.errors import Missing, Refused
from miniapp.outbox import service as outbox
from miniapp.outbox.jobs import Done, Later, NeverArrived, Outcome, Task
from miniapp.printing import drivers
from miniapp.printing.drivers import NotPrinted, Printed, PrinterSettings, Printing, Sent
from miniapp.printing.drivers import Refused as PrinterRefused
from miniapp.printing.events import PrintJobChanged
from miniapp.printing.models import PrintJob
from miniapp.printing.states import PRINT_JOB
from miniapp.stores.models import Printer

LOOK_AGAIN = timedelta(seconds=2)
BLOCKED_AGAIN = timedelta(seconds=10)
SENT_DEADLINE = timedelta(seconds=120)
COPIES_AT_MOST = 3


@dataclass(frozen=True)
class Copy:
    """A job that is being sent: everything the driver needs."""

    job_id: int
    fence: int
    name: str
    printer: PrinterSettings
    sha256: str


def enqueue(session: Session, *, subject: str, subject_id: int, printer_id: int, sha256: str) -> int:
    """The first copy of a document, once; the same again is the same job."""
    known = session.scalar(
        select(PrintJob).where(
            PrintJob.subject == subject, PrintJob.subject_id == subject_id, PrintJob.copy_no == 1
        )
    )
    return known.id if known else _new(session, subject, subject_id, printer_id, sha256, copy_no=1).id


def reprint(job_id: int, *, by: str, reason: str) -> int:
    """A further copy (补打), marked and audited; the first must have come to an end. Raises Missing, Refused."""
    with db.transaction() as session:
        first = _get(session, job_id)
        copies = session.scalars(
            select(PrintJob).where(PrintJob.subject == first.subject, PrintJob.subject_id == first.subject_id)
        ).all()
        if len(copies) >= COPIES_AT_MOST:
            raise Refused("printing.too_many_copies", limit=COPIES_AT_MOST)
        if any(copy.state not in PRINT_JOB.ends for copy in copies):
            raise Refused("printing.still_open")
        number = max(copy.copy_no for copy in copies) + 1
        job = _new(
            session, first.subject, first.subject_id, first.printer_id, first.payload_sha256, copy_no=number
        )
        job.reprint_of = first.id
        audit.note(session, "print_job", job.id, "reprint", by=by, why=reason)
        return job.id


def judge(job_id: int, *, was_printed: bool, by: str) -> None:
    """A person has looked at the paper of an uncertain job. Raises Missing, Refused."""
    with db.transaction() as session:
        job = _get(session, job_id)
        if job.state != "uncertain":
            raise Refused("printing.not_uncertain")
        _move(session, job, "prove_printed" if was_printed else "prove_unprinted", by=by)
        if not was_printed:
            _record_work(session, job)


def send(task: Task) -> Outcome | None:
    """Work, first time: check the printer, commit SENDING, send."""
    copy = claim(task.payload["job_id"])
    if copy is None:
        return Done("ended, or the printer has another job open")
    driver = drivers.of(copy.printer)
    state = driver.check()
    if not state.ready:
        _block(copy, state.obstacle)
        return Later(state.obstacle, after=BLOCKED_AGAIN, counts=False)
    if not task.is_current():
        return Later("lease ran out before the call")
    answer = driver.send(files.read(copy.sha256), copy.name, lambda: _begin_sending(copy))
    return _file_send(copy, answer)


def look(task: Task) -> Outcome | None:
    """Work, every other time: what has become of a copy that may have gone out?"""
    with db.reading() as session:
        job = session.get_one(PrintJob, task.payload["job_id"])
        state, device_ref = job.state, job.device_ref or ""
        copy = _copy(session, job)
    if state in PRINT_JOB.ends or state == "uncertain":
        return Done(state)
    if state in ("queued", "claimed", "blocked", "not_printed"):
        return NeverArrived(state)
    return _file_look(copy, drivers.of(copy.printer).ask(copy.name, device_ref))


@db.retried
def claim(job_id: int) -> Copy | None:
    """Take a job for sending, with a new fence. None: it has ended, or waits for the printer's open copy."""
    with db.transaction() as session:
        job = _get(session, job_id)
        if job.state == "claimed":
            job.fence += 1
            return _copy(session, job)
        if PRINT_JOB.next(job.state, "claim") is None:
            return None
        job.fence += 1
        _move(session, job, "claim")
        return _copy(session, job)


def _begin_sending(copy: Copy) -> None:
    """Commit SENDING right before byte one. Raises Refused: then nothing is sent."""
    try:
        with db.transaction() as session:
            job = _get(session, copy.job_id)
            if job.fence != copy.fence or job.state != "claimed":
                raise Refused("printing.taken_over")
            job.sent_at, job.deadline_at = now(), now() + SENT_DEADLINE
            _move(session, job, "begin_sending")
    except IntegrityError as error:
        raise Refused("printing.printer_busy") from error
    failpoints.hit("print.sending_committed")
    failpoints.hit("print.first_byte")


def _file_send(copy: Copy, answer: drivers.SendAnswer) -> Outcome:
    with db.transaction() as session:
        job = _get(session, copy.job_id)
        if job.fence != copy.fence or job.state != "sending":
            return Done("stale") if job.state in PRINT_JOB.ends else Later(job.state, after=LOOK_AGAIN)
        if isinstance(answer, Sent):
            job.device_ref = answer.device_ref[:80]
            _move(session, job, "sent")
            return Later("sent", after=LOOK_AGAIN, counts=False)
        if isinstance(answer, PrinterRefused):
            job.reason = answer.message_key
            _move(session, job, "prove_unprinted", why=answer.code)
            return NeverArrived(answer.code)
        return _lose_sight(session, job, answer.reason)


def _file_look(copy: Copy, answer: drivers.AskAnswer) -> Outcome:
    with db.transaction() as session:
        job = _get(session, copy.job_id)
        if job.state not in ("sending", "sent"):
            return Done(job.state)
        is_late = job.deadline_at is not None and job.deadline_at < now()
        if isinstance(answer, Printed):
            if job.state == "sending":
                _move(session, job, "sent")
            job.evidence = answer.evidence[:500]
            _move(session, job, "prove_printed")
            return Done("printed")
        if isinstance(answer, NotPrinted):
            _move(session, job, "prove_unprinted", why=answer.evidence[:200])
            return NeverArrived(answer.evidence)
        if isinstance(answer, Printing) and not is_late:
            job.reason = ", ".join(answer.reasons)[:200] or None
            return Later("printing", after=LOOK_AGAIN, counts=False)
        if not isinstance(answer, Printing) and not is_late and job.state == "sent":
            return Later(answer.reason, after=LOOK_AGAIN, counts=False)
        return _lose_sight(session, job, "deadline" if isinstance(answer, Printing) else answer.reason)


def _lose_sight(session: Session, job: PrintJob, reason: str) -> Outcome:
    job.reason = reason[:200]
    _move(session, job, "lose_sight", why=reason[:200])
    tasks.open_once(
        session,
        "uncertain_print",
        f"job:{job.id}",
        store_id=job.printer.store_id,
        printer=job.printer.code,
        job=job.id,
    )
    return Done("uncertain")


def _block(copy: Copy, obstacle: str) -> None:
    with db.transaction() as session:
        job = _get(session, copy.job_id)
        if job.fence == copy.fence and job.state == "claimed":
            job.reason = obstacle
            _move(session, job, "block")


def _new(
    session: Session, subject: str, subject_id: int, printer_id: int, sha256: str, *, copy_no: int
) -> PrintJob:
    job = PrintJob(
        subject=subject,
        subject_id=subject_id,
        copy_no=copy_no,
        printer_id=printer_id,
        payload_sha256=sha256,
        state="queued",
        fence=0,
        created_at=now(),
    )
    session.add(job)
    session.flush()
    _record_work(session, job)
    return job


def _record_work(session: Session, job: PrintJob) -> None:
    outbox.put(session, "printing.print", key=f"{job.id}:{job.fence}", job_id=job.id)


def _move(
    session: Session, job: PrintJob, verb: str, *, by: str = audit.SYSTEM, why: str | None = None
) -> None:
    before = job.state
    after = PRINT_JOB.next(before, verb)
    if after is None:
        raise Refused("printing.no_such_move", state=before)
    changed = session.execute(
        update(PrintJob)
        .where(PrintJob.id == job.id, PrintJob.state == before)
        .values(state=after)
        .execution_options(synchronize_session=False)
    ).rowcount  # type: ignore[attr-defined]
    if changed != 1:
        raise Refused("printing.no_such_move", state=before)
    if after in PRINT_JOB.ends:
        job.closed_at = now()
    session.flush()
    session.refresh(job, ["state"])
    audit.note(session, "print_job", job.id, verb, by=by, before=before, after=after, why=why)
    outbox.announce(
        session, PrintJobChanged(job.id, job.subject, job.subject_id, job.copy_no, after, job.reason or "")
    )


def _get(session: Session, job_id: int) -> PrintJob:
    job = session.get(PrintJob, job_id, with_for_update=True, populate_existing=True)
    if job is None:
        raise Missing("core.not_found")
    return job


def _copy(session: Session, job: PrintJob) -> Copy:
    printer = session.get_one(Printer, job.printer_id)
    settings = PrinterSettings(printer.code, printer.kind, printer.uri, dict(printer.settings or {}))
    return Copy(
        job.id, job.fence, f"{job.subject}-{job.subject_id}-{job.copy_no}", settings, job.payload_sha256
    )
