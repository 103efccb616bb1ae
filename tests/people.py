"""The cast of whole-program tests: a retailer with its platforms and tax channel, played by the real sandbox.

Names by role: 顾客甲 and 顾客乙, 收银员甲 and 收银员乙, 店长甲, 财务甲 and 财务乙, 管理员.
"""

import json
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
from miniapp.config import Config
from miniapp.core import clock as program_clock
from miniapp.core.models import Task
from miniapp.customers import service as customers
from miniapp.invoices import queries, requesting
from miniapp.invoices.models import AmountClaim, Invoice, InvoiceRequest
from miniapp.outbox.worker import Worker
from miniapp.payments import ledger
from miniapp.payments.models import PurchaseBalance, TerminalTransaction
from miniapp.payments.reports import Line, Report
from miniapp.platforms.breaker import Breaker
from miniapp.sandbox import keys
from miniapp.stores import registering, setup
from miniapp.stores import service as stores
from miniapp.stores.models import Staff, Terminal
from miniapp.titles import service as titles
from tests.clocks import Clock
from tests.databases import Database
from tests.processes import Processes

MASTER = "5a" * 32
WECHAT_APP, ALIPAY_APP = "wx8888888888888888", "2021000000000001"
MERCHANT, PID = "1900000109", "2088000000000001"
SELLER = "91440300708461136T"
BUYER = {"type": "company", "name": "北京示例科技有限公司", "taxpayer_no": "9144030071526726XG"}
PEOPLE = {
    "顾客甲": "oCustomerA",
    "顾客乙": "oCustomerB",
    "收银员甲": "oCashierA",
    "收银员乙": "oCashierB",
    "店长甲": "oManagerA",
}
STAFF = {
    "收银员甲": ("cashier_a", "cashier", "store:s1"),
    "收银员乙": ("cashier_b", "cashier", "store:s1"),
    "收银员丙": ("cashier_c", "cashier", "store:s2"),
    "店长甲": ("manager_a", "manager", "store:s1"),
    "财务甲": ("finance_a", "finance", "*"),
    "财务乙": ("finance_b", "finance", "*"),
    "管理员": ("admin", "administrator", "*"),
}
PASSWORD = "a-long-password-for-tests"
TEMPLATE = "{{thing1.DATA}} {{amount2.DATA}} {{thing3.DATA}} {{character_string4.DATA}} {{time5.DATA}}"


@dataclass(frozen=True)
class World:
    """A running sandbox and the keys it was given."""

    base: str
    app: keys.KeyPair
    alipay: keys.KeyPair
    merchant: keys.KeyPair
    platform: keys.KeyPair
    serial: str
    certificate: str

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One word to the director of the sandbox."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.base}/control/{path}",
            data=data,
            method=method,
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as reply:
            return json.loads(reply.read() or b"null")


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
        from miniapp.payments import gateways, steps

        code = self.world.call(
            "POST", "payment_code", {"person": person, "platform": "wechat", "plan": {"outcome": "paid"}}
        )
        with db.reading() as session:
            from miniapp.stores.models import MerchantAccount

            account = session.scalars(select(MerchantAccount.id).where(MerchantAccount.code == "wx")).one()
        gateway = gateways.of(steps.settings_of(account))
        answer = gateway.charge(gateways.ChargeOrder(number, amount_fen, "test"), code["code"])
        assert isinstance(answer, gateways.Paid), answer


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The sandbox as a process, with WeChat, WeChat Pay, Alipay and Nuonuo, for the whole session."""
    folder = tmp_path_factory.mktemp("world")
    app, alipay, merchant, platform = (keys.key_pair() for _ in range(4))
    certificate, serial = keys.merchant_certificate(merchant, MERCHANT)
    (folder / "config.json").write_text(json.dumps(cast(app, alipay, platform, certificate, serial)), "utf-8")
    processes = Processes(folder)
    process = processes.start(
        "sandbox",
        *("python", "-m", "miniapp.sandbox.run", "--port", "0", "--data", str(folder / "data")),
        *("--config", str(folder / "config.json")),
    )
    process.wait_for_text("sandbox ready on ")
    base = process.said.split("sandbox ready on ")[1].split()[0]
    yield World(base, app, alipay, merchant, platform, serial, certificate)
    processes.stop_all()


def cast(
    app: keys.KeyPair, alipay: keys.KeyPair, platform: keys.KeyPair, certificate: str, serial: str
) -> dict[str, Any]:
    """What the sandbox is told about the retailer and the people."""
    return {
        "official_accounts": [
            {
                "code": "main",
                "app_id": WECHAT_APP,
                "secret": "s3cret",
                "original_id": "gh_shop",
                "token": "stationtoken",
                "aes_key": "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG",
                "templates": {"CONFIRM": TEMPLATE, "RESULT": TEMPLATE},
                "name": "示例商贸",
            }
        ],
        "wechat_merchants": [
            {
                "mch_id": MERCHANT,
                "app_ids": [WECHAT_APP],
                "api_v2_key": "192006250b4c09247ec02edce69f6a2d",
                "api_v3_key": "0123456789abcdef0123456789abcdef",
                "cert_serial": serial,
                "merchant_certificate": certificate,
                "platform_private_key": platform.private,
                "platform_key_id": "PUB_KEY_ID_0119000001092024",
                "password_above_fen": 10_000_000,
            }
        ],
        "alipay_apps": [
            {
                "app_id": ALIPAY_APP,
                "code": "zfb",
                "app_public_key": app.public,
                "alipay_private_key": alipay.private,
                "pid": PID,
            }
        ],
        "nuonuo": [
            {
                "app_key": "SD00000001",
                "app_secret": "SECRET",
                "taxpayer_no": SELLER,
                "seller_name": "上海示例商贸有限公司",
                "province": "31",
                "deduplicate": False,
            }
        ],
        "people": [
            {
                "code": name,
                "name": name,
                "wechat": {WECHAT_APP: open_id},
                "follows": ["main"],
                "alipay": {"user_id": f"20881000000000{at:02}"},
            }
            for at, (name, open_id) in enumerate(PEOPLE.items(), 1)
        ],
    }


def document(world: World, *, policy: str = '{ confirm = "never" }', channel: str = "nn") -> str:
    """The retailer as ``miniapp setup`` reads it."""
    staff = "\n".join(
        f'[[staff]]\ncode = "{code}"\nname = "{name}"\nlogin = "{code}"\npassword = "{PASSWORD}"\n'
        f'roles = [{{ role = "{role}", scope = "{scope}" }}]'
        for name, (code, role, scope) in STAFF.items()
    )
    return f"""
