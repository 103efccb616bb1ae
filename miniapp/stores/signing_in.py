"""Staff sign in: argon2id outside any transaction, slower per account and address by counts in the database."""

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from sqlalchemy import select

from miniapp import db
from miniapp.core import codes, limits
from miniapp.core.errors import Unsigned
from miniapp.stores.models import Staff
from miniapp.stores.people import person
from miniapp.stores.rules import Person

LOGINS_PER_ACCOUNT = 10
LOGINS_PER_ADDRESS = 40


def sign_in(login: str, password: str, *, address: str) -> Person:
    """Check a password. Slower and slower per account and address, by counts in the database; raises TooOften, Unsigned."""
    with db.transaction() as session:
        limits.check(session, f"login:{login}", at_most=LOGINS_PER_ACCOUNT, key="stores.login_paused")
        limits.check(session, f"login@{address}", at_most=LOGINS_PER_ADDRESS, key="stores.login_paused")
        row = session.scalar(select(Staff).where(Staff.login == login, Staff.is_disabled.is_(False)))
        found = (row.id, row.password_hash) if row else (None, _nobodys_hash())
    if _verify(found[1], password) and found[0] is not None:
        known = person(found[0])
        if known is not None:
            return known
    with db.transaction() as session:
        limits.hit(session, f"login:{login}")
        limits.hit(session, f"login@{address}")
    raise Unsigned("stores.wrong_login")


_hasher = PasswordHasher()
_nobody: list[str] = []


def _nobodys_hash() -> str:
    """A hash to check against where no such login exists, so that the answer takes as long."""
    if not _nobody:
        _nobody.append(_hasher.hash(codes.short_code(20)))
    return _nobody[0]


def _verify(stored: str, password: str) -> bool:
    try:
        return _hasher.verify(stored, password)
    except VerificationError:
        return False
