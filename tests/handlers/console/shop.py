"""Two companies for the tests of the console: people of every role, sales, requests, invoices; nobody outside."""

import re
import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from miniapp import db, wiring
from miniapp.config import Config
from miniapp.core import clock as program_clock
from miniapp.customers import service as customers
from miniapp.invoices import queries, requesting
from miniapp.outbox.worker import Worker
from miniapp.payments import ledger
from miniapp.payments.models import TerminalTransaction, Vouch
from miniapp.payments.reports import Report
from miniapp.stores import registering, setup
from miniapp.stores.models import Staff, Terminal
from miniapp.titles import service as titles

APP = "wx8888888888888888"
PASSWORD = "a-long-password-for-tests"
BUYER = {"type": "company", "name": "北京示例科技有限公司", "taxpayer_no": "9144030071526726XG"}
STAFF = {
    "收银员甲": ("cashier_a", "cashier", "store:s1"),
    "收银员乙": ("cashier_b", "cashier", "store:s2"),
    "收银员丙": ("cashier_c", "cashier", "store:s9"),
    "店长甲": ("manager_a", "manager", "store:s1"),
    "财务甲": ("finance_a", "finance", "*"),
    "财务丙": ("finance_c", "finance", "company:c2"),
    "管理员": ("admin", "administrator", "*"),
}
LINE = '{ name = "日用百货", tax_category_code = "1060512990000000000", tax_rate = "0.13", unit = "件" }'
HEAD = f"""
[[company]]
code = "c1"
name = "上海示例商贸有限公司"
taxpayer_no = "91440300708461136T"
channel = "yp"
[[company]]
code = "c2"
name = "杭州示例百货有限公司"
taxpayer_no = "9144030071526726XG"
channel = "yp2"
[[channel]]
code = "yp"
kind = "specimen"
company = "c1"
[[channel]]
code = "yp2"
kind = "specimen"
company = "c2"
[[store]]
code = "s1"
name = "南京路店"
company = "c1"
policy = {{ confirm = "always" }}
default_line = {LINE}
[[store]]
code = "s2"
name = "徐家汇店"
company = "c1"
policy = {{ confirm = "always" }}
default_line = {LINE}
[[store]]
code = "s9"
name = "西湖店"
company = "c2"
policy = {{ confirm = "always" }}
default_line = {LINE}
[[account]]
code = "main"
kind = "wechat"
app_id = "{APP}"
name = "示例商贸"
original_id = "gh_shop"
secret = "s3cret"
token = "stationtoken"
aes_key = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
api_base = "http://127.0.0.1:9"
oauth_base = "http://127.0.0.1:9"
template_confirm = "CONFIRM"
template_result = "RESULT"
"""


def document() -> str:
    """Both companies as ``miniapp setup`` reads them."""
    parts = [HEAD]
    for company, account in (("c1", "wx"), ("c2", "wx2")):
        parts.append(
            f'[[merchant_account]]\ncode = "{account}"\ncompany = "{company}"\nplatform = "wechat"\n'
            f'merchant_no = "19000001{len(parts):02}"\napp_id = "{APP}"\napi_base = "http://127.0.0.1:9"\n'
            'api_v2_key = "192006250b4c09247ec02edce69f6a2d"'
        )
    for number, (store, account) in enumerate((("s1", "wx"), ("s2", "wx"), ("s9", "wx2")), 1):
        parts.append(
            f'[[terminal]]\ncode = "T0{number}"\nstore = "{store}"\nkey_id = "k{number}"\n'
            f'key = "0123456789abcdef0123456789abcde{number}"\nmerchant_accounts = {{ wechat = "{account}" }}\n'
            f'[[printer]]\ncode = "P{number}"\nstore = "{store}"\nkind = "ipp"\nuri = "ipp://127.0.0.1:9/print"'
        )
    for name, (code, role, scope) in STAFF.items():
        parts.append(
            f'[[staff]]\ncode = "{code}"\nname = "{name}"\nlogin = "{code}"\npassword = "{PASSWORD}"\n'
            f'roles = [{{ role = "{role}", scope = "{scope}" }}]'
        )
    return "\n".join(parts)


@dataclass
class Seat:
    """One person at a desk, with a browser of its own."""

    name: str
    client: FlaskClient

    def see(self, address: str, status: int = 200) -> str:
        """Open a page; answers its text."""
        reply = self.client.get(address)
        assert reply.status_code == status, (address, reply.status_code, reply.get_data(as_text=True)[:2000])
        return reply.get_data(as_text=True)

    def send(self, address: str, *, page: str = "/console/staff/", **fields: Any) -> TestResponse:
        """Send a form with the token of a page."""
        return self.client.post(address, data={"csrf_token": self.token(page), **fields})

    def token(self, page: str) -> str:
        """The form token that a page holds."""
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.client.get(page).get_data(as_text=True))
        assert found is not None, page
        return found[1]


