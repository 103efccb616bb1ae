"""Closes the network of one Python process: only this machine can be reached. Each attempt is remembered and said."""

import ipaddress
import socket
import sys
from typing import Any

SAID = "closed network:"
attempts: list[str] = []
_methods = {name: getattr(socket.socket, name) for name in ("connect", "connect_ex", "sendto")}
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


def close() -> None:
    """From now on every address but loopback and sockets in the file system is refused in this process."""
    for name, method in _methods.items():
        setattr(socket.socket, name, _guarded(method))
    socket.getaddrinfo = _look_up  # type: ignore[assignment]


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
        attempts.append(host)
        print(f"{SAID} {host}", file=sys.stderr, flush=True)
        raise OutsideCall(f"{SAID} {host}")
