"""The database: one engine a process, SQLite (embedded) or PostgreSQL (large).

Rules that the rest of the program relies on:

* ``transaction()`` is the only way to write. On SQLite it begins IMMEDIATE behind one process-wide lock,
  because a deferred BEGIN loses updates or fails with "database is locked"; on PostgreSQL it is READ COMMITTED
  with row locks.
* ``reading()`` never takes the write lock.
* ``@retried`` repeats a whole verb on a serialisation failure or deadlock of PostgreSQL; SQLite never needs it.
"""

import importlib
import pkgutil
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from sqlalchemy import (
    BigInteger,
    DateTime,
    Engine,
    Integer,
    MetaData,
    TypeDecorator,
    create_engine,
    event,
)
from sqlalchemy.engine import Dialect, make_url
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker

P = ParamSpec("P")
R = TypeVar("R")

BigId = BigInteger().with_variant(Integer, "sqlite")
"""Type of our own keys: 64 bit on PostgreSQL; SQLite numbers rows only in a column declared INTEGER."""

Fen = BigInteger
"""Money in fen."""

SWITCH_SECONDS = 0.0005
"""Every statement gives the interpreter away and must get it back, with the write lock in hand: at Python's 5 ms a turn
under load a transaction of five statements would hold everybody up for 25 ms."""

PING_AFTER_SECONDS = 1.0
"""A connection that has rested for so long is asked whether it still lives; asking each time costs as much as a read."""

RETRY_STATES = {"40001", "40P01"}
RETRY_TIMES = 3


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC instant. Refuses naive values; SQLite keeps none, so the zone is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive time has reached the database")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Base of every table; constraint names are fixed so that migrations can find them on both engines."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UtcDateTime()}  # noqa: RUF012  (SQLAlchemy reads it from the class)


class _Database:
    """What one process has open. Replaced as a whole by ``configure``."""

    def __init__(self, url: str, *, busy_ms: int, pool_size: int) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.write_lock = threading.Lock()
        self.engine = _sqlite(url, busy_ms) if self.is_sqlite else _postgresql(url, pool_size)
        self.write = sessionmaker(self.engine, expire_on_commit=False)
        self.read = sessionmaker(self._reader(), expire_on_commit=False)

    def _reader(self) -> Engine:
        """On PostgreSQL each statement reads for itself, as READ COMMITTED does anyway: no BEGIN and no ROLLBACK to wait for."""
        if self.is_sqlite:
            return self.engine.execution_options(read_only=True)
        return self.engine.execution_options(isolation_level="AUTOCOMMIT")


_current: _Database | None = None
_hooks = threading.local()


def configure(url: str, *, busy_ms: int = 30_000, pool_size: int = 8) -> None:
    """Open the database of this process.

    url: ``sqlite:////path/file.db`` or ``postgresql+psycopg://…``; busy_ms: how long SQLite waits for another
    process's lock (800 in ``serve``, so that a chat answer is never late; 30 000 in commands).
    """
    global _current
    if _current is not None:
        _current.engine.dispose()
    load_models()
    sys.setswitchinterval(SWITCH_SECONDS)
    _current = _Database(url, busy_ms=busy_ms, pool_size=pool_size)


def engine() -> Engine:
    """The engine of this process. Raises RuntimeError before ``configure``."""
    return _database().engine


def is_sqlite() -> bool:
    """True on the embedded database, where one process does everything."""
    return _database().is_sqlite


@contextmanager
def transaction() -> Iterator[Session]:
    """One write transaction. Commits at the end of the block, rolls back on any exception.

    Never nested, and never open while somebody outside is called.
    """
    database = _database()
    if getattr(_hooks, "inside", False):
        raise RuntimeError("a verb was called inside another verb's transaction")
    with database.write_lock if database.is_sqlite else nullcontext():
        _hooks.inside, _hooks.after_commit = True, []
        try:
            with database.write() as session, session.begin():
                yield session
        finally:
            _hooks.inside = False
            callbacks, _hooks.after_commit = _hooks.after_commit, []
    for callback in callbacks:
        callback()


def after_commit(callback: Callable[[], None]) -> None:
    """Call something when the surrounding ``transaction()`` has ended (woken for nothing after a rollback)."""
    _hooks.after_commit.append(callback)


def is_inside_transaction() -> bool:
    """True while this thread has a write transaction open: no call outside may be made then."""
    return bool(getattr(_hooks, "inside", False))


@contextmanager
def reading() -> Iterator[Session]:
    """A read-only session; waits for no writer."""
    with _database().read() as session:
        yield session


def retried(verb: Callable[P, R]) -> Callable[P, R]:
    """Repeat a whole verb, at most 3 times, when PostgreSQL asks for it (40001, 40P01)."""

    @wraps(verb)
    def again(*args: P.args, **kwargs: P.kwargs) -> R:
        for attempt in range(RETRY_TIMES):
            try:
                return verb(*args, **kwargs)
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) not in RETRY_STATES or attempt == RETRY_TIMES - 1:
                    raise
                time.sleep(random.uniform(0.005, 0.05) * (attempt + 1))  # noqa: S311
        raise AssertionError("not reached")

    return again


def load_models() -> None:
    """Import every room's ``models.py``, so that ``Base.metadata`` is whole."""
    package = importlib.import_module("miniapp")
    for room in pkgutil.iter_modules(package.__path__):
        folder = Path(package.__path__[0]) / room.name
        if (folder / "models.py").exists():
            importlib.import_module(f"miniapp.{room.name}.models")


def _database() -> _Database:
    if _current is None:
        raise RuntimeError("db.configure() has not been called")
    return _current


def _sqlite(url: str, busy_ms: int) -> Engine:
    made = create_engine(url, connect_args={"check_same_thread": False, "timeout": busy_ms / 1000})

    @event.listens_for(made, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # sqlite3 must emit no BEGIN of its own
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"busy_timeout={busy_ms}",
            "temp_store=MEMORY",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(made, "begin")
    def _begin(connection: Any) -> None:
        if connection.get_execution_options().get("read_only"):
            # Straight to the driver: it waits for nobody, and every read begins with it.
            connection.connection.driver_connection.execute("BEGIN")
        else:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return made


def _postgresql(url: str, pool_size: int) -> Engine:
    made = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_recycle=1800,
        connect_args={"options": "-c statement_timeout=30000 -c timezone=UTC"},
    )

    @event.listens_for(made, "checkin")
    def _rests(_connection: Any, record: Any) -> None:
        record.info["rests_since"] = time.monotonic()

    @event.listens_for(made, "checkout")
    def _is_alive(connection: Any, record: Any, _proxy: Any) -> None:
        if time.monotonic() - record.info.get("rests_since", time.monotonic()) < PING_AFTER_SECONDS:
            return
        try:
            made.dialect.do_ping(connection)
        except made.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError from error  # the pool makes another one

    return made
