"""The cast of whole-program tests: a retailer with its platforms and tax channel, played by the real sandbox.

Names by role: 顾客甲 and 顾客乙, 收银员甲 and 收银员乙, 店长甲, 财务甲 and 财务乙, 管理员.
"""

import secrets
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from miniapp import db, wiring
from miniapp.chat import dialogue
from miniapp.commands.organising import kind_fields
from miniapp.config import Config
from miniapp.core import clock as program_clock
from miniapp.core.models import Task
from miniapp.customers import service as customers
from miniapp.invoices import queries, requesting
from miniapp.invoices.models import AmountClaim, Invoice, InvoiceRequest
from miniapp.outbox.worker import Worker
from miniapp.payments import gateways, ledger, steps
from miniapp.payments.models import PurchaseBalance, TerminalTransaction
from miniapp.payments.reports import Line, Report
from miniapp.platforms.breaker import Breaker
from miniapp.stores import registering, setup
from miniapp.stores import service as stores
from miniapp.stores.models import MerchantAccount, Staff, Terminal
from miniapp.titles import service as titles
from tests.clocks import Clock
from tests.databases import Database
from tests.world import ALIPAY_APP as ALIPAY_APP
from tests.world import BUYER as BUYER
from tests.world import MASTER as MASTER
from tests.world import MERCHANT as MERCHANT
from tests.world import PASSWORD as PASSWORD
from tests.world import PEOPLE as PEOPLE
from tests.world import PID as PID
from tests.world import SELLER as SELLER
from tests.world import STAFF as STAFF
from tests.world import TEMPLATE as TEMPLATE
from tests.world import WECHAT_APP as WECHAT_APP
from tests.world import World as World
from tests.world import cast as cast
from tests.world import document as document
from tests.world import world as world


