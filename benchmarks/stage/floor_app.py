"""The floor of the chat door: a bare Flask view that checks the signature and does one durable insert, by the driver itself.

    python -m benchmarks.stage.floor_app DATABASE-URL PORT

The same server as ``miniapp serve`` starts: gunicorn, one process, eight threads.
"""

import sqlite3
import sys
import threading
import time
from collections.abc import Callable

import psycopg
from flask import Flask, Response, request
from gunicorn.app.base import BaseApplication
from wechatpy.exceptions import InvalidSignatureException
from wechatpy.utils import check_signature

TABLE = (
    "CREATE TABLE message (id {key}, nonce TEXT NOT NULL, body TEXT NOT NULL, at DOUBLE PRECISION NOT NULL)"
)
Insert = Callable[[str, str], None]
_own = threading.local()


def inserting(url: str) -> Insert:
    """A function that commits one message; each thread has its own connection."""
    return _into_sqlite(url) if url.startswith("sqlite") else _into_postgresql(url)


def _into_sqlite(url: str) -> Insert:
    file, one_writer = url.removeprefix("sqlite:///"), threading.Lock()

    def connection() -> sqlite3.Connection:
        if not hasattr(_own, "connection"):
            _own.connection = sqlite3.connect(file, isolation_level=None)
            _own.connection.execute("PRAGMA journal_mode=WAL")
            _own.connection.execute("PRAGMA synchronous=FULL")
        return _own.connection

    connection().execute(TABLE.format(key="INTEGER PRIMARY KEY"))

    def insert(nonce: str, body: str) -> None:
        mine = connection()
        with one_writer:
            mine.execute("INSERT INTO message (nonce, body, at) VALUES (?, ?, ?)", (nonce, body, time.time()))

    return insert


def _into_postgresql(url: str) -> Insert:
    address = url.replace("+psycopg", "")
    with psycopg.connect(address) as first:
        first.execute(TABLE.format(key="BIGSERIAL PRIMARY KEY"))

    def insert(nonce: str, body: str) -> None:
        if not hasattr(_own, "connection"):
            _own.connection = psycopg.connect(address, autocommit=True)
        _own.connection.execute(
            "INSERT INTO message (nonce, body, at) VALUES (%s, %s, %s)", (nonce, body, time.time())
        )

    return insert


def floor_app(url: str, token: str) -> Flask:
    """One view."""
    app = Flask("floor")
    insert = inserting(url)

    @app.post("/wechat/<account>/callback")
    def receive(account: str) -> Response:
        given = request.args
        try:
            check_signature(token, given["signature"], given["timestamp"], given["nonce"])
        except InvalidSignatureException:
            return Response("", 403)
        insert(given["nonce"], request.get_data(as_text=True))
        return Response("success", content_type="text/plain")

    return app


class Server(BaseApplication):  # type: ignore[misc]
    """gunicorn as ``miniapp serve`` sets it."""

    def __init__(self, url: str, port: int, token: str) -> None:
        self.url, self.port, self.token = url, port, token
        super().__init__()

    def load_config(self) -> None:
        """One process, eight threads."""
        options = {"bind": f"127.0.0.1:{self.port}", "workers": 1, "threads": 8, "worker_class": "gthread"}
        for name, value in {**options, "keepalive": 5, "loglevel": "warning"}.items():
            self.cfg.set(name, value)
        if "control_socket_disable" in self.cfg.settings:
            self.cfg.set("control_socket_disable", True)

    def load(self) -> Flask:
        """Made after the fork."""
        return floor_app(self.url, self.token)


if __name__ == "__main__":
    Server(sys.argv[1], int(sys.argv[2]), sys.argv[3]).run()
