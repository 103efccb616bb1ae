"""The one map from a failure to a page or JSON. What happened, what is kept, what to do next; never a trace."""

import secrets
from typing import Any

import structlog
from flask import Flask, Response, jsonify, make_response, render_template, request
from flask.globals import request_ctx
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from miniapp.core.errors import Failure, TooOften
from miniapp.core.text import say

log = structlog.get_logger()
JSON_PATHS = ("/terminal/", "/healthz", "/readyz", "/metrics", "/printers/", "/notify/")


def register(app: Flask) -> None:
    """Failures, form tokens, HTTP faults and everything else, each in its door's own form."""
    app.register_error_handler(Failure, _failure)
    app.register_error_handler(CSRFError, _stale_form)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _crash)


def _failure(failure: Failure) -> Response:
    response = _answer(failure.status, failure.code, failure.message, hint=_hint(failure))
    if isinstance(failure, TooOften):
        response.headers["Retry-After"] = str(failure.retry_after)
    return response


def _stale_form(_error: CSRFError) -> Response:
    return _answer(400, "STALE_FORM", say("errors.stale_form"))


def _http(error: HTTPException) -> Response:
    status = error.code or 500
    key = f"errors.http_{status}"
    response = _answer(
        status, f"HTTP_{status}", say(key if status in (400, 404, 405, 413, 415) else "errors.http")
    )
    if status == 405 and error.get_response().headers.get("Allow"):
        response.headers["Allow"] = error.get_response().headers["Allow"]
    return response


def _crash(error: Exception) -> Response:
    number = secrets.token_hex(4).upper()
    log.exception("request_failed", reference=number, path=request.path, error=type(error).__name__)
    return _answer(500, "INTERNAL", say("errors.crash", reference=number), reference=number)


def _answer(status: int, code: str, message: str, *, hint: str = "", reference: str = "") -> Response:
    if request_ctx.url_adapter is None:  # a host that is not ours: no page of ours is shown under it
        return make_response(
            (say("errors.foreign_host"), status, {"Content-Type": "text/plain; charset=utf-8"})
        )
    if request.path.startswith(JSON_PATHS):
        return make_response(jsonify({"error": {"code": code, "message": message, "hint": hint}}), status)
    side = "console" if request.path.startswith("/console") else "h5"
    values: dict[str, Any] = {"status": status, "message": message, "hint": hint, "reference": reference}
    return make_response(render_template(f"errors/{side}.html", **values), status)


def _hint(failure: Failure) -> str:
    hint = getattr(failure, "hint", "")
    return hint if isinstance(hint, str) else ""