@dataclass
class Retailer:
    """The retailer's installation inside this process, with its platforms outside."""

    world: World
    clock: Clock
    config: Config
    terminals: dict[str, int]
    staff: dict[str, int]
    bound: set[str] = field(default_factory=set)

    def work(self, *, seconds: float = 0) -> None:
        """Let time pass, then do everything that is due."""
        if seconds:
            self.clock.forward(seconds=seconds)
        self.sync()
        Worker(wiring.jobs(self.config), wiring.AFTER).drain()

    def settle(self, *, rounds: int = 12, step: float = 5) -> None:
        """Work through a while of time, so that what is asked again is answered."""
        for _ in range(rounds):
            self.work(seconds=step)

    def sync(self) -> None:
        """The platforms' clock shows the program's time."""
        self.world.call("POST", "clock", {"to": self.clock.moment.isoformat()})

    def fault(self, door: str, kind: str, *, times: int | None = 1, **match: Any) -> None:
        """Something goes wrong at a door of the other side."""
        body: dict[str, Any] = {"door": door, "kind": kind, "times": times}
        self.world.call("POST", "faults", {**body, **({"match": match} if match else {})})

    def heal(self) -> None:
        """Nothing goes wrong any more."""
        self.world.call("DELETE", "faults")
        Breaker.forget_all()

    def ledger(self) -> dict[str, Any]:
        """The other side's own truth."""
        found: dict[str, Any] = self.world.call("GET", "ledger")
        return found

    def issued_outside(self) -> list[dict[str, Any]]:
        """What the tax channel has issued, by its own count."""
        return [row for row in self.ledger()["issues"] if row["invoice_no"]]

    def customer(self, name: str = "顾客甲") -> int:
        """The customer behind a chat identity."""
        view = customers.recognise(platform="wechat", app_id=WECHAT_APP, open_id=PEOPLE[name])
        return view.id

    def title(self, customer: int, **fields: Any) -> str:
        """A title in the customer's book."""
        return titles.add(customer, {**BUYER, **fields})

    def sale(
        self,
        amount_fen: int = 8800,
        *,
        payer: str | None = "顾客甲",
        at_platform: bool = True,
        terminal: str = "T01",
        lines: list[Line] | None = None,
        **more: Any,
    ) -> str:
        """A sale that the terminal reports (and that WeChat knows, unless told otherwise); answers its number."""
        number = more.pop("number", None) or f"S{secrets.token_hex(8).upper()}"
        if at_platform:
            self._pay_outside(number, amount_fen, payer or "顾客乙")
        report = Report(
            kind="sale",
            platform="wechat",
            out_trade_no=number,
            amount_fen=amount_fen,
            occurred_at=self.clock.moment - timedelta(minutes=1),
            lines=tuple(lines or ()),
            **({"payer_app_id": WECHAT_APP, "payer_open_id": PEOPLE[payer]} if payer else {}),
            **more,
        )
        (result,) = ledger.record_report(self.terminals[terminal], [report])
        assert result.result == "recorded", result
        return number

    def refund(self, number: str, amount_fen: int, *, refund_no: str | None = None) -> None:
        """The terminal reports a refund of a sale."""
        report = Report(
            kind="refund",
            platform="wechat",
            out_trade_no=number,
            out_refund_no=refund_no or f"R{secrets.token_hex(6).upper()}",
            amount_fen=amount_fen,
            occurred_at=self.clock.moment,
        )
        (result,) = ledger.record_report(self.terminals["T01"], [report])
        assert result.result == "recorded", result

    def public_id(self, number: str) -> str:
        with db.reading() as session:
            return session.scalars(
                select(TerminalTransaction.public_id).where(
                    TerminalTransaction.out_trade_no == number, TerminalTransaction.kind == "sale"
                )
            ).one()

    def balance(self, number: str) -> tuple[int, int, int]:
        """(limit, claimed, excess) of a sale in fen."""
        with db.reading() as session:
            row = session.scalars(
                select(PurchaseBalance)
                .join(TerminalTransaction, TerminalTransaction.id == PurchaseBalance.transaction_id)
                .where(TerminalTransaction.out_trade_no == number)
            ).one()
            return row.limit_fen, row.claimed_fen, row.excess_fen

    def ask(
        self,
        *numbers: str,
        customer: int | None = None,
        expected_fen: int | None = None,
        form_key: str = "",
        **more: Any,
    ) -> str:
        """The customer asks for an invoice; answers the request's public id."""
        customer = customer or self.customer()
        purchases = tuple(self.public_id(number) for number in numbers)
        if expected_fen is None:
            rows = {row.public_id: row.left_fen for row in queries.purchases(customer)}
            expected_fen = sum(rows.get(one, 0) for one in purchases)
        form = requesting.Ask(
            purchases=purchases,
            title=more.pop("title", None) or self.title(customer),
            expected_fen=expected_fen,
            form_key=form_key or secrets.token_hex(8),
            ways=more.pop("ways", ("chat", "page")),
        )
        return requesting.ask(customer, WECHAT_APP, form)

    def state(self, request: str) -> str:
        return queries.request(request).row.state

    def view(self, request: str) -> queries.RequestView:
        return queries.request(request)

    def says(self, name: str, text: str, *, key: str = "") -> str:
        """A person says something in WeChat's chat; answers the reply."""
        return dialogue.answer(
            account="main",
            platform="wechat",
            app_id=WECHAT_APP,
            open_id=PEOPLE[name],
            text=text,
            key=key or secrets.token_hex(8),
            public_base=self.config.public_base,
        )

    def on_duty(self, name: str, store: str | None = None) -> None:
        """A staff member binds the chat account (once) and goes on duty."""
        if name not in self.bound:
            admin = stores.person(self.staff["管理员"])
            assert admin is not None
            code = stores.binding_code(self.staff[name], by=admin)
            assert "已绑定" in self.says(name, f"绑定 {code}")
            self.bound.add(name)
        assert "当班" in self.says(name, f"上班 {store or ''}")

    def messages(self, name: str) -> list[dict[str, Any]]:
        """What has reached a person's phone."""
        found: list[dict[str, Any]] = self.world.call(
            "GET", f"messages?account=main&direction=out&person={urllib.request.quote(name)}"
        )
        return found

    def tasks(self, kind: str | None = None) -> list[Task]:
        with db.reading() as session:
            query = select(Task).where(Task.state == "open")
            return list(session.scalars(query.where(Task.kind == kind) if kind else query))

    def invoices(self) -> list[Invoice]:
        with db.reading() as session:
            return list(session.scalars(select(Invoice).order_by(Invoice.id)))

    def live_requests(self, number: str) -> int:
        """How many requests hold a live claim on a sale."""
        with db.reading() as session:
            return session.scalars(
                select(func.count())
                .select_from(AmountClaim)
                .join(InvoiceRequest, InvoiceRequest.id == AmountClaim.request_id)
                .join(TerminalTransaction, TerminalTransaction.id == AmountClaim.transaction_id)
                .where(TerminalTransaction.out_trade_no == number, AmountClaim.is_live)
            ).one()

    def _pay_outside(self, number: str, amount_fen: int, person: str) -> None:
        """The platform takes the money as it does at a real till: by a payment code."""
        code = self.world.call(
            "POST", "payment_code", {"person": person, "platform": "wechat", "plan": {"outcome": "paid"}}
        )
        with db.reading() as session:
            account = session.scalars(select(MerchantAccount.id).where(MerchantAccount.code == "wx")).one()
        gateway = gateways.of(steps.settings_of(account))
        answer = gateway.charge(gateways.ChargeOrder(number, amount_fen, "test"), code["code"])
        assert isinstance(answer, gateways.Paid), answer


Opened = Callable[..., Retailer]


@pytest.fixture
def open_retailer(database: Database, clock: Clock, world: World, tmp_path: Path) -> Iterator[Opened]:
    """Sets the retailer up; ``policy`` and ``channel`` choose its manner."""
    world.call("DELETE", "faults")
    Breaker.forget_all()
    config = Config(
        env="test",
        database_url=database.url,
        data_dir=tmp_path / "data",
        public_base="http://127.0.0.1:8000",
        master_key=MASTER,
    )

    def opened(**manner: str) -> Retailer:
        wiring.connect(config)
        program_clock.set_clock(clock)
        setup.apply(setup.read(document(world, **manner), kinds=kind_fields()), registering.write)
        with db.reading() as session:
            terminals = dict(session.execute(select(Terminal.code, Terminal.id)).all())
            people = dict(session.execute(select(Staff.name, Staff.id)).all())
        retailer = Retailer(world, clock, config, terminals, people)
        retailer.sync()
        return retailer

    yield opened
    world.call("DELETE", "faults")


@pytest.fixture
def retailer(open_retailer: Opened) -> Retailer:
    """A store that asks no cashier and takes an order query's word, issuing through Nuonuo."""
    return open_retailer()


@pytest.fixture
def asking_retailer(open_retailer: Opened) -> Retailer:
    """A store that has every request confirmed by a cashier."""
    return open_retailer(policy='{ confirm = "always" }')
