"""The parts of an installation that keep running: serve and worker."""

import os
import signal
import sys
from argparse import Namespace
from typing import Any

from gunicorn.app.base import BaseApplication

from miniapp import db, wiring
from miniapp.app import create_app
from miniapp.commands.opening import open_system
from miniapp.commands.refusing import Refusal
from miniapp.config import Config
from miniapp.core.text import say
from miniapp.outbox.worker import Worker


def serve(arguments: Namespace) -> int:
    """Pages and interfaces. On SQLite one process with the worker inside; on PostgreSQL the worker is apart unless asked for."""
    config = open_system()
    with_worker = arguments.with_worker or db.is_sqlite()
    Server(config, with_worker=with_worker).run()
    return 0


def worker(_arguments: Namespace) -> int:
    """A worker process; refused on SQLite, where it lives inside ``serve``."""
    config = open_system()
    if db.is_sqlite():
        raise Refusal({"code": "ONE_PROCESS", "message": say("commands.sqlite_one_process"), "hint": ""})
    running = wiring.worker(config)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: running.stop())
    running.run()
    return 0


class Server(BaseApplication):  # type: ignore[misc]
    """gunicorn with threads; the worker thread starts after the fork and stops with the process."""

    def __init__(self, config: Config, *, with_worker: bool) -> None:
        self.config = config
        self.with_worker = with_worker
        self.outbox: Worker | None = None
        super().__init__()

    def load_config(self) -> None:
        """One process on SQLite; as many as cores × 2 on PostgreSQL unless the worker is inside."""
        processes = 1 if db.is_sqlite() or self.with_worker else 2 * (os.cpu_count() or 1)
        options = {
            "bind": f"{self.config.bind}:{self.config.port}",
            "workers": processes,
            "threads": self.config.threads,
            "worker_class": "gthread",
            "accesslog": None,
            "loglevel": "warning",
            "graceful_timeout": 20,
            "timeout": 60,
            "keepalive": 5,
            "control_socket_disable": True,
            "post_worker_init": self._started,
            "worker_exit": self._stopped,
        }
        for name, value in options.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Any:
        """The application; each process opens its own database."""
        return create_app(self.config)

    def _started(self, _worker: Any) -> None:
        if self.with_worker:
            self.outbox = wiring.worker(self.config)
            self.outbox.start()
        print(say("commands.serving", address=self.config.public_base), file=sys.stderr, flush=True)

    def _stopped(self, _arbiter: Any, _worker: Any) -> None:
        if self.outbox is not None:
            self.outbox.stop()
