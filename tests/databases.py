"""Both databases for tests: SQLite files and a throw-away PostgreSQL 15 cluster, each test with its own database.

The schema is made once by the migrations; a test gets a copy of it (a copied file, a database from a template).
A missing program is a failure that names the package, never a skip.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path

import psycopg
import pytest

from miniapp import db
from miniapp.migrations import running
from tests.processes import Process, clean_environment, free_port

KINDS = ("sqlite", "postgresql")
_POSTGRESQL = Path("/usr/lib/postgresql/15/bin")
_ROOM = 1 << 30  # bytes
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "fsync": "off",  # what is tested dies by kill, not by power cut
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "log_min_messages": "fatal",
}


@dataclass(frozen=True)
class Database:
    """One database of one test: ``kind`` is sqlite or postgresql, ``url`` is what the program's setting takes."""

    kind: str
    url: str


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """An empty, migrated database, open in this process: the test runs once on each kind.

    For one kind only: ``@pytest.mark.parametrize("database", ["sqlite"], indirect=True)``.
    """
    with fresh_database(request.param) as made:
        db.configure(made.url)
        try:
            yield made
        finally:
            db.engine().dispose()


@contextmanager
def fresh_database(kind: str) -> Iterator[Database]:
    """A migrated database that is gone afterwards; not opened in this process."""
    if kind == "sqlite":
        with tempfile.TemporaryDirectory(prefix="miniapp-sqlite-", dir=memory()) as folder:
            file = Path(folder) / "miniapp.db"
            shutil.copyfile(_sqlite_template(), file)
            yield Database(kind, f"sqlite:///{file}")
        return
    cluster = running_cluster()
    name = cluster.create(template=_postgresql_template())
    try:
        yield Database(kind, cluster.url(name))
    finally:
        cluster.drop(name)


@contextmanager
def empty_database(kind: str, folder: Path) -> Iterator[Database]:
    """A database without a single table: for the tests of migrations."""
    if kind == "sqlite":
        yield Database(kind, f"sqlite:///{folder / 'empty.db'}")
        return
    cluster = running_cluster()
    name = cluster.create(template="template0")
    try:
        yield Database(kind, cluster.url(name))
    finally:
        cluster.drop(name)


def memory() -> str:
    """A folder in memory where there is room for one: on a busy disk each database takes up to 20 times as long."""
    in_memory = Path("/dev/shm")
    if os.access(in_memory, os.W_OK) and shutil.disk_usage(in_memory).free > _ROOM:
        return str(in_memory)
    return "/tmp"


class Cluster:
    """A PostgreSQL server on a free loopback port with its data in a temporary folder."""

    def __init__(self) -> None:
        if not (_POSTGRESQL / "initdb").exists():
            pytest.fail("PostgreSQL 15 is missing: apt-get install postgresql-15")
        self.folder = Path(tempfile.mkdtemp(prefix="miniapp-pg-", dir=memory()))
        self.port = free_port()
        self._names = count(1)
        owner = self._owner()
        self._run_as(owner, _POSTGRESQL / "initdb", "-D", self.folder / "data", *_INITDB)
        settings = {**_SETTINGS, "port": str(self.port), "unix_socket_directories": str(self.folder)}
        words = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
        command = [*_as_user(owner), str(_POSTGRESQL / "postgres"), "-D", str(self.folder / "data"), *words]
        self.server = Process(
            "postgresql", command, env=clean_environment(), log=self.folder / "server.log", cwd=self.folder
        )
        self.server.wait_until(self._answers, "answering database server")

    def url(self, name: str) -> str:
        """The address of one database for SQLAlchemy with psycopg 3."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{name}"

    def create(self, *, template: str) -> str:
        """A new database, copied from another one that nobody has open."""
        name = f"test_{next(self._names)}"
        self._execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
        return name

    def drop(self, name: str) -> None:
        """Drop a database; whoever still has it open is cut off."""
        self._execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def stop(self) -> None:
        """End the server at once and remove its files (SIGQUIT is its own way: it gives its shared memory back)."""
        self.server.signal(signal.SIGQUIT)
        with suppress(subprocess.TimeoutExpired):
            self.server.wait(seconds=10)
        self.server.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            self._execute("SELECT 1")
        except psycopg.OperationalError:  # nobody listens yet, or it is still starting up
            return False
        return True

    def _execute(self, statement: str) -> None:
        with psycopg.connect(
            host="127.0.0.1", port=self.port, user="postgres", dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(statement)

    def _owner(self) -> str | None:
        """Who runs the server: None is ourselves. PostgreSQL refuses to run as root."""
        if os.geteuid() != 0:
            return None
        names = {entry.pw_name for entry in pwd.getpwall()}
        owner = "postgres" if "postgres" in names else "nobody"
        account = pwd.getpwnam(owner)
        os.chown(self.folder, account.pw_uid, account.pw_gid)
        return owner

    def _run_as(self, owner: str | None, *command: object) -> None:
        words = [*_as_user(owner), *(str(word) for word in command)]
        done = subprocess.run(words, cwd=self.folder, env=clean_environment(), capture_output=True, text=True)
        assert done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}"


_INITDB = (
    "-U",
    "postgres",
    "-E",
    "UTF8",
    "--locale=C.UTF-8",
    "--auth=trust",
    "--no-sync",
    "--no-instructions",
)
_running: list[Cluster] = []


def running_cluster() -> Cluster:
    """The one cluster of this test process, started when the first test asks for it."""
    if not _running:
        _running.append(Cluster())
    return _running[0]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """The database server of this test process ends with it."""
    while _running:
        _running.pop().stop()
    for folder in _templates:
        shutil.rmtree(folder, ignore_errors=True)


def migrate(url: str) -> None:
    """Make the whole schema in an empty database, by the same path as ``miniapp db upgrade``."""
    db.configure(url)
    running.upgrade(db.engine())
    db.engine().dispose()


_templates: list[Path] = []


@cache
def _sqlite_template() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="miniapp-sqlite-", dir=memory()))
    _templates.append(folder)
    file = folder / "template.db"
    migrate(f"sqlite:///{file}")
    return file


@cache
def _postgresql_template() -> str:
    cluster = running_cluster()
    name = cluster.create(template="template0")
    migrate(cluster.url(name))
    return name


def _as_user(owner: str | None) -> list[str]:
    if owner is None:
        return []
    account = pwd.getpwnam(owner)
    return [
        *("setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"),
        *("--pdeathsig=QUIT", "--"),  # becoming somebody else forgets the one that was asked for before
    ]
