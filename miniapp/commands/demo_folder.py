"""The folder of a demonstration: what it made, its keys, its secrets; nothing that it did not make is ever deleted."""

import fcntl
import json
import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path
from types import TracebackType

from miniapp.commands.refusing import Refusal
from miniapp.core.text import say

MARKER = ".miniapp-demo"
LETTERS = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
KEY_FILES = 9


class DemoFolder:
    """The folder, held by this process while it is entered. Raises Refusal: another's folder, or in use."""

    def __init__(self, path: Path, *, reset: bool) -> None:
        self.path = path
        self._lock = self._hold()
        if reset:
            self._empty()
        self.is_new = not self._state().get("finished")

    def __enter__(self) -> "DemoFolder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._lock)

    @property
    def clock(self) -> Path:
        """Offset in seconds, read by both processes and moved by the sandbox's button."""
        return self.path / "clock"

    def write(self, name: str, text: str, *, mode: int = 0o600) -> Path:
        """A file that nobody else can read; replaced as a whole."""
        path = self.path / name
        path.unlink(missing_ok=True)
        with os.fdopen(
            os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8"
        ) as file:
            file.write(text)
        return path

    def key(self, name: str) -> str:
        """A PEM text of the sandbox's key maker."""
        return (self.path / "keys" / name).read_text("ascii")

    def make_keys(self) -> None:
        """Master key, RSA pairs and a certificate, once."""
        if not (self.path / "master.key").exists():
            self.write("master.key", secrets.token_hex(32), mode=0o400)
        folder = self.path / "keys"
        if len(list(folder.glob("*.*"))) < KEY_FILES or not self.remembered("cert_serial"):
            command = [sys.executable, "-m", "miniapp.sandbox.keys", str(folder)]
            said = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603
            folder.chmod(0o700)
            self.remember(cert_serial=said.split()[-1])
        if not self.clock.exists():
            self.write("clock", "0\n")

    def secret(self, name: str, length: int = 32) -> str:
        """Letters and digits under a name: made at the first asking, then always the same."""
        found = self.remembered(name)
        if not found:
            found = "".join(secrets.choice(LETTERS) for _ in range(length))
            self.remember(**{name: found})
        return found

    def remembered(self, name: str) -> str:
        """A value of the marker file; empty without one."""
        return str(self._state().get(name, ""))

    def remember(self, **values: str) -> None:
        """Keep values in the marker file, which stays the same file: its lock is ours."""
        text = json.dumps({**self._state(), **values}, indent=1)
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, text.encode(), 0)

    def finish(self) -> None:
        """Everything stands: from now on a start only starts."""
        if self.is_new:
            self.remember(finished="yes")

    def _hold(self) -> int:
        if self.path.exists() and not (self.path / MARKER).exists() and any(self.path.iterdir()):
            raise Refusal({"code": "NOT_OURS", "message": say("demo.not_ours", folder=self.path), "hint": ""})
        self.path.mkdir(parents=True, exist_ok=True)
        self.path.chmod(0o700)
        lock = os.open(self.path / MARKER, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise Refusal(
                {"code": "BUSY", "message": say("demo.busy", folder=self.path), "hint": ""}
            ) from None
        return lock

    def _empty(self) -> None:
        for child in self.path.iterdir():
            if child.name == MARKER:
                continue
            if child.is_dir() and not child.is_symlink():
                shutil.rmtree(child)
            else:
                child.unlink()
        os.ftruncate(self._lock, 0)

    def _state(self) -> dict[str, str]:
        text = os.pread(self._lock, 65536, 0).decode()
        state: dict[str, str] = json.loads(text) if text else {}
        return state
