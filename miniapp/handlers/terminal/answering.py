"""Answers of the terminal door: JSON bytes, errors with a next step, and the memory of Idempotency-Keys."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Response, g, request

from miniapp.core import vault
from miniapp.core.clock import now
from miniapp.core.errors import Failure, Invalid, Refused, TooOften, Unsigned
from miniapp.core.text import say
from miniapp.handlers.terminal import signing
from miniapp.payments import door

_KEY = re.compile(r"[\x21-\x7e]{1,80}", re.ASCII)


@dataclass(frozen=True)
class Answer:
    """What a view says. ``is_settled``: nothing of it will change, so a repeated key gets it again byte for byte."""

    body: Mapping[str, Any]
    status: int = 200
    is_settled: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)


class KeyRefused(Refused):
    """An Idempotency-Key that names another request (422)."""

    status = 422


class StillRunning(Refused):
    """The first call with the key has not ended (409 with Retry-After)."""


def plain(answer: Answer) -> Response:
    """A response of an answer."""
    return _response(answer.status, encoded(answer.body), answer.headers)


def once(route: str, work: Callable[[], Answer]) -> Response:
    """Run the work of a POST that moves something; with an Idempotency-Key, the settled answer is kept and repeated."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return plain(work())
    if not _KEY.fullmatch(key):
        raise Invalid("terminal.bad_key")
    begun = door.begin(g.terminal.id, route, key, _fingerprint())
    match begun:
        case door.OtherContent():
            raise KeyRefused("terminal.key_other_content")
        case door.Running():
            raise StillRunning("terminal.key_running")
        case door.Settled(status, body):
            return _response(status, body, {"Idempotent-Replay": "true"})
        case door.Mine(reply_id):
            return _run(reply_id, work)


def error(failure: Failure) -> Response:
    """``{"error": {"code", "message", "hint"}}``; a wrong time carries the server's."""
    status = 400 if type(failure) is Invalid else failure.status
    told: dict[str, Any] = {
        "code": failure.code,
        "message": failure.message,
        "hint": getattr(failure, "hint", "") or _hint(failure),
    }
    headers = {}
    if isinstance(failure, Unsigned):
        headers["WWW-Authenticate"] = signing.SCHEME
    if isinstance(failure, signing.TimeDiffers):
        told["server_time"] = int(now().timestamp())
        headers["Server-Time"] = str(told["server_time"])
    if isinstance(failure, TooOften):
        headers["Retry-After"] = str(failure.retry_after)
    elif isinstance(failure, StillRunning) or status == 503:
        headers["Retry-After"] = "2"
    return _response(status, encoded({"error": told}), headers)


def encoded(body: Mapping[str, Any]) -> bytes:
    """UTF-8 JSON, the same bytes for the same values."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def _run(reply_id: int, work: Callable[[], Answer]) -> Response:
    try:
        answer = work()
    except Failure:
        door.forget_key(reply_id)
        raise
    except BaseException:
        door.leave_open(reply_id)
        raise
    body = encoded(answer.body)
    if answer.is_settled:
        door.settle(reply_id, status=answer.status, body=body)
    else:
        door.leave_open(reply_id)
    return _response(answer.status, body, answer.headers)


def _fingerprint() -> str:
    """Keyed, because a body may hold a payment code, which a plain hash would give away."""
    digest = hashlib.sha256(request.get_data()).hexdigest()
    return vault.sign("idempotency", f"{request.method}\n{request.full_path}\n{digest}")


def _hint(failure: Failure) -> str:
    if isinstance(failure, Unsigned):
        return say("terminal.hint_sign")
    if isinstance(failure, StillRunning) or failure.status == 503:
        return say("terminal.hint_again")
    return say("terminal.hint_look")


def _response(status: int, body: bytes, headers: Mapping[str, str]) -> Response:
    response = Response(body, status=status, mimetype="application/json")
    response.headers["Cache-Control"] = "no-store"
    response.headers.update(headers)
    return response
