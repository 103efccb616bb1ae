"""A closed network: a test that talks to anything but this machine fails, even where the program forgives it."""

import ipaddress
import socket
from collections.abc import Iterator
from typing import Any

import pytest

_attempts: list[str] = []
_connect, _connect_ex, _sendto = socket.socket.connect, socket.socket.connect_ex, socket.socket.sendto
_getaddrinfo = socket.getaddrinfo


class OutsideCall(OSError):
    """Somebody outside this machine was called."""


def is_here(host: str) -> bool:
    """True for loopback addresses and for names that stand for them."""
    if host in ("", "localhost") or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True)
def closed_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Refuses, and afterwards reports, every address but loopback and sockets in the file system."""
    _attempts.clear()
    monkeypatch.setattr(socket.socket, "connect", _guarded(_connect))
    monkeypatch.setattr(socket.socket, "connect_ex", _guarded(_connect_ex))
    monkeypatch.setattr(socket.socket, "sendto", _guarded(_sendto))
    monkeypatch.setattr(socket, "getaddrinfo", _look_up)
    yield _attempts
    assert not _attempts, f"called outside this machine: {_attempts}"


def _guarded(method: Any) -> Any:
    def call(self: socket.socket, *arguments: Any) -> Any:
        address = arguments[-1]
        if self.family in (socket.AF_INET, socket.AF_INET6):
            _check(str(address[0]))
        return method(self, *arguments)

    return call


def _look_up(host: Any, *arguments: Any, **named: Any) -> Any:
    name = host.decode() if isinstance(host, bytes) else host
    if name is not None:
        _check(name)
        if name.endswith(".localhost"):
            host = "127.0.0.1"
    return _getaddrinfo(host, *arguments, **named)


def _check(host: str) -> None:
    if not is_here(host):
        _attempts.append(host)
        raise OutsideCall(f"closed network: {host}")
