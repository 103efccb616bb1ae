"""One retailer for the tests of payments: two stores, two tills, a WeChat and an Alipay account."""

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from miniapp import db
from miniapp.core import clock, files, vault
from miniapp.customers.models import Customer, Identity
from miniapp.payments import balances, entries, ledger
from miniapp.payments.models import PurchaseBalance, SlipCode, TerminalTransaction
from miniapp.payments.reports import Report, Result
from miniapp.stores import registering, setup
from miniapp.stores.models import Terminal

MASTER = bytes.fromhex("5a" * 32)
KEY = "0123456789abcdef0123456789abcdef"
WECHAT_APP, ALIPAY_APP = "wx8888888888888888", "2021000000000001"
DOCUMENT = """
[[company]]
code = "c1"
name = "上海示例商贸有限公司"
taxpayer_no = "91310000MA1K35J80Q"
[[store]]
code = "s1"
name = "南京路店"
company = "c1"
policy = {{ confirm = "never", platform_discount = "{platform_discount}" }}
[[store]]
code = "s2"
name = "徐家汇店"
company = "c1"
[[merchant_account]]
code = "wx"
company = "c1"
platform = "wechat"
merchant_no = "1900000109"
app_id = "wx8888888888888888"
api_base = "{base}/wechat-pay"
api_v2_key = "192006250b4c09247ec02edce69f6a2d"
[[merchant_account]]
code = "zfb"
company = "c1"
platform = "alipay"
merchant_no = "2088000000000001"
app_id = "2021000000000001"
api_base = "{base}/alipay"
app_key = '''{app_key}'''
platform_key = '''{platform_key}'''
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
merchant_accounts = {{ wechat = "wx" }}
"""


@dataclass
class Claims:
    """Who holds claims, for tests: ``held`` (sale → amounts that can still be given back), ``told`` (excesses)."""

    held: dict[int, list[int]] = field(default_factory=dict)
    told: list[tuple[int, int, str]] = field(default_factory=list)

    def shrink(self, session: Session, sale_id: int, *, over_fen: int, cause: str) -> None:
        held = self.held.get(sale_id, [])
        while held and over_fen > 0:
            amount = held.pop()
            balances.release(session, sale_id, amount)
            over_fen -= amount

    def exceeded(self, session: Session, sale_id: int, *, excess_fen: int, cause: str) -> None:
        self.told.append((sale_id, excess_fen, cause))


@dataclass
class Shop:
    """The retailer's ids and what tests ask of it."""

    terminal_id: int
    other_terminal_id: int
    claims: Claims

    def report(self, *rows: Report, terminal_id: int | None = None) -> list[Result]:
        return ledger.record_report(terminal_id or self.terminal_id, list(rows))

    def sale(self, number: str, amount_fen: int = 8800, **more: Any) -> int:
        """A reported sale; answers its id."""
        (result,) = self.report(sale(number, amount_fen, **more))
        assert result.result == "recorded", result
        assert result.transaction_id is not None
        return result.transaction_id

    def balance(self, sale_id: int) -> tuple[int, int, int]:
        """(limit, claimed, excess) in fen."""
        with db.reading() as session:
            row = session.get_one(PurchaseBalance, sale_id)
            return row.limit_fen, row.claimed_fen, row.excess_fen

    def claim_code(self, sale_id: int) -> str:
        with db.reading() as session:
            return session.scalars(select(SlipCode.code).where(SlipCode.transaction_id == sale_id)).one()

    def rows(self, kind: str | None = None) -> list[TerminalTransaction]:
        with db.reading() as session:
            query = select(TerminalTransaction).order_by(TerminalTransaction.id)
            return list(session.scalars(query.where(TerminalTransaction.kind == kind) if kind else query))

    def customer(self, open_id: str, app_id: str = WECHAT_APP) -> int:
        with db.transaction() as session:
            person = Customer(platform="wechat", since=clock.now())
            session.add(person)
            session.flush()
            session.add(Identity(customer_id=person.id, app_id=app_id, open_id=open_id))
            return person.id


def sale(number: str = "", amount_fen: int = 8800, **more: Any) -> Report:
    """A reported sale of a minute ago."""
    values = {"platform": "wechat", "occurred_at": clock.now() - timedelta(minutes=1), **more}
    return Report(kind="sale", out_trade_no=number, amount_fen=amount_fen, **values)


def refund(number: str, refund_no: str, amount_fen: int, **more: Any) -> Report:
    """A reported refund of a sale."""
    values = {"platform": "wechat", "occurred_at": clock.now(), **more}
    return Report(
        kind="refund", out_trade_no=number, out_refund_no=refund_no, amount_fen=amount_fen, **values
    )


def revocation(number: str, amount_fen: int, **more: Any) -> Report:
    """A reported revocation of a sale."""
    values = {"platform": "wechat", "occurred_at": clock.now(), **more}
    return Report(kind="revocation", out_trade_no=number, amount_fen=amount_fen, **values)


def open_shop(
    folder: Path,
    *,
    base: str = "http://127.0.0.1:9",
    app_key: str = "",
    platform_key: str = "",
    platform_discount: str = "exclude",
) -> Shop:
    """Set the retailer up in the database that is open now."""
    vault.use_master(MASTER)
    files.use_folder(folder / "files")
    text = DOCUMENT.format(
        base=base, app_key=app_key, platform_key=platform_key, platform_discount=platform_discount
    )
    setup.apply(setup.read(text, kinds={}), registering.write)
    claims = Claims()
    balances.listen(claims)
    entries.listen(None)
    with db.reading() as session:
        ids = dict(session.execute(select(Terminal.code, Terminal.id)).all())
    return Shop(ids["T01"], ids["T02"], claims)
