"""The tests' own tools do what the other tests rely on."""

import os
import signal
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from sqlalchemy import text

from miniapp import db
from miniapp.core import clock as program_clock
from tests.browser import Windows, shoot
from tests.clocks import Clock
from tests.databases import Database
from tests.guards.network_guard import OutsideCall
from tests.installations import Installation
from tests.processes import Processes, free_port


@pytest.mark.parametrize("round_no", [1, 2])
def test_each_test_has_a_database_of_its_own(database: Database, round_no: int) -> None:
    with db.transaction() as session:
        session.execute(text("CREATE TABLE mark (round_no INTEGER)"))
        session.execute(text("INSERT INTO mark VALUES (:round_no)"), {"round_no": round_no})

    with db.reading() as session:
        assert session.scalars(text("SELECT round_no FROM mark")).all() == [round_no]
    assert db.engine().dialect.name == database.kind


def test_the_clock_stands_still_until_it_is_moved(clock: Clock) -> None:
    before = program_clock.now()
    assert program_clock.now() == before

    clock.forward(hours=1)
    assert (program_clock.now() - before).total_seconds() == 3600


def test_a_call_outside_is_refused_and_remembered(closed_network: list[str]) -> None:
    with pytest.raises(OutsideCall):
        socket.create_connection(("192.0.2.1", 80), timeout=1)
    with pytest.raises(OutsideCall):
        socket.getaddrinfo("example.com", 443)

    assert closed_network == ["192.0.2.1", "example.com"]
    closed_network.clear()


def test_a_started_program_cannot_call_outside_either(tmp_path: Path) -> None:
    started = Processes(tmp_path)
    call = "import urllib.request as u\ntry: u.urlopen('http://example.com/')\nexcept OSError: pass"
    assert started.start("caller", "python", "-c", call).wait() == 0

    with pytest.raises(AssertionError, match=r"example\.com"):
        started.stop_all()


def test_a_killed_process_is_gone_with_its_children(processes: Processes) -> None:
    port = free_port()
    server = processes.start(
        "server", "python", "-m", "http.server", str(port), "--bind", "127.0.0.1", port=port
    )
    assert urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).status == 200

    assert server.kill() == -signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        os.killpg(server.pid, 0)


def test_a_program_that_does_not_start_shows_what_it_said(processes: Processes) -> None:
    with pytest.raises(AssertionError, match="no such reason"):
        processes.start("broken", "python", "-c", "raise SystemExit('no such reason')", port=free_port())


def test_the_phone_is_as_wide_as_a_phone_and_finds_role_hosts(
    windows: Windows, processes: Processes, tmp_path: Path
) -> None:
    (tmp_path / "index.html").write_text(
        "<!doctype html><meta charset=utf-8><meta name=viewport content='width=device-width'><title>发票</title><p>缴费/漢字</p>"
    )
    port = free_port()
    processes.start(
        "pages", "python", "-m", "http.server", str(port), "--bind", "127.0.0.1", port=port, cwd=tmp_path
    )

    page = windows.phone()
    page.goto(f"http://console.localhost:{port}/index.html")

    assert page.title() == "发票"
    assert page.evaluate("window.innerWidth") == 375
    assert shoot(page, "infrastructure").stat().st_size > 1000


def test_the_sandbox_runs_beside_and_shares_the_clock_file(installation: Installation) -> None:
    base = installation.sandbox({})

    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(f"{base}/no-such-door", timeout=5)
    installation.move_clock(seconds=3600)
    assert installation.clock_file.read_text() == "3600"
