"""The cast of the tests as an installation on a durable database: set up, with customers who have bought something."""

import hashlib
import hmac
import json
import secrets
import time
import urllib.request
from datetime import timedelta
from pathlib import Path

from sqlalchemy import select

from miniapp import db, wiring
from miniapp.commands.organising import kind_fields
from miniapp.config import Config
from miniapp.core import stamp
from miniapp.core.clock import now
from miniapp.customers import service as customers
from miniapp.migrations import running
from miniapp.payments import ledger
from miniapp.payments.reports import Report
from miniapp.sandbox import keys
from miniapp.stores import registering, setup
from miniapp.stores.models import Terminal
from tests import people
from tests.processes import Process, Processes

TERMINAL_KEY = "0123456789abcdef0123456789abcdef"


def sandbox(processes: Processes, folder: Path) -> people.World:
    """Start the other side of every wire, with the cast."""
    app, alipay, merchant, platform = (keys.key_pair() for _ in range(4))
    certificate, serial = keys.merchant_certificate(merchant, people.MERCHANT)
    cast = people.cast(app, alipay, platform, certificate, serial)
    (folder / "sandbox.json").write_text(json.dumps(cast), "utf-8")
    process = processes.start(
        "sandbox",
        *("python", "-m", "miniapp.sandbox.run", "--port", "0", "--data", str(folder / "sandbox")),
        *("--config", str(folder / "sandbox.json")),
        env={"PYTHONPATH": ""},
    )
    process.wait_for_text("sandbox ready on ")
    base = process.said.split("sandbox ready on ")[1].split()[0]
    return people.World(base, app, alipay, merchant, platform, serial, certificate)


def config(url: str, folder: Path, *, port: int = 8000) -> Config:
    """The settings of the installation."""
    return Config(
        env="test",
        database_url=url,
        data_dir=folder / "data",
        public_base=f"http://127.0.0.1:{port}",
        port=port,
        master_key=people.MASTER,
    )


def open_here(settings: Config, world: people.World, *, channel: str = "nn") -> int:
    """Migrate, set up and open in this process; answers the id of terminal T01."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    db.configure(settings.database_url)
    running.upgrade(db.engine())
    wiring.connect(settings)
    stamp.check(settings.env, settings.instance)
    text = people.document(world, channel=channel)
    setup.apply(setup.read(text, kinds=kind_fields()), registering.write)
    with db.reading() as session:
        return session.scalars(select(Terminal.id).where(Terminal.code == "T01")).one()


def sell(terminal: int, open_ids: list[str], *, each: int) -> None:
    """Every customer is known and has bought so many times under the own identity."""
    for open_id in open_ids:
        customers.recognise(platform="wechat", app_id=people.WECHAT_APP, open_id=open_id)
    rows = [sale(open_id, 8800 + 100 * at) for open_id in open_ids for at in range(each)]
    results = ledger.record_report(terminal, rows)
    if any(one.result != "recorded" for one in results):
        raise SystemExit(f"a sale was not recorded: {results[0]}")


def sale(open_id: str, amount_fen: int, *, number: str = "") -> Report:
    """One sale as the terminal reports it."""
    return Report(
        kind="sale",
        platform="wechat",
        out_trade_no=number or f"S{secrets.token_hex(8).upper()}",
        amount_fen=amount_fen,
        occurred_at=now() - timedelta(minutes=5),
        payer_app_id=people.WECHAT_APP,
        payer_open_id=open_id,
    )


def serve(processes: Processes, settings: Config) -> Process:
    """``miniapp serve``: one process, eight threads, the worker inside."""
    return processes.start(
        "program",
        *("miniapp", "serve", "--with-worker"),
        env={
            "PYTHONPATH": "",
            "MINIAPP_DATABASE_URL": settings.database_url,
            "MINIAPP_DATA_DIR": str(settings.data_dir),
            "MINIAPP_PUBLIC_BASE": settings.public_base,
            "MINIAPP_PORT": str(settings.port),
            "MINIAPP_MASTER_KEY": people.MASTER,
            "MINIAPP_LOG_LEVEL": "WARNING",
        },
        port=settings.port,
    )


def open_charge(settings: Config, world: people.World) -> str:
    """A charge at the till whose customer never types the password; answers its state (``paying``)."""
    code = world.call(
        "POST",
        "payment_code",
        {"person": "顾客甲", "platform": "wechat", "plan": {"outcome": "userpaying"}},
    )
    number = f"S{secrets.token_hex(8).upper()}"
    asked = {"out_trade_no": number, "payment_code": code["code"], "amount_fen": 8800, "subject": "日用百货"}
    content = json.dumps(asked).encode()
    path, ts, nonce = "/terminal/v1/charges", str(int(time.time())), secrets.token_hex(16)
    signed = f"POST\n{path}\n\n{ts}\n{nonce}\n{hashlib.sha256(content).hexdigest()}\n"
    sig = hmac.new(TERMINAL_KEY.encode(), signed.encode(), hashlib.sha256).hexdigest()
    request = urllib.request.Request(
        f"{settings.public_base}{path}",
        data=content,
        headers={
            "Authorization": f'MINI-HMAC-SHA256 key="k1",ts="{ts}",nonce="{nonce}",sig="{sig}"',
            "Content-Type": "application/json",
        },
    )
    with urllib.request.urlopen(request, timeout=30) as reply:
        return str(json.loads(reply.read())["state"])
