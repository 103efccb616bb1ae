"""Databases that keep what they commit: SQLite on disk, and a throw-away PostgreSQL with its durable defaults."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.processes import Process, clean_environment, free_port

KINDS = ("sqlite", "postgresql")
POSTGRESQL = Path("/usr/lib/postgresql/15/bin")


@contextmanager
def durable(kind: str, folder: Path, names: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """Empty databases of one kind, name → address, on one disk; gone afterwards."""
    if kind == "sqlite":
        yield {name: f"sqlite:///{folder / name}.db" for name in names}
        return
    with _cluster() as port:
        where = f"postgres@127.0.0.1:{port}"
        with psycopg.connect(f"postgresql://{where}/postgres", autocommit=True) as connection:
            for name in names:
                connection.execute(f'CREATE DATABASE "{name}"')
        yield {name: f"postgresql+psycopg://{where}/{name}" for name in names}


@contextmanager
def _cluster() -> Iterator[int]:
    if not (POSTGRESQL / "initdb").exists():
        raise SystemExit("PostgreSQL 15 is missing: apt-get install postgresql-15")
    folder = Path(tempfile.mkdtemp(prefix="miniapp-bench-pg-", dir="/tmp"))
    become = _become(folder)
    data, port = folder / "data", free_port()
    init = [*become, str(POSTGRESQL / "initdb"), "-D", str(data), "-U", "postgres", "-E", "UTF8"]
    subprocess.run([*init, "--locale=C.UTF-8", "--auth=trust"], cwd=folder, check=True, capture_output=True)
    words = [f"--port={port}", "--listen-addresses=127.0.0.1", f"--unix-socket-directories={folder}"]
    command = [*become, str(POSTGRESQL / "postgres"), "-D", str(data), *words]
    server = Process(
        "postgresql", command, env=clean_environment(), log=Path(f"{folder}.log"), cwd=Path("/tmp")
    )
    try:
        server.wait_until(lambda: _answers(port), "answering database server")
        yield port
    finally:
        server.signal(signal.SIGQUIT)
        server.wait(seconds=10)
        shutil.rmtree(folder, ignore_errors=True)
        Path(f"{folder}.log").unlink(missing_ok=True)


def _become(folder: Path) -> list[str]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return []
    names = {entry.pw_name for entry in pwd.getpwall()}
    account = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    os.chown(folder, account.pw_uid, account.pw_gid)
    return [
        *("setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"),
        *("--pdeathsig=QUIT", "--"),
    ]


def _answers(port: int) -> bool:
    try:
        psycopg.connect(f"postgresql://postgres@127.0.0.1:{port}/postgres").close()
    except psycopg.OperationalError:
        return False
    return True
