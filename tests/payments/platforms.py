"""The real sandbox as the other side: payment codes, faults, and its ledger, which is the judge."""

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from miniapp import db
from miniapp.core.clock import real_now
from miniapp.outbox import service as outbox
from miniapp.outbox.models import Work
from miniapp.outbox.worker import Worker
from miniapp.payments import steps
from miniapp.payments.jobs import JOBS
from miniapp.platforms.breaker import Breaker
from miniapp.sandbox import keys
from tests.clocks import Clock
from tests.databases import Database
from tests.payments.shop import ALIPAY_APP, WECHAT_APP, Shop, open_shop
from tests.processes import Processes

MERCHANT, PID = "1900000109", "2088000000000001"


@dataclass
class Platforms:
    """WeChat and Alipay, run by the sandbox."""

    base: str
    clock: Clock

    def code(self, platform: str = "wechat", **plan: Any) -> str:
        """A payment code of 顾客甲's phone; ``plan`` says what happens to it."""
        told = self.post("payment_code", {"person": "customer_a", "platform": platform, "plan": plan})
        return str(told["code"])

    def fault(self, door: str, kind: str, *, times: int | None = 1, **more: Any) -> None:
        """Something goes wrong at a door."""
        self.post("faults", {"door": door, "kind": kind, "times": times, **more})

    def heal(self) -> None:
        """Nothing goes wrong any more, and our own breakers have noticed."""
        self._call("DELETE", "faults")
        Breaker.forget_all()

    def answer(self, *, accept: bool) -> None:
        """The customer answers the password box."""
        self.post("payments/answer", {"person": "customer_a", "accept": accept})

    def payments(self) -> list[dict[str, Any]]:
        """The platforms' own ledger."""
        told: dict[str, Any] = json.loads(self._call("GET", "ledger"))
        return list(told["payments"])

    def money(self) -> int:
        """What the merchant has kept, in fen."""
        return sum(
            payment["amount_fen"] - sum(refund["amount_fen"] for refund in payment["refunds"])
            for payment in self.payments()
            if payment["paid_at"]
        )

    def pass_time(self, **span: float) -> None:
        """Both clocks move on."""
        self.clock.forward(**span)
        self.sync()

    def sync(self) -> None:
        """The platforms' clock shows the program's time."""
        self.post("clock", {"to": self.clock.moment.isoformat()})

    def post(self, path: str, body: Any) -> Any:
        """One word to the director."""
        return json.loads(self._call("POST", path, json.dumps(body).encode()))

    def _call(self, method: str, path: str, body: bytes | None = None) -> bytes:
        request = urllib.request.Request(
            f"{self.base}/control/{path}",
            data=body,
            method=method,
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as reply:
            return bytes(reply.read())


@dataclass
class Till(Shop):
    """The shop with its platforms, and a worker that runs when the test says so."""

    platforms: Platforms

    def work(self) -> None:
        """Do what is due now."""
        Worker(JOBS, {}).drain()

    def account(self, platform: str) -> int:
        """The merchant account of a wallet."""
        with db.reading() as session:
            return steps.till_of(session, self.terminal_id).account(platform)

    def end_leases(self) -> None:
        """The machine's clock has passed every lease of a worker that is gone."""
        with db.transaction() as session:
            session.execute(
                update(Work)
                .where(Work.state == "leased")
                .values(lease_until=real_now() - timedelta(seconds=1))
            )

    def due_in(self, seconds: float) -> None:
        """Let time pass, then do what is due."""
        self.platforms.pass_time(seconds=seconds)
        self.work()


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, keys.KeyPair, keys.KeyPair]]:
    """A running sandbox: its address, the app's key pair, Alipay's key pair."""
    folder: Path = tmp_path_factory.mktemp("sandbox")
    ours, theirs = keys.key_pair(), keys.key_pair()
    config = {
        "wechat_merchants": [
            {"mch_id": MERCHANT, "app_ids": [WECHAT_APP], "api_v2_key": "192006250b4c09247ec02edce69f6a2d"}
        ],
        "alipay_apps": [
            {
                "app_id": ALIPAY_APP,
                "app_public_key": ours.public,
                "alipay_private_key": theirs.private,
                "pid": PID,
            }
        ],
        "people": [
            {
                "code": "customer_a",
                "name": "顾客甲",
                "wechat": {WECHAT_APP: "oCustomerA"},
                "alipay": {"user_id": "2088100000000009"},
            }
        ],
    }
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    processes = Processes(folder)
    process = processes.start(
        "sandbox",
        *("python", "-m", "miniapp.sandbox.run", "--port", "0", "--data", str(folder / "data")),
        *("--config", str(folder / "config.json")),
    )
    process.wait_for_text("sandbox ready on ")
    yield process.said.split("sandbox ready on ")[1].split()[0], ours, theirs
    processes.stop_all()


@pytest.fixture
def till(
    database: Database,
    clock: Clock,
    tmp_path: Path,
    sandbox: tuple[str, keys.KeyPair, keys.KeyPair],
) -> Iterator[Till]:
    base, ours, theirs = sandbox
    platforms = Platforms(base, clock)
    platforms.heal()
    platforms.sync()
    shop = open_shop(tmp_path, base=base, app_key=ours.private, platform_key=theirs.public)
    outbox.wake.clear()
    yield Till(shop.terminal_id, shop.other_terminal_id, shop.claims, platforms)
    platforms.heal()
