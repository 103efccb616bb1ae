"""Real processes for tests: started with a known environment, waited for, killed, and never left behind."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from tests.guards import network_guard

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of <sys/prctl.h>


def free_port() -> int:
    """A TCP port that was free on loopback a moment ago, below the range that outgoing connections use."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as limits:
        lowest = int(limits.read().split()[0])
    for _ in range(200):
        port = 20_000 + int.from_bytes(os.urandom(4)) % max(1, lowest - 20_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port on loopback")


def die_with_parent() -> None:
    """Run in the child before exec: it gets SIGTERM when its parent ends, however that ends."""
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGTERM)


class Process:
    """One started program; ``log`` is the file that holds all that it said."""

    def __init__(
        self, name: str, command: Sequence[str], *, env: Mapping[str, str], log: Path, cwd: Path
    ) -> None:
        self.name, self.command, self.log = name, list(command), log
        in_main = (
            threading.current_thread() is threading.main_thread()
        )  # the signal follows the starting thread
        with log.open("ab") as output:
            self._child = subprocess.Popen(
                self.command,
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent if in_main else None,
            )

    @property
    def pid(self) -> int:
        """The process id; it is also the id of its group."""
        return self._child.pid

    @property
    def exit_status(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._child.poll()

    @property
    def said(self) -> str:
        """Everything that it wrote to standard output and error."""
        return self.log.read_text("utf-8", "replace")

    def wait_for_port(self, port: int, *, host: str = "127.0.0.1", seconds: float = 30) -> None:
        """Return once something accepts connections there. Raises AssertionError with the log, if nothing does."""
        self.wait_until(lambda: _accepts(host, port), f"port {port}", seconds=seconds)

    def wait_for_text(self, text: str, *, seconds: float = 30) -> None:
        """Return once the log contains the text. Raises AssertionError with the log, if it never does."""
        self.wait_until(lambda: text in self.said, repr(text), seconds=seconds)

    def wait_until(self, arrived: Callable[[], bool], what: str, *, seconds: float = 30) -> None:
        """Return once ``arrived()``. Raises AssertionError with the log, when it takes too long or the process ends."""
        until = time.monotonic() + seconds
        while not arrived():
            ended = self._child.poll() is not None
            if ended or time.monotonic() > until:
                state = f"ended with {self._child.returncode}" if ended else f"waited {seconds} s"
                raise AssertionError(f"{self.name}: no {what} ({state})\n{self.said[-8000:]}")
            time.sleep(0.02)

    def wait(self, *, seconds: float = 30) -> int:
        """Its exit status, once it has ended by itself."""
        return self._child.wait(seconds)

    def signal(self, number: int) -> None:
        """Send a signal to the process alone (not to its children)."""
        self._child.send_signal(number)

    def stop(self, *, seconds: float = 10) -> int:
        """Ask it to end (SIGTERM) and wait; kill what is left of its group. Returns the exit status."""
        if self._child.poll() is None:
            self._child.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._child.wait(seconds)
        return self.kill()

    def kill(self) -> int:
        """SIGKILL to the whole group, as a power cut would; returns the exit status."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        return self._child.wait(10)


class Processes:
    """Starts programs and ends all of them when the test has ended."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[Process] = []

    def start(
        self,
        name: str,
        *command: str,
        env: Mapping[str, str] | None = None,
        port: int | None = None,
        seconds: float = 30,
        cwd: Path = ROOT,
    ) -> Process:
        """Start a command; with ``port``, return when it accepts connections.

        ``miniapp`` as first word is the one of this environment, ``python`` this interpreter. ``env`` is added to
        a small clean environment with MINIAPP_ENV=test.
        """
        names = {"miniapp": str(BIN / "miniapp"), "python": sys.executable}
        words = [names.get(command[0], command[0]), *command[1:]]
        log = self.folder / f"{name}-{len(self.started)}.log"
        process = Process(name, words, env=clean_environment(env), log=log, cwd=cwd)
        self.started.append(process)
        if port is not None:
            process.wait_for_port(port, seconds=seconds)
        return process

    def stop_all(self) -> None:
        """End the last started first; print what each said, which pytest shows for a failed test only."""
        outside = []
        for process in reversed(self.started):
            process.stop()
            outside += [line for line in process.said.splitlines() if line.startswith(network_guard.SAID)]
            print(f"--- {process.name} (exit {process.exit_status}): {process.log}\n{process.said[-6000:]}")
        self.started.clear()
        assert not outside, f"called outside this machine: {outside}"


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a started program sees: nothing of this shell but where programs are, and what the test says."""
    kept = {name: os.environ[name] for name in ("HOME", "TMPDIR", "LD_LIBRARY_PATH") if name in os.environ}
    return {
        "PATH": f"{BIN}:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": str(ROOT / "tests" / "guards"),
        "MINIAPP_ENV": "test",
        **kept,
        **(extra or {}),
    }


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """Starts programs; all are ended after the test."""
    started = Processes(tmp_path)
    try:
        yield started
    finally:
        started.stop_all()


def _accepts(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False
