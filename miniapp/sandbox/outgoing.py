"""Calls from here to the program's servers: no proxy, no redirect, `*.localhost` without a name server."""

from __future__ import annotations

import time
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import requests


@dataclass(frozen=True)
class Answer:
    """What came back. `status` 0: nothing came (time-out, refused, dropped); `problem` says why."""

    status: int
    body: bytes
    content_type: str
    problem: str
    milliseconds: int


def get(url: str, *, seconds: float = 5.0) -> Answer:
    """One GET."""
    return _call("GET", url, None, {}, seconds)


def post(url: str, body: bytes, *, content_type: str, seconds: float = 5.0) -> Answer:
    """One POST. An answer later than `seconds` counts as none."""
    return _call("POST", url, body, {"Content-Type": content_type}, seconds)


def _call(method: str, url: str, body: bytes | None, headers: dict[str, str], seconds: float) -> Answer:
    target, host = _reachable(url)
    headers = {**headers, "Host": host, "User-Agent": "Mozilla/4.0", "Pragma": "no-cache"}
    began = time.monotonic()
    session = requests.Session()
    session.trust_env = False
    try:
        with session:
            got = session.request(
                method, target, data=body, headers=headers, timeout=seconds, allow_redirects=False
            )
    except requests.RequestException as problem:
        return Answer(0, b"", "", type(problem).__name__, _since(began))
    took = _since(began)
    if took > seconds * 1000:
        return Answer(0, b"", "", "Timeout", took)
    return Answer(got.status_code, got.content, got.headers.get("Content-Type", ""), "", took)


def _reachable(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    name = parts.hostname or ""
    if name == "localhost" or name.endswith(".localhost"):
        port = f":{parts.port}" if parts.port else ""
        return urlunsplit(parts._replace(netloc=f"127.0.0.1{port}")), parts.netloc
    return url, parts.netloc


def _since(began: float) -> int:
    return int((time.monotonic() - began) * 1000)
