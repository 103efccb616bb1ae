"""The children of a demonstration: started, watched, ended together, none left behind."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from miniapp.commands.refusing import Refusal
from miniapp.core.text import say

START_SECONDS, STOP_SECONDS = 40.0, 8.0
DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of <sys/prctl.h>


@dataclass(frozen=True)
class Child:
    """One process and the file that holds what it said."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path


class Children:
    """Python processes in groups of their own, so that Ctrl-C reaches this one first and the order is ours."""

    def __init__(self, logs: Path) -> None:
        logs.mkdir(mode=0o700, exist_ok=True)
        self._logs = logs
        self._running: list[Child] = []

    def start(self, name: str, *arguments: str) -> Child:
        """Start one and return at once."""
        log = self._logs / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603
                [sys.executable, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        child = Child(name, process, log)
        self._running.append(child)
        return child

    def wait_for(self, child: Child, port: int) -> None:
        """Return when it accepts connections on its port. Raises Refusal with its last words."""
        until = time.monotonic() + START_SECONDS
        while is_free(port):
            if child.process.poll() is not None or time.monotonic() > until:
                raise _ended(child)
            time.sleep(0.05)

    def watch(self) -> None:
        """Return never while all of them run. Raises Refusal when one has ended."""
        while True:
            for child in self._running:
                if child.process.poll() is not None:
                    raise _ended(child)
            time.sleep(0.3)

    def stop(self) -> None:
        """End the last started first; whoever does not end in time is killed with its group."""
        for child in reversed(self._running):
            if child.process.poll() is None:
                child.process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    child.process.wait(STOP_SECONDS)
            with suppress(ProcessLookupError):
                os.killpg(child.process.pid, signal.SIGKILL)
            child.process.wait(STOP_SECONDS)
        self._running.clear()


def is_free(port: int) -> bool:
    """Does nobody answer on this port of loopback?"""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _ended(child: Child) -> Refusal:
    tail = "\n".join(child.log.read_text("utf-8", "replace").splitlines()[-12:])
    message = say(
        "demo.ended", name=child.name, status=child.process.poll(), log=child.log, tail=tail or "……"
    )
    return Refusal({"code": "ENDED", "message": message, "hint": ""})


def _die_with_parent() -> None:
    """Run in the child before exec: it gets SIGTERM when this process ends, however that ends (Linux)."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGTERM)
