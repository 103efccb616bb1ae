"""A retailer of real processes that may be killed at any moment: the program, its worker, the sandbox beside it.

Everything is asked through the doors that people and tills use; only titles, and some requests, go by the verbs, as
commands do beside a running program.
"""

import http.client
import json
import os
import secrets
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import func, select

from miniapp import db, wiring
from miniapp.config import Config
from miniapp.core import clock
from miniapp.customers import service as customers
from miniapp.invoices import requesting
from miniapp.outbox.models import Event, Work
from miniapp.payments.models import TerminalTransaction
from miniapp.sandbox import keys
from miniapp.stores import service as stores
from miniapp.stores.models import Printer, Staff
from miniapp.titles import service as titles
from tests import people
from tests.handlers.terminal.tills import KEY, sign
from tests.installations import Installation
from tests.people import BUYER, MASTER, MERCHANT, PEOPLE, WECHAT_APP, World
from tests.processes import Process

PLANTS = Path(__file__).parent / "plants"
POLICY = '{ confirm = "above", confirm_above_fen = 10000 }'
LEASE_SECONDS = 5
QUIET_SECONDS = 40.0


@dataclass
class LiveShop:
    """One installation with its cast; ``settings`` go to the program's processes."""

    installation: Installation
    world: World
    staff: dict[str, int] = field(default_factory=dict)
    customers: dict[str, int] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)
    offset: float = 0.0
    plant: str = ""
    last_told: dict[str, Any] = field(default_factory=dict)
    """What the platform saw of the last message: its attempts and the reply."""

    def start(self, *, failpoints: str = "", seed: int = 0) -> Process:
        """Start the program, with its worker inside."""
        env = {"MINIAPP_LEASE_SECONDS": str(LEASE_SECONDS), "MINIAPP_FAILPOINTS": failpoints}
        env |= {"MINIAPP_FAILPOINTS_SEED": str(seed), "MINIAPP_LOG_LEVEL": "WARNING"}
        if self.plant:
            guards = str(Path(people.__file__).parent / "guards")
            env |= {"PYTHONPATH": f"{PLANTS}:{guards}", "PLANT": self.plant}
        program = self.installation.serve("--with-worker", env=env)
        eventually(self.inner_pid)  # its port is open before that
        return program

    def kill(self) -> None:
        """A power cut: every process of the program at once."""
        if self.installation.program is not None:
            self.installation.program.kill()

    def restart(self) -> None:
        """Kill all of it and start it again, without fail points."""
        self.kill()
        self.start()

    def inner_pid(self) -> int:
        """The process that serves and works (its parent starts another one when it dies); 0 while there is none."""
        program = self.installation.program
        if program is None or program.exit_status is not None:
            return 0
        with suppress(OSError, IndexError):
            return int(Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text("ascii").split()[0])
        return 0

    def kill_inner(self) -> None:
        """Kill the working process alone, by its id."""
        pid = self.inner_pid()
        if pid:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def wait_until_up(self, *, seconds: float = 60) -> None:
        """Return once the program answers again; start it where all of it is dead."""
        until = time.monotonic() + seconds
        while True:
            program = self.installation.program
            if program is None or program.exit_status is not None:
                self.start()
            with suppress(OSError, http.client.HTTPException):
                if self._http("GET", "/healthz", {}, b"", seconds=5)[0] > 0:
                    return
            if time.monotonic() > until:
                raise AssertionError("the program does not come up again")
            time.sleep(0.1)

    # -- time

    def forward(self, seconds: float) -> None:
        """Both clocks go on by so much."""
        self.offset += seconds
        self.installation.move_clock(seconds=self.offset)

    def settle(self, steps: tuple[float, ...] = ()) -> None:
        """Let hours pass in growing steps, each until nothing is due any more."""
        for step in steps or (5, 10, 20, 30, 60, 60, 120, 300, 600, 900, 1800, 3600):
            self.forward(step)
            self.wait_until_quiet()

    def wait_until_quiet(self, *, seconds: float = QUIET_SECONDS) -> None:
        """Return once nothing is due and nothing under way (or it takes too long: the judge will say so)."""
        until, calm = time.monotonic() + seconds, 0
        while calm < 2 and time.monotonic() < until:
            calm = 0 if self._is_busy() else calm + 1
            time.sleep(0.15)

    def _is_busy(self) -> bool:
        with db.reading() as session:
            due = session.scalar(
                select(func.count())
                .select_from(Work)
                .where(((Work.state == "ready") & (Work.due_at <= clock.now())) | (Work.state == "leased"))
            )
            news = session.scalar(select(func.count()).select_from(Event).where(Event.is_fanned.is_(False)))
        return bool(due or news)

    # -- the till

    def till(self, method: str, path: str, body: Any = None, *, seconds: float = 15) -> tuple[int, Any]:
        """One signed call to ``/terminal/v1/``: (status, answer); status 0: no answer came."""
        raw = b"" if body is None else json.dumps(body).encode()
        target = f"/terminal/v1/{path}"
        ts, nonce = str(int(time.time())), secrets.token_hex(16)
        sig = sign(KEY, method, target, "", ts, nonce, raw)
        headers = {
            "Authorization": f'MINI-HMAC-SHA256 key="k1",ts="{ts}",nonce="{nonce}",sig="{sig}"',
            "Content-Type": "application/json",
        }
        try:
            status, content = self._http(method, target, headers, raw, seconds=seconds)
            return status, json.loads(content)
        except (OSError, http.client.HTTPException, ValueError):
            return 0, None

    def payment_code(self, person: str, platform: str, plan: dict[str, Any]) -> str:
        """A fresh payment code on somebody's phone."""
        body = {"person": person, "platform": platform, "plan": plan}
        return str(self.world.call("POST", "payment_code", body)["code"])

    def _http(
        self, method: str, target: str, headers: dict[str, str], body: bytes, *, seconds: float
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.installation.port, timeout=seconds)
        try:
            connection.request(method, target, body or None, headers)
            reply = connection.getresponse()
            return reply.status, reply.read()
        finally:
            connection.close()

    # -- the chat

    def says(self, name: str, text: str) -> str:
        """A person writes to the official account, encrypted and with the platform's retries; answers the reply."""
        told = self.world.call("POST", "wechat/main/say", {"person": name, "text": text})
        self.last_told = told
        return json.dumps(told["reply"], ensure_ascii=False) if told["reply"] else ""

    def ask_by_chat(self, name: str, choice: int = 1) -> str:
        """发票, a number, 确认."""
        if "1" not in self.says(name, "发票"):
            return ""
        if "确认" not in self.says(name, str(choice)):
            return ""
        return self.says(name, "确认")

    def ask(
        self, name: str, number: str, *, amount_fen: int, ways: tuple[str, ...] = ("chat", "page")
    ) -> str:
        """By the verb, as a page does it."""
        with db.reading() as session:
            purchase = session.scalar(
                select(TerminalTransaction.public_id).where(
                    TerminalTransaction.out_trade_no == number, TerminalTransaction.kind == "sale"
                )
            )
        form = requesting.Ask((str(purchase),), self.titles[name], amount_fen, secrets.token_hex(8), ways)
        return requesting.ask(self.customers[name], WECHAT_APP, form)

    def on_duty(self, name: str) -> None:
        """Bind the chat account of a staff member by a one-time code and go on duty."""
        admin = stores.person(self.staff["管理员"])
        assert admin is not None
        reply = self.says(name, f"绑定 {stores.binding_code(self.staff[name], by=admin)}")
        assert "已绑定" in reply, self.last_told
        reply = self.says(name, "上班")
        assert "当班" in reply, self.last_told

    # -- the other side

    def fault(self, door: str, kind: str, *, times: int | None = 1) -> None:
        """Something goes wrong at a door."""
        self.world.call("POST", "faults", {"door": door, "kind": kind, "times": times})

    def heal(self) -> None:
        """Nothing goes wrong any more."""
        self.world.call("DELETE", "faults")

    def ledger(self) -> dict[str, Any]:
        """The other side's own truth."""
        found: dict[str, Any] = self.world.call("GET", "ledger")
        return found


