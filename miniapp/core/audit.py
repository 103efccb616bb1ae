"""The one audit trail. Every state change writes a line in its own transaction."""

from sqlalchemy.orm import Session

from miniapp.core.clock import now
from miniapp.core.models import AuditLine

SYSTEM = "system"


def note(
    session: Session,
    subject: str,
    subject_id: int,
    verb: str,
    *,
    by: str = SYSTEM,
    origin: str = "",
    before: str | None = None,
    after: str | None = None,
    why: str | None = None,
    company_id: int | None = None,
) -> None:
    """Write one line. ``by`` is ``staff:<code>``, ``customer:<id>``, ``terminal:<code>`` or ``system``."""
    session.add(
        AuditLine(
            at=now(),
            who=by,
            origin=origin,
            subject=subject,
            subject_id=subject_id,
            verb=verb,
            before=before,
            after=after,
            why=why,
            company_id=company_id,
        )
    )
