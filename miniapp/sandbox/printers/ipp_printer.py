"""A network printer: `ipp://host:port/ipp/print/<code>` (RFC 8011), as much as a driverless client asks for.

Switches: door `printer.<code>` takes every door's faults (`drop` for good: switched off), `printer.<code>.paper` the
lasting words of `papers.STOPPING`. What arrived is in the ledger's `prints` and in `<data>/prints/<sha256>.pdf`.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from flask import Blueprint, Response, abort, request

from miniapp.sandbox.doors import door
from miniapp.sandbox.printers import ipp_wire as wire
from miniapp.sandbox.printers import papers
from miniapp.sandbox.printers.ipp_wire import Attribute, Group, Request
from miniapp.sandbox.store import Row
from miniapp.sandbox.world import World, unstamp

CONTENT_TYPE = "application/ipp"
FORMATS = ("application/pdf",)
OK, BAD_REQUEST, NOT_POSSIBLE, NOT_FOUND = 0x0000, 0x0400, 0x0404, 0x0406
FORMAT_NOT_SUPPORTED, OPERATION_NOT_SUPPORTED = 0x040A, 0x0501
JOB_STATES = {"processing": 5, "stopped": 6, "canceled": 7, "aborted": 8, "completed": 9}
IDLE, PROCESSING, STOPPED = 3, 4, 5
_BEGAN = time.monotonic()

Answer = tuple[int, list[Group]]


def blueprint(world: World) -> Blueprint:
    """`POST /ipp/print` (the first printer) and `/ipp/print/<code>`."""
    bp = Blueprint("ipp_printer", __name__)

    @bp.post("/ipp/print", defaults={"code": ""})
    @bp.post("/ipp/print/<code>")
    def operate(code: str) -> Response:
        printer = _printer(world, code)
        through = door(world, f"printer.{printer['code']}", fields=dict)
        answered: Response = through(lambda: _answer(world, printer))()
        return answered

    return bp


def _printer(world: World, code: str) -> Row:
    known = world.entries("printers") or [{"code": "counter", "name": "门店打印机"}]
    found = next((one for one in known if not code or one["code"] == code), None)
    return found or abort(404)


def _answer(world: World, printer: Row) -> Response:
    try:
        asked = wire.read(request.get_data())
    except wire.Unreadable:
        abort(400)
    operation = OPERATIONS.get(asked.operation)
    status, groups = operation(world, printer, asked) if operation else (OPERATION_NOT_SUPPORTED, [])
    return Response(wire.answer(asked, status, groups), content_type=CONTENT_TYPE)


def _print_job(world: World, printer: Row, asked: Request) -> Answer:
    status, _ = _validate_job(world, printer, asked)
    if status != OK:
        return status, []
    if not asked.document.startswith(b"%PDF-"):
        return FORMAT_NOT_SUPPORTED, []
    number = papers.take(world, printer["code"], asked.text("job-name") or "untitled", asked.document)
    return OK, [_job_group(world, printer, _job(world, printer, number) or {})]


def _validate_job(_world: World, _printer_entry: Row, asked: Request) -> Answer:
    wanted = asked.text("document-format") or FORMATS[0]
    return (OK if wanted in FORMATS else FORMAT_NOT_SUPPORTED), []


def _cancel_job(world: World, printer: Row, asked: Request) -> Answer:
    job = _job(world, printer, _number(asked))
    if job is None:
        return NOT_FOUND, []
    return (OK if papers.cancel(world, job) else NOT_POSSIBLE), []


def _get_job(world: World, printer: Row, asked: Request) -> Answer:
    job = _job(world, printer, _number(asked))
    return (OK, [_job_group(world, printer, job)]) if job else (NOT_FOUND, [])


def _get_jobs(world: World, printer: Row, asked: Request) -> Answer:
    is_ended = asked.text("which-jobs") == "completed"
    found = [job for job in papers.jobs(world, printer["code"]) if (job["state"] != "processing") == is_ended]
    limit = asked.attributes.get("limit", [None])[0]
    return OK, [_job_group(world, printer, job) for job in found[: limit if isinstance(limit, int) else 100]]


def _get_printer(world: World, printer: Row, _asked: Request) -> Answer:
    stopping = papers.obstacles(world, printer["code"])
    busy = [job for job in papers.jobs(world, printer["code"]) if job["state"] == "processing"]
    state = STOPPED if stopping else PROCESSING if busy else IDLE
    changing: list[Attribute] = [
        (wire.ENUM, "printer-state", [state]),
        (wire.KEYWORD, "printer-state-reasons", [f"{word}-error" for word in stopping] or ["none"]),
        (wire.INTEGER, "queued-job-count", [len(busy)]),
        (wire.INTEGER, "printer-up-time", [_up_seconds()]),
    ]
    return OK, [(wire.PRINTER, [*_constant(printer), *changing])]


OPERATIONS: dict[int, Callable[[World, Row, Request], Answer]] = {
    0x0002: _print_job,
    0x0004: _validate_job,
    0x0008: _cancel_job,
    0x0009: _get_job,
    0x000A: _get_jobs,
    0x000B: _get_printer,
}


def _constant(printer: Row) -> list[Attribute]:
    name = str(printer.get("name") or printer["code"])
    return [
        (wire.URI, "printer-uri-supported", [_uri(printer)]),
        (wire.KEYWORD, "uri-security-supported", ["none"]),
        (wire.KEYWORD, "uri-authentication-supported", ["none"]),
        (wire.NAME, "printer-name", [name]),
        (wire.TEXT, "printer-info", [name]),
        (wire.TEXT, "printer-make-and-model", ["沙箱打印机"]),
        (wire.BOOLEAN, "printer-is-accepting-jobs", [True]),
        (wire.KEYWORD, "ipp-versions-supported", ["1.1", "2.0"]),
        (wire.ENUM, "operations-supported", list(OPERATIONS)),
        (wire.CHARSET, "charset-configured", ["utf-8"]),
        (wire.CHARSET, "charset-supported", ["utf-8"]),
        (wire.LANGUAGE, "natural-language-configured", ["zh-cn"]),
        (wire.LANGUAGE, "generated-natural-language-supported", ["zh-cn"]),
        (wire.MIME, "document-format-default", [FORMATS[0]]),
        (wire.MIME, "document-format-supported", list(FORMATS)),
        (wire.KEYWORD, "compression-supported", ["none"]),
        (wire.KEYWORD, "pdl-override-supported", ["not-attempted"]),
    ]


def _job_group(world: World, printer: Row, job: Row) -> Group:
    stopping = papers.obstacles(world, printer["code"]) if job["state"] == "processing" else []
    state = "stopped" if stopping else str(job["state"])
    age = max(0, int((world.now() - unstamp(job["at"])).total_seconds()))
    began = max(1, _up_seconds() - age)
    reasons = {"completed": "job-completed-successfully", "canceled": "job-canceled-by-user"}
    reason = "printer-stopped" if stopping else reasons.get(state, "job-printing")
    return (
        wire.JOB,
        [
            (wire.INTEGER, "job-id", [job["id"]]),
            (wire.URI, "job-uri", [f"{_uri(printer)}/{job['id']}"]),
            (wire.URI, "job-printer-uri", [_uri(printer)]),
            (wire.NAME, "job-name", [job["detail"]["name"]]),
            (wire.ENUM, "job-state", [JOB_STATES[state]]),
            (wire.KEYWORD, "job-state-reasons", [reason]),
            (wire.INTEGER, "job-printer-up-time", [_up_seconds()]),
            (wire.INTEGER, "time-at-creation", [began]),
            (wire.INTEGER, "time-at-processing", [None if stopping else began]),
            (wire.INTEGER, "time-at-completed", [began if state == "completed" else None]),
            (
                wire.INTEGER,
                "job-impressions-completed",
                [job["detail"]["pages"] if state == "completed" else 0],
            ),
        ],
    )


def _job(world: World, printer: Row, number: int) -> Row | None:
    return next((job for job in papers.jobs(world, printer["code"]) if job["id"] == number), None)


def _number(asked: Request) -> int:
    number = asked.attributes.get("job-id", [None])[0]
    if isinstance(number, int):
        return number
    tail = asked.text("job-uri").rpartition("/")[2]
    return int(tail) if tail.isascii() and tail.isdigit() else 0


def _uri(printer: Row) -> str:
    return f"ipp://{request.host}/ipp/print/{printer['code']}"


def _up_seconds() -> int:
    return int(time.monotonic() - _BEGAN) + 1
