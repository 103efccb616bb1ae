"""A whole installation of real processes for tests: the program, its worker and the sandbox beside it."""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.databases import KINDS, Database, fresh_database
from tests.processes import BIN, ROOT, Process, Processes, clean_environment, free_port


@dataclass
class Installation:
    """One retailer's installation in a folder of its own, on a port of its own, with a clock that can be moved."""

    folder: Path
    database: Database
    processes: Processes
    port: int = field(default_factory=free_port)
    settings: dict[str, str] = field(default_factory=dict)
    program: Process | None = None

    @property
    def base(self) -> str:
        """The program's address, without a trailing slash."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def clock_file(self) -> Path:
        """Offset in seconds, read by the program and by the sandbox at every look at the clock."""
        return self.folder / "clock"

    @property
    def env(self) -> dict[str, str]:
        """The settings of its processes; ``settings`` wins."""
        return {
            "MINIAPP_ENV": "test",
            "MINIAPP_DATABASE_URL": self.database.url,
            "MINIAPP_DATA_DIR": str(self.folder / "data"),
            "MINIAPP_PUBLIC_BASE": self.base,
            "MINIAPP_PORT": str(self.port),
            "MINIAPP_MASTER_KEY": "5a" * 32,
            "MINIAPP_CLOCK_FILE": str(self.clock_file),
            **self.settings,
        }

    def run(self, *arguments: str, stdin: str = "", seconds: float = 60) -> subprocess.CompletedProcess[str]:
        """One command: ``installation.run("setup", "shop.toml", "--json")``."""
        command = [str(BIN / "miniapp"), *arguments]
        return subprocess.run(
            command,
            input=stdin,
            env=clean_environment(self.env),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=seconds,
        )

    def set_up(self, document: str) -> None:
        """Bring companies, stores, accounts… in by ``miniapp setup``, as everybody does. Fails with its faults."""
        file = self.folder / "setup.toml"
        file.write_text(document, "utf-8")
        done = self.run("setup", str(file), "--json")
        assert done.returncode == 0, done.stdout + done.stderr

    def serve(self, *arguments: str, env: Mapping[str, str] | None = None) -> Process:
        """Start the program, its worker inside unless told otherwise, and wait until it answers."""
        self.program = self.processes.start(
            "program",
            *("miniapp", "serve", *(arguments or ("--with-worker",))),
            env={**self.env, **(env or {})},
            port=self.port,
        )
        return self.program

    def worker(self, *, env: Mapping[str, str] | None = None) -> Process:
        """Start a worker of its own (PostgreSQL only: an embedded database has one process)."""
        return self.processes.start("worker", "miniapp", "worker", env={**self.env, **(env or {})})

    def sandbox(self, config: Mapping[str, Any] | None = None) -> str:
        """Start the other side of every wire with a configuration; answers its address."""
        options = [
            "--port",
            "0",
            "--data",
            str(self.folder / "sandbox"),
            "--clock-file",
            str(self.clock_file),
        ]
        if config is not None:
            file = self.folder / "sandbox.json"
            file.write_text(json.dumps(config, ensure_ascii=False), "utf-8")
            options += ["--config", str(file)]
        process = self.processes.start("sandbox", "python", "-m", "miniapp.sandbox.run", *options)
        process.wait_for_text("sandbox ready on ")
        found = re.search(r"sandbox ready on (http://\S+)", process.said)
        assert found, process.said
        return found[1]

    def move_clock(self, *, seconds: float) -> None:
        """Put both clocks so many seconds ahead of the machine's."""
        waiting = self.clock_file.with_suffix(".new")
        waiting.write_text(str(seconds), "ascii")
        waiting.replace(self.clock_file)


@pytest.fixture(params=KINDS)
def installation(
    request: pytest.FixtureRequest, tmp_path: Path, processes: Processes
) -> Iterator[Installation]:
    """A migrated, empty installation on each kind of database; nothing of it runs yet."""
    with fresh_database(request.param) as database:
        made = Installation(tmp_path, database, processes)
        made.move_clock(seconds=0)
        yield made
        processes.stop_all()  # before its database goes
