"""Starts the sandbox: `python -m miniapp.sandbox.run --port P --data DIR [--config FILE] [--clock-file FILE]`."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
import tomllib
from pathlib import Path
from types import FrameType
from typing import Any

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from miniapp.sandbox.app import create_app
from miniapp.sandbox.world import World


class Server(ThreadedWSGIServer):
    """Threads that do not hold the process at its end; room for bursts."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256


class QuietHandler(WSGIRequestHandler):
    """No line for every request: `requests_log` has them."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


def main(argv: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT. Port 0 takes a free one; the ready line names it."""
    options = _options(argv)
    world = World(options.data, options.clock_file)
    if options.config:
        world.configure(read_config(options.config))
    server = Server("127.0.0.1", options.port, create_app(world), handler=QuietHandler)
    world.base_url = f"http://127.0.0.1:{server.port}"

    def stop(signum: int, frame: FrameType | None) -> None:
        # shutdown() waits for the serving loop, which is this thread: so from another one.
        threading.Thread(target=server.shutdown, daemon=True).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    print(f"sandbox ready on {world.base_url}", flush=True)
    server.serve_forever()
    server.server_close()
    world.store.close()
    return 0


def read_config(path: Path) -> dict[str, Any]:
    """A configuration document from TOML or JSON, told by the file's name."""
    if path.suffix == ".json":
        parsed: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return parsed
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="miniapp.sandbox.run")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--clock-file", type=Path)
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