def open_shop(installation: Installation, *, plant: str = "") -> LiveShop:
    """Sandbox, set-up, and this process beside the program; the program itself is not started yet."""
    app, alipay, merchant, platform = (keys.key_pair() for _ in range(4))
    certificate, serial = keys.merchant_certificate(merchant, MERCHANT)
    config = people.cast(app, alipay, platform, certificate, serial)
    config["official_accounts"][0]["callback_url"] = f"{installation.base}/wechat/main/callback"
    config["printers"] = [{"code": "p1", "name": "门店打印机"}]
    base = installation.sandbox(config)
    world = World(base, app, alipay, merchant, platform, serial, certificate)
    printer = f'[[printer]]\ncode = "p1"\nstore = "s1"\nkind = "ipp"\nuri = "{base.replace("http", "ipp", 1)}/ipp/print/p1"\n'
    installation.set_up(people.document(world, policy=POLICY) + printer)
    db.configure(installation.database.url)
    wiring.connect(
        Config(
            env="test",
            database_url=installation.database.url,
            data_dir=installation.folder / "data",
            public_base=installation.base,
            master_key=MASTER,
            clock_file=installation.clock_file,
        )
    )
    clock.set_clock(None)
    shop = LiveShop(installation, world, plant=plant)
    with db.reading() as session:
        shop.staff = dict(session.execute(select(Staff.name, Staff.id)).all())
        assert session.scalar(select(Printer.id)) is not None
    return shop


def open_doors(shop: LiveShop, *, failpoints: str = "", seed: int = 0) -> None:
    """Start the program; cashiers go on duty, each customer has a title."""
    shop.start()
    for name in ("收银员甲", "收银员乙"):
        shop.on_duty(name)
    for name in ("顾客甲", "顾客乙"):
        view = customers.recognise(platform="wechat", app_id=WECHAT_APP, open_id=PEOPLE[name])
        shop.customers[name] = view.id
        shop.titles[name] = titles.add(view.id, BUYER, is_default=True)
    if failpoints:
        shop.kill()
        shop.start(failpoints=failpoints, seed=seed)


def eventually(arrived: Callable[[], Any], *, seconds: float = 20) -> Any:
    """What ``arrived()`` answers once it is true, or at last."""
    until = time.monotonic() + seconds
    while True:
        found = arrived()
        if found or time.monotonic() > until:
            return found
        time.sleep(0.1)


def minutes_ago(minutes: float = 1) -> str:
    """A time for a report, RFC 3339."""
    return (clock.now() - timedelta(minutes=minutes)).isoformat(timespec="seconds")


def quoted(name: str) -> str:
    """A name inside an address."""
    return quote(name)
