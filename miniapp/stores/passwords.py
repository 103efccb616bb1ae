"""Passwords: argon2id with the library's own parameters; cheap ones in the test environment only."""

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_hasher = PasswordHasher()
_nobody: list[str] = []


def be_cheap() -> None:
    """For the test environment: a hash in a millisecond instead of a tenth of a second."""
    global _hasher
    _hasher = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    _nobody.clear()


def hashed(password: str) -> str:
    """What is stored."""
    return _hasher.hash(password)


def is_right(stored: str, password: str) -> bool:
    """Compare; a damaged hash is nobody's."""
    try:
        return _hasher.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


def nobodys() -> str:
    """A hash to check against where no such login exists, so that the answer takes as long."""
    if not _nobody:
        _nobody.append(_hasher.hash("nobody"))
    return _nobody[0]
