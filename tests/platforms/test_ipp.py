"""The IPP driver against a real printer, with ipptool as the second client, and against broken ones."""

import struct
import subprocess
import time
from io import BytesIO

import pytest
from reportlab.pdfgen.canvas import Canvas

from miniapp.platforms import ipp
from miniapp.printing import drivers
from miniapp.printing.drivers import PrinterSettings
from miniapp.printing.drivers.ipp import stem
from tests.platforms.peers import DROP, Answer, peer
from tests.processes import free_port


def pdf(text="page"):
    drawn = BytesIO()
    canvas = Canvas(drawn, pagesize=(595, 397))
    canvas.drawString(72, 200, text)
    canvas.save()
    return drawn.getvalue()


def driver(uri):
    return drivers.of(PrinterSettings("p1", "ipp", uri))


def nothing():
    return None


def until_printed(one, name, device_ref, *, seconds=20):
    end = time.monotonic() + seconds
    while not isinstance(answer := one.ask(name, device_ref), drivers.Printed):
        assert time.monotonic() < end, answer
        time.sleep(0.1)
    return answer


def test_a_job_is_printed_byte_for_byte_and_found_by_number_and_by_name(printer):
    one, document, order = driver(printer.uri), pdf(), []
    assert one.check().ready
    sent = one.send(document, "41-1", lambda: order.append(printer.received("41-1")))
    assert isinstance(sent, drivers.Sent) and order == [[]]  # the hook came before anything had arrived
    until_printed(one, "41-1", sent.device_ref)
    assert isinstance(one.ask("41-1"), drivers.Printed)  # the reply was lost: by name
    assert isinstance(
        one.ask("42-1", sent.device_ref), drivers.Unknown
    )  # a number that means another job now
    assert printer.received("41-1") == [document] and len(printer.pages("41-1")) == 1
    listed = subprocess.run(
        ["ipptool", "-tv", printer.uri, "get-completed-jobs.test"], capture_output=True, text=True, timeout=20
    )
    assert "41-1" in listed.stdout

    printer.switch_off()
    assert one.check().obstacle == "driver.no_connection"
    refused = one.send(document, "43-1", lambda: order.append("never"))
    assert isinstance(refused, drivers.Refused) and refused.again and len(order) == 1
    assert isinstance(one.ask("41-1", sent.device_ref), drivers.Unknown)
    printer.switch_on()
    assert isinstance(one.ask("41-1", sent.device_ref), drivers.Unknown)  # it forgot: proves nothing


def test_paper_out_before_is_an_obstacle_and_in_the_middle_is_printing(printer):
    one = driver(printer.uri)
    printer.take_paper()
    assert one.check().obstacle == "driver.paper"
    printer.give_paper()
    assert one.check().ready

    printer.jam("media-empty")
    sent = one.send(pdf(), "51-1", nothing)
    second = one.send(pdf(), "52-1", nothing)
    assert isinstance(second, drivers.Refused) and second.again and second.message_key == "driver.busy"
    end = time.monotonic() + 10
    while one.check().obstacle != "driver.paper":
        assert time.monotonic() < end
        time.sleep(0.05)
    assert isinstance(one.ask("51-1", sent.device_ref), drivers.Printing)
    assert printer.pages("51-1") == []
    printer.clear()
    until_printed(one, "51-1", sent.device_ref)
    assert len(printer.pages("51-1")) == 1 and printer.received("52-1") == []


def test_a_format_that_it_does_not_take_is_refused_before_the_first_byte(printer):
    one = driver(printer.uri)
    one.formats = ("application/x-unheard-of",)
    refused = one.send(b"x", "61-1", lambda: pytest.fail("a byte was announced"))
    assert isinstance(refused, drivers.Refused) and not refused.again
    assert refused.message_key == "driver.format"


def test_a_hook_that_fails_sends_nothing(printer):
    def fails():
        raise RuntimeError("not committed")

    with pytest.raises(RuntimeError):
        driver(printer.uri).send(pdf(), "71-1", fails)
    assert printer.received("71-1") == []


def reply(status, groups=b""):
    return Answer(struct.pack(">BBHI", 1, 1, status, 1) + groups + b"\x03")


@pytest.mark.parametrize(
    ("answer", "kind", "again"),
    [
        (DROP, drivers.Uncertain, None),
        (Answer(b"", 502), drivers.Uncertain, None),
        (Answer(b"", 413), drivers.Refused, False),
        (Answer(b"\x01\x01"), drivers.Uncertain, None),
        (reply(0x0000), drivers.Uncertain, None),  # well, but without a job number
        (reply(0x0507), drivers.Refused, True),
        (reply(0x0506), drivers.Refused, True),
        (reply(0x040A), drivers.Refused, False),
        (reply(0x0500), drivers.Uncertain, None),
        (Answer(b"\x01\x01\x00\x00\x00\x00\x00\x01\x02\x21\x00"), drivers.Uncertain, None),
    ],
)
def test_what_may_have_been_printed_is_uncertain(answer, kind, again):
    def side(request):
        operation = struct.unpack_from(">H", request.body, 2)[0]
        return reply(0) if operation == ipp.VALIDATE_JOB else answer

    with peer(side) as other:
        found = driver(other.base.replace("http:", "ipp:")).send(b"%PDF-", "1-1", nothing)
    assert isinstance(found, kind)
    if again is not None:
        assert found.again is again


def test_a_reply_cut_anywhere_is_no_answer_and_never_a_loop():
    job = (
        b"\x02"
        + ipp._attribute(0x21, "job-id", struct.pack(">i", 7))
        + ipp._attribute(0x23, "job-state", b"\0\0\0\x09")
    )
    whole = reply(0, job).body
    assert ipp.decode(whole).jobs == ({"job-id": [7], "job-state": [9]},)
    for cut in range(len(whole)):
        with pytest.raises((ValueError, struct.error)):
            ipp.decode(whole[:cut])


def test_no_printer_there():
    one = driver(f"ipp://127.0.0.1:{free_port()}/ipp/print")
    assert one.check().obstacle == "driver.no_connection"
    assert isinstance(one.send(b"x", "1-1", nothing), drivers.Refused)


@pytest.mark.parametrize(
    ("reason", "bare"),
    [("media-empty-warning", "media-empty"), ("cover-open-error", "cover-open"), ("paused", "paused")],
)
def test_a_reason_is_its_stem(reason, bare):
    assert stem(reason) == bare
