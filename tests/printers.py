"""A real IPP printer for tests (``ippeveprinter``), on a bus and an avahi of its own, all on loopback.

``printer.received`` are the bytes that it got, ``printer.pages`` the sheets that came out, ``printer.jam`` and
``printer.take_paper`` are what goes wrong in a store.
"""

import shutil
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import Process, Processes, free_port

_BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path={folder}/bus.sock</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
<allow own="*"/><allow user="*"/></policy></busconfig>
"""
_AVAHI = """[server]
use-ipv4=yes
use-ipv6=no
allow-interfaces=lo
enable-dbus=yes
[wide-area]
enable-wide-area=no
[publish]
publish-addresses=no
[rlimits]
"""
# The engine is the paper: while a fault stands it says so and prints nothing, then it draws the page.
_ENGINE = """#!/bin/sh
while [ -e {folder}/fault ]; do
  reason=$(cat {folder}/fault)
  echo "STATE: +$reason" >&2
  sleep 0.05
done
[ -n "$reason" ] && echo "STATE: -$reason" >&2
pdftoppm -r 60 -png "$1" "{folder}/paper/$IPP_JOB_NAME" || exit 1
echo "ATTR: job-impressions-completed=1" >&2
"""
_TRAYS = "size1=iso_a4_210x297mm&type1=stationery&level1={}&size3=iso_a4_210x297mm&type3=stationery&level3={}"


class Printer:
    """One printer at ``uri``; it can be switched off and on again, which forgets its jobs."""

    def __init__(self, processes: Processes, folder: Path) -> None:
        self._processes, self._folder = processes, folder
        self._port = free_port()
        self._process: Process | None = None
        self.uri = f"ipp://localhost:{self._port}/ipp/print"
        for name in ("spool", "paper"):
            (folder / name).mkdir()
        engine = folder / "engine.sh"
        engine.write_text(_ENGINE.format(folder=folder), "ascii")
        engine.chmod(0o755)
        self._bus()
        self.switch_on()

    def switch_on(self) -> None:
        command = ["ippeveprinter", "-p", str(self._port), "-n", "localhost", "-k"]
        command += ["-d", str(self._folder / "spool"), "-c", str(self._folder / "engine.sh")]
        self._process = self._processes.start(
            "printer", *command, "-f", "application/pdf", "StoreA4", env=self._environment(), port=self._port
        )

    def switch_off(self) -> None:
        if self._process:
            self._process.kill()

    def received(self, name: str) -> list[bytes]:
        """What arrived under this job name, each time."""
        return [file.read_bytes() for file in sorted((self._folder / "spool").glob(f"*-{name}.pdf"))]

    def pages(self, name: str) -> list[Path]:
        """The sheets (PNG) that came out for this job name."""
        return sorted((self._folder / "paper").glob(f"{name}*.png"))

    def jam(self, reason: str = "media-jam") -> None:
        """From the next job on the printer stops in the middle, until ``clear``."""
        (self._folder / "fault").write_text(reason, "ascii")

    def clear(self) -> None:
        (self._folder / "fault").unlink(missing_ok=True)

    def take_paper(self) -> None:
        """Its A4 trays are empty, and it says so before any job."""
        self._form(f"media?{_TRAYS.format(0, 0)}")

    def give_paper(self) -> None:
        self._form(f"media?{_TRAYS.format(250, 25)}")

    def wait_for_page(self, name: str, *, seconds: float = 20) -> Path:
        """The first sheet of a job, once it is out."""
        until = time.monotonic() + seconds
        while not self.pages(name):
            assert time.monotonic() < until, f"no page for {name}"
            time.sleep(0.05)
        return self.pages(name)[0]

    def _form(self, path: str) -> None:
        with urllib.request.urlopen(f"http://localhost:{self._port}/{path}", timeout=5) as reply:
            reply.read()

    def _environment(self) -> dict[str, str]:
        return {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={self._folder}/bus.sock"}

    def _bus(self) -> None:
        (self._folder / "bus.conf").write_text(_BUS.format(folder=self._folder), "ascii")
        (self._folder / "avahi.conf").write_text(_AVAHI, "ascii")
        bus = self._processes.start(
            "bus", "dbus-daemon", f"--config-file={self._folder}/bus.conf", "--nofork", "--nopidfile"
        )
        bus.wait_until((self._folder / "bus.sock").exists, "bus")
        names = self._processes.start(
            "avahi",
            *("avahi-daemon", "-f", f"{self._folder}/avahi.conf"),
            *("--no-drop-root", "--no-chroot", "--no-rlimits"),
            env=self._environment(),
        )
        names.wait_for_text("Server startup complete")


@pytest.fixture
def printer(processes: Processes) -> Iterator[Printer]:
    """A printer with paper, switched on. Its folder has a short name: a socket's path may not be long."""
    folder = Path(tempfile.mkdtemp(prefix="ipp"))
    try:
        one = Printer(processes, folder)
        yield one
        one.clear()  # an engine that waits would outlive the printer
    finally:
        shutil.rmtree(folder, ignore_errors=True)
