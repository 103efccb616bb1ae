"""Sends pre-built requests over kept connections, as a process of its own; prints what came back as JSON.

    python -m benchmarks.stage.load PORT FILE --connections 32 --seconds 5 [--rate 200]

FILE is a pickled list of whole HTTP requests, each sent once. Without a rate a connection sends its next request as soon
as the last is answered (closed loop). With one, request i is due at i / rate whatever happened before (open loop), and its
time counts from when it was due, so that lateness is counted.
"""

import argparse
import json
import pickle
import select
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Line:
    """One kept connection and the request that is out on it."""

    socket: socket.socket
    due: float = 0.0
    got: bytes = b""
    busy: bool = False


@dataclass
class Run:
    """One measurement."""

    requests: list[bytes]
    seconds: float
    rate: float
    taken: list[float] = field(default_factory=list)
    bad: int = 0
    sent: int = 0
    shortest: int = 1 << 30

    def go(self, port: int, connections: int) -> float:
        """Send and collect until the time is over and everything is answered; answers the seconds that it took."""
        self.poll = select.epoll()
        self.lines = {}
        for _ in range(connections):
            one = socket.create_connection(("127.0.0.1", port))
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.lines[one.fileno()] = Line(one)
            self.poll.register(one.fileno(), select.EPOLLIN)
        self.free = list(self.lines.values())
        start = time.perf_counter()
        while self._send(start) or len(self.free) < connections:
            for number, _ in self.poll.poll(self._pause(start)):
                self._receive(self.lines[number])
        return time.perf_counter() - start

    def _send(self, start: float) -> bool:
        """Send what is due on free connections; False when nothing more is to be sent."""
        now = time.perf_counter()
        while self.free and self._is_due(start, now):
            line = self.free.pop()
            line.due = start + self.sent / self.rate if self.rate else now
            line.got, line.busy = b"", True
            line.socket.sendall(self.requests[self.sent])
            self.sent += 1
            now = time.perf_counter()
        return self._has_more(start, now)

    def _is_due(self, start: float, now: float) -> bool:
        return self._has_more(start, now) and (not self.rate or start + self.sent / self.rate <= now)

    def _has_more(self, start: float, now: float) -> bool:
        if self.sent >= len(self.requests):
            return False
        return self.sent < self.rate * self.seconds if self.rate else now < start + self.seconds

    def _pause(self, start: float) -> float:
        if not self.rate or not self.free:
            return 1.0
        return max(0.0, start + self.sent / self.rate - time.perf_counter())

    def _receive(self, line: Line) -> None:
        line.got += line.socket.recv(65536)
        head, found, body = line.got.partition(b"\r\n\r\n")
        if not found:
            if not line.got:
                raise SystemExit("the server has closed a kept connection")
            return
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        if len(body) < length:
            return
        self.taken.append(time.perf_counter() - line.due)
        self.bad += not head.startswith(b"HTTP/1.1 200")
        self.shortest = min(self.shortest, length)
        line.busy = False
        self.free.append(line)


def main() -> None:
    """Run once and print the numbers: requests a second, milliseconds at 50 and 99 %."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("port", type=int)
    options.add_argument("file", type=Path)
    options.add_argument("--connections", type=int, default=32)
    options.add_argument("--seconds", type=float, default=5)
    options.add_argument("--rate", type=float, default=0)
    given = options.parse_args()
    run = Run(pickle.loads(given.file.read_bytes()), given.seconds, given.rate)
    seconds = run.go(given.port, given.connections)
    taken = sorted(run.taken)
    print(
        json.dumps(
            {
                "count": len(taken),
                "per_second": len(taken) / seconds,
                "p50_ms": taken[len(taken) // 2] * 1000,
                "p99_ms": taken[int(len(taken) * 0.99)] * 1000,
                "bad": run.bad,
                "shortest_answer": run.shortest,
                "ran_out": run.sent >= len(run.requests) and not given.rate,
            }
        )
    )


if __name__ == "__main__":
    main()
