"""The audit trail as people read it: search, and lines that no room's own verb writes (signing in)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from sqlalchemy import Select, or_, select

from miniapp import db
from miniapp.core import audit
from miniapp.core.clock import BEIJING
from miniapp.core.models import AuditLine
from miniapp.core.reach import Reach

CHUNK = 500


@dataclass(frozen=True)
class Search:
    """What to look for; empty fields ask nothing. ``first`` and ``last`` are Beijing days, both included."""

    subject: str = ""
    subject_id: int | None = None
    who: str = ""
    verb: str = ""
    first: date | None = None
    last: date | None = None


@dataclass(frozen=True)
class Line:
    """One line of the trail."""

    id: int
    at: datetime
    who: str
    origin: str
    subject: str
    subject_id: int
    verb: str
    before: str
    after: str
    why: str


def record(subject: str, subject_id: int, verb: str, *, by: str, origin: str = "", why: str = "") -> None:
    """Write one line about an act that changes no row of a room, such as signing in."""
    with db.transaction() as session:
        audit.note(session, subject, subject_id, verb, by=by, origin=origin, why=why or None)


def page(wanted: Search, *, reach: Reach, number: int = 1, size: int = 50) -> list[Line]:
    """Lines within a person's reach, the newest first."""
    with db.reading() as session:
        query = _query(wanted, reach).order_by(AuditLine.id.desc())
        return [_line(row) for row in session.scalars(query.offset((number - 1) * size).limit(size))]


def every(wanted: Search, *, reach: Reach, at_most: int) -> Iterator[Line]:
    """The same lines one after the other, for an export; read in pieces."""
    given, before = 0, None
    while given < at_most:
        with db.reading() as session:
            query = _query(wanted, reach).order_by(AuditLine.id.desc()).limit(min(CHUNK, at_most - given))
            rows = session.scalars(query if before is None else query.where(AuditLine.id < before)).all()
        if not rows:
            return
        yield from (_line(row) for row in rows)
        given, before = given + len(rows), rows[-1].id


def _query(wanted: Search, reach: Reach) -> Select[AuditLine]:
    query = select(AuditLine)
    if not reach.is_everywhere:
        query = query.where(AuditLine.company_id.in_(reach.company_ids))
    if wanted.subject:
        query = query.where(AuditLine.subject == wanted.subject)
    if wanted.subject_id is not None:
        query = query.where(AuditLine.subject_id == wanted.subject_id)
    if wanted.who:
        query = query.where(or_(AuditLine.who == wanted.who, AuditLine.who == f"staff:{wanted.who}"))
    if wanted.verb:
        query = query.where(AuditLine.verb == wanted.verb)
    if wanted.first is not None:
        query = query.where(AuditLine.at >= _midnight(wanted.first))
    if wanted.last is not None:
        query = query.where(AuditLine.at < _midnight(wanted.last + timedelta(days=1)))
    return query


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=BEIJING)


def _line(row: AuditLine) -> Line:
    return Line(
        row.id,
        row.at,
        row.who,
        row.origin,
        row.subject,
        row.subject_id,
        row.verb,
        row.before or "",
        row.after or "",
        row.why or "",
    )
