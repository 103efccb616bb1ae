"""Who works here, with roles as they are now."""

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from miniapp import db
from miniapp.stores.models import Staff
from miniapp.stores.rules import Person, Role


def person(staff_id: int) -> Person | None:
    """A person who works here now, with roles."""
    with db.reading() as session:
        return person_in(session, staff_id)


def person_in(session: Session, staff_id: int) -> Person | None:
    """The same, inside the caller's session: roles are read where they are decided on."""
    row = session.scalar(
        select(Staff)
        .where(Staff.id == staff_id, Staff.is_disabled.is_(False))
        .options(selectinload(Staff.roles))
    )
    if row is None:
        return None
    return Person(row.id, row.code, row.name, tuple(Role(role.role, role.scope) for role in row.roles))
