"""Staff sign in: the password is checked outside any transaction, slower per account and address by counts in the database."""

from sqlalchemy import select

from miniapp import db
from miniapp.core import limits
from miniapp.core.errors import Unsigned
from miniapp.stores import passwords
from miniapp.stores.models import Staff
from miniapp.stores.people import person
from miniapp.stores.rules import Person

LOGINS_PER_ACCOUNT = 10
LOGINS_PER_ADDRESS = 40


def sign_in(login: str, password: str, *, address: str) -> Person:
    """The person of a login and password. Raises TooOften (by account and by address, for a while), Unsigned."""
    with db.transaction() as session:
        limits.check(session, f"login:{login}", at_most=LOGINS_PER_ACCOUNT, key="stores.login_paused")
        limits.check(session, f"login@{address}", at_most=LOGINS_PER_ADDRESS, key="stores.login_paused")
        row = session.scalar(select(Staff).where(Staff.login == login, Staff.is_disabled.is_(False)))
        staff_id, stored = (row.id, row.password_hash) if row else (None, passwords.nobodys())
    known = person(staff_id) if passwords.is_right(stored, password) and staff_id is not None else None
    if known is not None:
        return known
    with db.transaction() as session:
        limits.hit(session, f"login:{login}")
        limits.hit(session, f"login@{address}")
    raise Unsigned("stores.wrong_login")
