"""Around every door: the fault that waits for this call, and the line in the log."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any

from flask import Response, g, make_response, request

from miniapp.sandbox.faults import Fault
from miniapp.sandbox.world import World

View = Callable[..., Any]

_STATUS = re.compile(r"http_(\d{3})(_but_done)?$")
_TAG = re.compile(r"<(\w+)>(?:<!\[CDATA\[(.*?)\]\]>|([^<]*))</\1>", re.S)


def door(
    world: World, name: str, *, fields: Callable[[], dict[str, str]] | None = None
) -> Callable[[View], View]:
    """Wrap a view as the door `name`. `fields` gives what a fault's `match` is compared with; else `request_fields`."""

    def wrap(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Response:
            read = fields or request_fields
            g.fault = fault = world.faults.take(name, read())
            response = _through(fault, lambda: make_response(view(*args, **kwargs)))
            outcome = str(response.status_code) + (f" {fault.kind}" if fault else "")
            world.log(name, request.path, outcome)
            return response

        return guarded

    return wrap


def fault_word() -> str:
    """The word of the fault taken for this call; empty if none."""
    fault: Fault | None = g.get("fault")
    return fault.word if fault else ""


def fault() -> Fault | None:
    """The fault taken for this call."""
    taken: Fault | None = g.get("fault")
    return taken


def request_fields() -> dict[str, str]:
    """Flat fields of the request: query, form, JSON (also inside `biz_content`), simple XML elements."""
    body = request.get_data(cache=True)
    found = dict(request.args.items())
    if request.mimetype == "application/x-www-form-urlencoded":
        found |= dict(request.form.items())
    elif body[:1] == b"<":
        text = body.decode("utf-8", "replace")
        found |= {m[1]: m[2] if m[2] is not None else m[3] for m in _TAG.finditer(text)}
    else:
        found |= _flat_json(body)
    return found | _flat_json(found.get("biz_content", "").encode())


def _flat_json(body: bytes) -> dict[str, str]:
    if body.lstrip()[:1] != b"{":
        return {}
    try:
        parsed = json.loads(body)
    except ValueError:
        return {}
    return {key: str(value) for key, value in parsed.items() if isinstance(value, str | int)}


def _through(fault: Fault | None, call: Callable[[], Response]) -> Response:
    if fault is None:
        return call()
    status = _STATUS.match(fault.word)
    if status:
        if status[2]:
            call()
        return Response("sandbox fault", status=int(status[1]))
    match fault.word:
        case "drop" | "silence" | "kill_before":
            return _unanswered(fault)
        case "commit_then_drop" | "silence_but_done" | "kill_after":
            call()
            return _unanswered(fault)
        case "cut_reply":
            return _cut(call(), fault.number(0))
        case "delay":
            done = call()
            time.sleep(fault.number(1000) / 1000)
            return done
        case "wait":
            time.sleep(fault.number(1000) / 1000)
            return call()
        case "garbage":
            call()
            return Response(b"\xff\xfe<html>not what you asked for", content_type="text/html")
    return call()


def _unanswered(fault: Fault) -> Response:
    if fault.word.startswith("silence"):
        time.sleep(fault.number(600_000) / 1000)
    if fault.word.startswith("kill"):
        _kill(fault.number(0))
    return _closing(b"")


def _kill(process: int) -> None:
    """End a process of the program in the middle of its call; no other process is touched."""
    command = Path(f"/proc/{process}/cmdline")
    if process > 1 and command.exists() and b"miniapp" in command.read_bytes():
        os.kill(process, signal.SIGKILL)


def _cut(done: Response, count: int) -> Response:
    body = done.get_data()
    cut = _closing(body[:count], opened=True)
    cut.status_code = done.status_code
    for name, value in done.headers:
        cut.headers[name] = value
    cut.headers["Content-Length"] = str(len(body))
    return cut


def _closing(start: bytes, *, opened: bool = False) -> Response:
    """An answer that ends by the socket closing; without `opened` not even the status line goes out."""
    peer: socket.socket | None = request.environ.get("werkzeug.socket")

    def stream() -> Iterator[bytes]:
        if opened:
            yield start
        if peer is not None:
            peer.shutdown(socket.SHUT_RDWR)
        raise ConnectionAbortedError("sandbox fault")

    return Response(stream(), direct_passthrough=True)
