"""The sandbox's printer: judged by ipptool, printed to by the program's own driver, looked at as pictures."""

import subprocess
import time
from collections.abc import Callable, Iterator

import pytest
import requests

from miniapp.printing import drivers
from miniapp.printing.drivers import PrinterSettings
from tests.platforms.test_ipp import pdf
from tests.sandbox.conftest import Sandbox


@pytest.fixture
def uri(sandbox: Sandbox) -> Iterator[str]:
    sandbox.post("/control/config", {"printers": [{"code": "counter", "name": "门店打印机"}]})
    yield f"ipp://{sandbox.base.removeprefix('http://')}/ipp/print/counter"
    for word in ("media-empty", "media-jam", "drop"):
        switch(sandbox, word, on=False)


def switch(sandbox: Sandbox, word: str, *, on: bool) -> None:
    sandbox.post("/printer/api/switch", {"printer": "counter", "switch": word, "on": on})


def papers(sandbox: Sandbox) -> list[dict]:
    return sandbox.get("/printer/api/state", printer="counter")["jobs"]


def driver(uri: str) -> drivers.Driver:
    return drivers.of(PrinterSettings("counter", "ipp", uri))


def until(ask: Callable[[], object], kind: type) -> object:
    end = time.monotonic() + 15
    while not isinstance(answer := ask(), kind):
        assert time.monotonic() < end, answer
        time.sleep(0.1)
    return answer


def test_a_standard_client_sees_a_printer(uri: str) -> None:
    asked = subprocess.run(
        ["ipptool", "-tv", uri, "get-completed-jobs.test"], capture_output=True, text=True, timeout=60
    )

    assert "[PASS]" in asked.stdout, asked.stdout


def test_what_was_sent_is_the_paper_that_comes_out(sandbox: Sandbox, uri: str) -> None:
    document, printer = pdf("invoice"), driver(uri)
    assert printer.check().ready

    sent = printer.send(document, "81-1", lambda: None)

    assert isinstance(sent, drivers.Sent)
    until(lambda: printer.ask("81-1", sent.device_ref), drivers.Printed)
    paper = papers(sandbox)[0]
    assert (paper["name"], paper["pages"], paper["words"]) == ("81-1", 1, "已打出")
    kept = requests.get(f"{sandbox.base}/printer/paper/{paper['id']}.pdf", timeout=20)
    picture = requests.get(f"{sandbox.base}/printer/paper/{paper['id']}/0.png", timeout=20)
    assert kept.content == document and picture.content.startswith(b"\x89PNG")
    assert requests.get(f"{sandbox.base}/printer/paper/{paper['id']}/1.png", timeout=20).status_code == 404


def test_without_paper_it_says_so_and_prints_once_there_is_some(sandbox: Sandbox, uri: str) -> None:
    printer = driver(uri)
    switch(sandbox, "media-empty", on=True)
    assert printer.check().obstacle == "driver.paper"

    sent = printer.send(pdf(), "82-1", lambda: None)

    assert isinstance(sent, drivers.Sent)
    assert isinstance(printer.ask("82-1", sent.device_ref), drivers.Printing)
    assert papers(sandbox)[0]["words"] == "缺纸"
    switch(sandbox, "media-empty", on=False)
    until(lambda: printer.ask("82-1", sent.device_ref), drivers.Printed)


def test_switched_off_it_is_gone_for_every_client(sandbox: Sandbox, uri: str) -> None:
    switch(sandbox, "media-jam", on=True)
    switch(sandbox, "drop", on=True)
    refused = driver(uri).send(pdf(), "83-1", lambda: None)
    assert driver(uri).check().obstacle == "driver.no_connection"
    assert isinstance(refused, drivers.Refused) and refused.again

    switch(sandbox, "drop", on=False)

    assert driver(uri).check().obstacle == "driver.paper"  # its other switch stayed


def test_what_is_no_pdf_is_refused(uri: str) -> None:
    refused = driver(uri).send(b"not a document", "84-1", lambda: None)

    assert isinstance(refused, drivers.Refused) and refused.message_key == "driver.format"


def test_a_cut_request_is_a_bad_one(sandbox: Sandbox) -> None:
    cut = requests.post(
        f"{sandbox.base}/ipp/print/counter",
        data=b"\x01\x01\x00\x0b\x00",
        headers={"Content-Type": "application/ipp"},
        timeout=20,
    )

    assert cut.status_code == 400