[[company]]
code = "c1"
name = "上海示例商贸有限公司"
taxpayer_no = "{SELLER}"
channel = "{channel}"
[[channel]]
code = "nn"
kind = "nuonuo"
company = "c1"
app_key = "SD00000001"
app_secret = "SECRET"
token_base = "{world.base}/nuonuo"
api_base = "{world.base}/nuonuo"
taxpayer_no = "{SELLER}"
clerk = "开票员甲"
[[channel]]
code = "yp"
kind = "specimen"
company = "c1"
[[store]]
code = "s1"
name = "南京路店"
company = "c1"
phone = "021-55550001"
policy = {policy}
default_line = {{ name = "日用百货", tax_category_code = "1060512990000000000", tax_rate = "0.13", unit = "件" }}
[[store]]
code = "s2"
name = "徐家汇店"
company = "c1"
policy = {policy}
default_line = {{ name = "日用百货", tax_category_code = "1060512990000000000", tax_rate = "0.13", unit = "件" }}
[[merchant_account]]
code = "wx"
company = "c1"
platform = "wechat"
merchant_no = "{MERCHANT}"
app_id = "{WECHAT_APP}"
api_base = "{world.base}/wechat-pay"
api_v2_key = "192006250b4c09247ec02edce69f6a2d"
api_v3_key = "0123456789abcdef0123456789abcdef"
cert_serial = "{world.serial}"
merchant_key = '''{world.merchant.private}'''
merchant_cert = '''{world.certificate}'''
platform_key = '''{world.platform.public}'''
platform_key_id = "PUB_KEY_ID_0119000001092024"
[[merchant_account]]
code = "zfb"
company = "c1"
platform = "alipay"
merchant_no = "{PID}"
app_id = "{ALIPAY_APP}"
api_base = "{world.base}/alipay"
app_key = '''{world.app.private}'''
platform_key = '''{world.alipay.public}'''
[[account]]
code = "main"
kind = "wechat"
app_id = "{WECHAT_APP}"
name = "示例商贸"
original_id = "gh_shop"
secret = "s3cret"
token = "stationtoken"
aes_key = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
api_base = "{world.base}/wechat-api"
oauth_base = "{world.base}/wechat-open"
template_confirm = "CONFIRM"
template_result = "RESULT"
[[account]]
code = "life"
kind = "alipay"
app_id = "{ALIPAY_APP}"
name = "示例商贸生活号"
app_key = '''{world.app.private}'''
platform_key = '''{world.alipay.public}'''
gateway_base = "{world.base}/alipay"
oauth_base = "{world.base}/alipay-oauth"
[[terminal]]
code = "T01"
store = "s1"
key_id = "k1"
key = "0123456789abcdef0123456789abcdef"
merchant_accounts = {{ wechat = "wx", alipay = "zfb" }}
[[terminal]]
code = "T02"
store = "s2"
key_id = "k2"
key = "fedcba9876543210fedcba9876543210"
merchant_accounts = {{ wechat = "wx", alipay = "zfb" }}
{staff}
"""


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
        from miniapp.commands.organising import kind_fields

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
