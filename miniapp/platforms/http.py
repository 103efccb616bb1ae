"""One way out. Every call to another system goes through here; nothing else in the program opens a connection.

It follows no redirect, reads a bounded answer within a bounded time, keeps no cookie, and tells "no answer" apart
from an answer. What it logs is a target, a path, a status and a time: no query, no header, no body, so that neither a
token nor a payment code can come out of it. Addresses are made from a configured base, or checked against a list.
"""

import ipaddress
import logging
import os
import socket
import ssl
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.certs import where  # type: ignore[attr-defined]
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    MaxRetryError,
    NewConnectionError,
    ReadTimeoutError,
)

from miniapp.platforms.breaker import Breaker

CONNECT_SECONDS = 1.0
READ_SECONDS = 3.0
ANSWER_BYTES = 1_000_000

log = logging.getLogger("miniapp.outside")
# urllib3 writes whole addresses, access tokens included, at DEBUG.
logging.getLogger("urllib3").setLevel(logging.INFO)

_extra_authorities: list[str] = []


class NoAnswer(Exception):
    """The other side said nothing that can be read. ``sent`` False is proof that no byte of the request left us."""

    def __init__(self, reason: str, *, sent: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sent = sent


@dataclass(frozen=True)
class Reply:
    """An answer of any status, whole. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class Way:
    """The way to one configured base address, with this account's client certificate where there is one."""

    base: str
    read_seconds: float = READ_SECONDS
    answer_bytes: int = ANSWER_BYTES
    client_cert: str = field(default="", repr=False)
    client_key: str = field(default="", repr=False)

    def call(
        self,
        method: str,
        path: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
        files: Mapping[str, Any] | None = None,
    ) -> Reply:
        """Send one request below the base. Raises NoAnswer; never repeats anything."""
        cert = (self.client_cert, self.client_key) if self.base.startswith("https:") else ("", "")
        return _send(
            _session(*cert),
            self.base,
            {
                "method": method,
                "url": self.base + path,
                "data": body or None,
                "headers": dict(headers or {}),
                "params": query,
                "files": files,
            },
            read_seconds=self.read_seconds,
            answer_bytes=self.answer_bytes,
        )


def fetch(
    address: str,
    *,
    configured: tuple[str, ...],
    public: tuple[str, ...] = (),
    headers: Mapping[str, str] | None = None,
    read_seconds: float = 10.0,
    answer_bytes: int = 64_000_000,
) -> Reply:
    """Get a file from an address that another system named.

    Allowed are the origins of ``configured`` bases, and over any of http(s) the ``public`` hosts (``.example.com``
    means its sub-domains too), whose addresses must not be private. Raises NoAnswer.
    """
    check_address(address, configured=configured, public=public)
    request = {"method": "GET", "url": address, "headers": dict(headers or {})}
    return _send(
        _session("", ""), _origin(address), request, read_seconds=read_seconds, answer_bytes=answer_bytes
    )


def check_address(address: str, *, configured: tuple[str, ...], public: tuple[str, ...] = ()) -> None:
    """Raise NoAnswer when a named address is not one that we may open."""
    if _origin(address) in {_origin(base) for base in configured}:
        return
    parts = urlsplit(address)
    host = (parts.hostname or "").lower()
    named = any(host == name.lstrip(".") or (name[0] == "." and host.endswith(name)) for name in public)
    if not named or parts.scheme not in ("http", "https") or parts.username:
        raise NoAnswer("foreign_address", sent=False)
    if not all(ipaddress.ip_address(found).is_global for found in _addresses(host)):
        raise NoAnswer("private_address", sent=False)


def trust(authorities_file: str) -> None:
    """Accept the certificates signed by a private authority too (a company's proxy, tests)."""
    _extra_authorities.append(authorities_file)
    _session.cache_clear()


def redact(text: bytes, *secrets: str) -> bytes:
    """The bytes with each secret blackened, for evidence that is kept."""
    for secret in secrets:
        if secret:
            text = text.replace(secret.encode(), b"***")
    return text


def _send(
    session: requests.Session, target: str, request: dict[str, Any], *, read_seconds: float, answer_bytes: int
) -> Reply:
    """``target`` names the other side for its breaker: the configured base, for several may share one host."""
    breaker = Breaker.of(target)
    if not breaker.lets_through():
        raise NoAnswer("resting", sent=False)
    # Asking for the bytes as they are keeps signatures over bodies simple and bombs out.
    request["headers"].setdefault("Accept-Encoding", "identity")
    request["headers"].setdefault("User-Agent", "miniapp")
    began = time.monotonic()
    try:
        reply = _receive(
            session, request, read_seconds, answer_bytes, deadline=began + CONNECT_SECONDS + 2 * read_seconds
        )
    except NoAnswer as none:
        breaker.failed()
        _note(request, target, none.reason, began)
        raise
    if reply.status >= 500:
        breaker.failed()
    else:
        breaker.worked()
    _note(request, target, str(reply.status), began)
    return reply


def _receive(
    session: requests.Session,
    request: dict[str, Any],
    read_seconds: float,
    answer_bytes: int,
    *,
    deadline: float,
) -> Reply:
    try:
        with session.request(
            **request, timeout=(CONNECT_SECONDS, read_seconds), allow_redirects=False, stream=True
        ) as response:
            if 300 <= response.status_code < 400:
                raise NoAnswer("redirect")
            body = bytearray()
            # read1 hands over what has come: a reply that drips would keep iter_content past any deadline.
            while piece := response.raw.read1(65536, decode_content=False):
                body += piece
                if len(body) > answer_bytes:
                    raise NoAnswer("too_large")
                if time.monotonic() > deadline:
                    raise NoAnswer("timeout")
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Reply(response.status_code, headers, bytes(body))
    except (requests.RequestException, HTTPError, ValueError) as error:
        # "from None": the library's exceptions carry the address with its query.
        raise _no_answer(error) from None


def _no_answer(error: Exception) -> NoAnswer:
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return NoAnswer("connect_timeout", sent=False)
    if isinstance(error, requests.Timeout | ReadTimeoutError):
        return NoAnswer("timeout")
    if isinstance(error, requests.exceptions.SSLError):
        return NoAnswer("tls")
    if isinstance(error, requests.ConnectionError):
        cause = error.args[0] if error.args else None
        reason = cause.reason if isinstance(cause, MaxRetryError) else cause
        if isinstance(reason, NewConnectionError | ConnectTimeoutError):
            return NoAnswer("no_connection", sent=False)
        return NoAnswer("cut")
    if isinstance(error, HTTPError):
        return NoAnswer("cut")
    return NoAnswer("bad_address", sent=False)


def _note(request: dict[str, Any], target: str, outcome: str, began: float) -> None:
    log.info(
        "outside call",
        extra={
            "target": target,
            "path": urlsplit(request["url"]).path,
            "method": request["method"],
            "outcome": outcome,
            "milliseconds": round((time.monotonic() - began) * 1000),
        },
    )


@lru_cache(maxsize=512)
def _session(cert: str, key: str) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = _Adapter(_tls(cert, key))
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


class _Adapter(HTTPAdapter):
    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__(pool_connections=8, pool_maxsize=32, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, ssl_context=self._context)


def _tls(cert: str, key: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=where())
    for extra in _extra_authorities:
        context.load_verify_locations(extra)
    if cert and key:
        _load_pair(context, cert, key)
    return context


def _load_pair(context: ssl.SSLContext, cert: str, key: str) -> None:
    """OpenSSL reads certificates from files only; this one lives in memory where the system can do that."""
    pair = f"{cert.strip()}\n{key.strip()}\n".encode()
    if hasattr(os, "memfd_create"):
        handle = os.memfd_create("pair")
        try:
            os.write(handle, pair)
            context.load_cert_chain(f"/proc/self/fd/{handle}")
        finally:
            os.close(handle)
        return
    with tempfile.NamedTemporaryFile() as file:  # mode 0600
        file.write(pair)
        file.flush()
        context.load_cert_chain(file.name)


def _origin(address: str) -> str:
    parts = urlsplit(address)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    return f"{parts.scheme}://{(parts.hostname or '').lower()}:{port}"


def _addresses(host: str) -> list[str]:
    try:
        return [str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    except OSError:
        raise NoAnswer("no_connection", sent=False) from None
