"""A sandbox of its own behind a real port, and what the Alipay and tax channel tests share."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from miniapp.sandbox.app import create_app
from miniapp.sandbox.keys import KeyPair, key_pair
from miniapp.sandbox.run import QuietHandler, Server
from miniapp.sandbox.world import World

APP_ID = "2021000000000001"
PID = "2088720000000001"
APP_KEYS: KeyPair = key_pair()
ALIPAY_KEYS: KeyPair = key_pair()


@dataclass
class Sandbox:
    """One running world, reached as any outsider would; `world` is for setting it up."""

    world: World
    url: str

    def code(self, person: str = "customer_b", **plan: Any) -> str:
        """A payment code of that person's phone."""
        given = {"person": person, "platform": "alipay", "plan": plan}
        code = requests.post(f"{self.url}/control/payment_code", json=given, timeout=5).json()["code"]
        return str(code)

    def fault(self, door: str, kind: str, times: int | None = 1, **match: str) -> None:
        """Set a switch."""
        self.control("faults", {"door": door, "kind": kind, "times": times, "match": match})

    def control(self, path: str, document: object) -> Any:
        """POST to /control."""
        answer = requests.post(f"{self.url}/control/{path}", json=document, timeout=20)
        answer.raise_for_status()
        return answer.json()

    def ledger(self) -> dict[str, list[dict[str, Any]]]:
        """The judge's view."""
        found: dict[str, list[dict[str, Any]]] = requests.get(f"{self.url}/control/ledger", timeout=5).json()
        return found


@contextmanager
def running(folder: Path, **more: Any) -> Iterator[Sandbox]:
    """A sandbox with one Alipay app, one Nuonuo app and 顾客乙, on a free port."""
    world = World(folder)
    world.configure(
        {
            "alipay_apps": [
                {
                    "app_id": APP_ID,
                    "app_public_key": APP_KEYS.public,
                    "alipay_private_key": ALIPAY_KEYS.private,
                    "pid": PID,
                    "store_names": {"S1": "示例一店"},
                    "code": "life",
                }
            ],
            "people": [
                {"code": "customer_b", "name": "顾客乙", "alipay": {"user_id": "2088000000000002"}},
                {"code": "customer_a", "name": "顾客甲"},
            ],
            **more,
        }
    )
    server = Server("127.0.0.1", 0, create_app(world), handler=QuietHandler)
    world.base_url = f"http://127.0.0.1:{server.port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Sandbox(world, world.base_url)
    finally:
        server.shutdown()
        server.server_close()
        world.store.close()
