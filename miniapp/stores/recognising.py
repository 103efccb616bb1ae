"""Which staff member a chat identity is, and where they stand, for doors that know people by their chat account."""

from sqlalchemy import select

from miniapp import db
from miniapp.stores import service
from miniapp.stores.models import Duty, Store
from miniapp.stores.rules import Person


def person_of_chat(app_id: str, open_id: str) -> Person | None:
    """Who works here and has bound this identity; None for everybody else, at once after they are removed."""
    with db.reading() as session:
        return service.person_of_identity(session, app_id, open_id)


def duty_of(staff_id: int) -> str | None:
    """The name of the store in which a person is on duty now, or None."""
    with db.reading() as session:
        return session.scalar(
            select(Store.name)
            .join(Duty, Duty.store_id == Store.id)
            .where(Duty.staff_id == staff_id, Duty.until.is_(None))
        )
