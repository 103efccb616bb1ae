"""Who a customer is on each platform. Snapshot (virtual) identities are never stored."""

from dataclasses import dataclass

from sqlalchemy import Table, bindparam, select, update
from sqlalchemy.orm import Session

from miniapp import db
from miniapp.core import audit, sessions
from miniapp.core.clock import now
from miniapp.customers.models import Customer, Identity

_identity: Table = Identity.__table__  # type: ignore[assignment]
_HEARD = (
    update(_identity)
    .where(_identity.c.app_id == bindparam("of_app"), _identity.c.open_id == bindparam("of_person"))
    .values(last_text_at=bindparam("moment"))
)
"""Made once: it runs with every message of a chat."""


@dataclass(frozen=True)
class CustomerView:
    """A customer as doors see one: ids only."""

    id: int
    platform: str
    app_id: str
    open_id: str

    def __repr__(self) -> str:
        return f"CustomerView({self.id})"


def recognise(*, platform: str, app_id: str, open_id: str, union_id: str | None = None) -> CustomerView:
    """The customer of an identity; a first visit makes one. Identities of one union id are one customer."""
    with db.transaction() as session:
        return recognise_in(session, platform=platform, app_id=app_id, open_id=open_id, union_id=union_id)


def recognise_in(
    session: Session, *, platform: str, app_id: str, open_id: str, union_id: str | None = None
) -> CustomerView:
    """The same as a step in the caller's transaction."""
    known = session.scalar(select(Identity).where(Identity.app_id == app_id, Identity.open_id == open_id))
    if known is None:
        owner = _by_union(session, platform, union_id)
        if owner is None:
            owner = Customer(platform=platform, union_id=union_id, since=now())
            session.add(owner)
            session.flush()
        known = Identity(customer_id=owner.id, app_id=app_id, open_id=open_id)
        session.add(known)
        session.flush()
    return CustomerView(known.customer_id, platform, app_id, open_id)


def find(session: Session, app_id: str, open_id: str) -> int | None:
    """The customer id of an identity that we have met."""
    return session.scalar(
        select(Identity.customer_id).where(Identity.app_id == app_id, Identity.open_id == open_id)
    )


def identities(session: Session, customer_id: int) -> list[tuple[str, str]]:
    """(app id, open id) pairs of a customer."""
    rows = session.execute(
        select(Identity.app_id, Identity.open_id).where(Identity.customer_id == customer_id)
    )
    return [(app_id, open_id) for app_id, open_id in rows]


def heard_from(session: Session, app_id: str, open_id: str) -> None:
    """The person has just sent a text: for 48 h service messages may be sent."""
    session.execute(_HEARD, {"of_app": app_id, "of_person": open_id, "moment": now()})


def forget(customer_id: int) -> None:
    """Remove links and sessions of a customer; issued invoices stay, as the law wants. Titles are removed by their room."""
    with db.transaction() as session:
        customer = session.get_one(Customer, customer_id, with_for_update=True)
        customer.forgotten_at = now()
        customer.union_id = None
        sessions.end_all(session, "customer", customer_id)
        for identity in session.scalars(select(Identity).where(Identity.customer_id == customer_id)):
            session.delete(identity)
        audit.note(session, "customer", customer_id, "forget", by=f"customer:{customer_id}")


def _by_union(session: Session, platform: str, union_id: str | None) -> Customer | None:
    if not union_id:
        return None
    return session.scalar(
        select(Customer).where(Customer.platform == platform, Customer.union_id == union_id).limit(1)
    )