@dataclass
class House:
    """The retailer in this process, and its web application."""

    config: Config
    app: Flask
    terminals: dict[str, int]
    staff: dict[str, int]
    seats: dict[str, Seat] = field(default_factory=dict)

    def seat(self, name: str) -> Seat:
        """The desk of a person who has signed in."""
        if name not in self.seats:
            seat = Seat(name, self.app.test_client())
            reply = seat.send(
                "/console/login/", page="/console/login/", login=STAFF[name][0], password=PASSWORD
            )
            assert reply.status_code == 303, reply.get_data(as_text=True)
            self.seats[name] = seat
        return self.seats[name]

    def stranger(self) -> Seat:
        """Somebody who has not signed in."""
        return Seat("", self.app.test_client())

    def work(self) -> None:
        """Everything that is due."""
        Worker(wiring.jobs(self.config), wiring.AFTER).drain()

    def sale(self, amount_fen: int = 8800, *, terminal: str = "T01", number: str = "", **more: Any) -> str:
        """A reported sale, paid by 顾客甲; answers its number."""
        number = number or f"S{secrets.token_hex(6).upper()}"
        report = Report(
            kind="sale",
            platform="wechat",
            out_trade_no=number,
            amount_fen=amount_fen,
            occurred_at=more.pop("occurred_at", program_clock.now() - timedelta(minutes=3)),
            payer_app_id=APP,
            payer_open_id="oCustomerA",
            **more,
        )
        (result,) = ledger.record_report(self.terminals[terminal], [report])
        assert result.result == "recorded", result
        return number

    def refund(self, number: str, amount_fen: int, *, terminal: str = "T01") -> None:
        """A reported refund of a sale."""
        report = Report(
            kind="refund",
            platform="wechat",
            out_trade_no=number,
            out_refund_no=f"R{secrets.token_hex(6).upper()}",
            amount_fen=amount_fen,
            occurred_at=program_clock.now(),
        )
        (result,) = ledger.record_report(self.terminals[terminal], [report])
        assert result.result == "recorded", result

    def ask(self, number: str, *, is_proved: bool = True, **title: Any) -> str:
        """顾客甲 asks for the invoice of a sale; answers the request's code. ``is_proved``: an order query vouched."""
        public_id, sale_id = self.ids(number)
        if is_proved:
            with db.transaction() as session:
                session.add(
                    Vouch(transaction_id=sale_id, at=program_clock.now(), is_good=True, answer="SUCCESS")
                )
        customer = customers.recognise(platform="wechat", app_id=APP, open_id="oCustomerA").id
        left = {row.public_id: row.left_fen for row in queries.purchases(customer)}
        form = requesting.Ask(
            purchases=(public_id,),
            title=titles.add(customer, {**BUYER, **title}),
            expected_fen=left[public_id],
            form_key=secrets.token_hex(8),
            ways=("chat", "page"),
        )
        return queries.request(requesting.ask(customer, APP, form)).row.code

    def ids(self, number: str) -> tuple[str, int]:
        """(public id, id) of a sale."""
        with db.reading() as session:
            row = session.execute(
                select(TerminalTransaction.public_id, TerminalTransaction.id).where(
                    TerminalTransaction.out_trade_no == number, TerminalTransaction.kind == "sale"
                )
            ).one()
            return row.public_id, row.id

    def go_on_duty(self, name: str) -> None:
        """A cashier goes on duty from the page."""
        assert self.seat(name).send("/console/staff/on-duty").status_code == 303

    def issue(self, number: str, cashier: str = "收银员甲") -> str:
        """From sale to invoice, confirmed on the console; answers the request's code."""
        code = self.ask(number)
        seat = self.seat(cashier)
        seat.send("/console/staff/on-duty")
        page = f"/console/requests/{code}"
        version = re.search(r'name="version" value="(\d+)"', seat.see(page))
        assert version is not None
        assert seat.send(f"{page}/approve", page=page, version=version[1]).status_code == 303
        self.work()
        return code


def open_house(config: Config) -> House:
    """Set both companies up in the database of these settings."""
    from miniapp.app import create_app
    from miniapp.commands.organising import kind_fields

    app = create_app(config)
    setup.apply(setup.read(document(), kinds=kind_fields()), registering.write)
    with db.reading() as session:
        terminals = dict(session.execute(select(Terminal.code, Terminal.id)).all())
        people = dict(session.execute(select(Staff.name, Staff.id)).all())
    return House(config, app, terminals, people)
