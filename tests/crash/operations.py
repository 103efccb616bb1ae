"""What people and tills do in a campaign, each act by chance; what they were told is remembered."""

import random
import secrets
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from miniapp import db
from miniapp.core.errors import Failure
from miniapp.invoices import queries
from miniapp.invoices.models import InvoiceRequest
from miniapp.payments import gateways, steps
from miniapp.payments.models import TerminalTransaction
from miniapp.stores.models import MerchantAccount
from miniapp.titles import service as titles
from tests.crash.shop import LiveShop, minutes_ago
from tests.people import BUYER, PEOPLE, WECHAT_APP

CUSTOMERS = ("顾客甲", "顾客乙")
CASHIERS = ("收银员甲", "收银员乙")
PLANS: tuple[dict[str, Any], ...] = (
    *({"outcome": "paid"},) * 8,
    {"outcome": "userpaying:2"},
    {"outcome": "userpaying"},
    {"outcome": "payerror"},
    {"outcome": "payerror:2"},
    {"outcome": "systemerror_but_paid"},
    {"outcome": "bankerror_but_paid"},
    {"outcome": "notenough"},
    {"outcome": "paid", "hidden_queries": 2},
)
FAULTS = ("commit_then_drop", "drop", "http_504_but_done", "cut_reply", "http_500", "delay:700", "garbage")
DOORS = {
    "wechat_pay.micropay": FAULTS,
    "wechat_pay.orderquery": FAULTS,
    "wechat_pay.reverse": (*FAULTS, "recall", "recall_but_done"),
    "wechat_pay.refund": (*FAULTS, "processing:2", "systemerror_but_done"),
    "wechat_pay.refundquery": FAULTS,
    "alipay*": FAULTS,
    "nuonuo.requestBillingNew": FAULTS,
    "nuonuo.queryInvoiceResult": (*FAULTS, "not_found", "without_files"),
    "nuonuo.accessToken": FAULTS,
    "nuonuo.file": ("drop", "http_404", "cut_reply", "http_500", "not_a_pdf"),
    "printer.p1": ("drop", "commit_then_drop", "cut_reply", "http_500", "http_504_but_done"),
    "wechat.template": ("commit_then_drop", "drop", "http_500", "cut_reply"),
    "wechat.custom": ("commit_then_drop", "drop", "http_500", "cut_reply"),
    "wechat_callback": ("commit_then_drop", "duplicate:1"),
}
KILL_DOORS = (
    "wechat_pay.micropay",
    "wechat_pay.orderquery",
    "wechat_pay.refund",
    "alipay*",
    "nuonuo.requestBillingNew",
    "nuonuo.queryInvoiceResult",
    "nuonuo.file",
    "printer.p1",
    "wechat.template",
    "wechat.custom",
)


@dataclass
class Players:
    """The people of a campaign. ``acts`` counts what they did, ``told`` what they were promised."""

    shop: LiveShop
    dice: random.Random
    acts: Counter[str] = field(default_factory=Counter)
    told: set[tuple[str, str]] = field(default_factory=set)
    sales: dict[str, tuple[str, str, int]] = field(default_factory=dict)
    outside: dict[str, dict[str, Any]] = field(default_factory=dict)
    trouble: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def act(self, name: str, seed: int) -> None:
        """Do one thing; whatever goes wrong on the way is what a person would see."""
        dice = random.Random(seed)
        do: Callable[[random.Random], None] = getattr(self, f"_{name}")
        try:
            do(dice)
        except Failure as failure:
            self._count(self.trouble, failure.code)
        except Exception as error:
            self._count(self.trouble, type(error).__name__)
        self._count(self.acts, name)

    def _count(self, counter: Counter[str], what: str) -> None:
        with self.lock:
            counter[what] += 1

    def _charge(self, dice: random.Random) -> None:
        person, platform = dice.choice(CUSTOMERS), dice.choice(("wechat", "wechat", "alipay"))
        amount_fen = dice.randint(1, 300) * 100
        code = self.shop.payment_code(person, platform, dice.choice(PLANS))
        number = f"C{secrets.token_hex(8).upper()}"
        body = {"out_trade_no": number, "payment_code": code, "amount_fen": amount_fen}
        for _ in range(dice.choice((1, 1, 2))):
            status, answer = self.shop.till("POST", "charges", body)
            if status == 200 and answer.get("state") == "paid":
                with self.lock:
                    self.told.add((number, ""))
        if platform == "wechat":
            with self.lock:
                self.sales[number] = (person, platform, amount_fen)

    def _report(self, dice: random.Random) -> None:
        """A till of somebody else has taken the money and reports it, until it is told that this was recorded."""
        person, amount_fen = dice.choice(CUSTOMERS), dice.randint(1, 300) * 100
        number = f"S{secrets.token_hex(8).upper()}"
        code = self.shop.payment_code(person, "wechat", {"outcome": "paid"})
        with self.lock:
            self.sales[number] = (person, "wechat", amount_fen)
            self.outside[number] = {
                "kind": "sale",
                "platform": "wechat",
                "out_trade_no": number,
                "amount_fen": amount_fen,
                "occurred_at": minutes_ago(),
                "payer": {"app_id": WECHAT_APP, "open_id": PEOPLE[person]},
            }
        _gateway().charge(gateways.ChargeOrder(number, amount_fen, "till"), code)
        self._tell(dice, self.outside[number])

    def _report_again(self, dice: random.Random) -> None:
        if self.outside:
            self._tell(dice, self.outside[dice.choice(sorted(self.outside))])

    def _tell(self, dice: random.Random, row: dict[str, Any]) -> None:
        times = dice.choice((1, 1, 2))
        with ThreadPoolExecutor(2) as pool:
            answers = list(
                pool.map(
                    lambda _: self.shop.till("POST", "transactions", {"transactions": [row]}), range(times)
                )
            )
        for status, answer in answers:
            if status == 200 and answer["results"][0]["result"] in ("recorded", "known"):
                with self.lock:
                    self.told.add((row["out_trade_no"], row.get("out_refund_no", "")))

    def _ask_by_chat(self, dice: random.Random) -> None:
        person = dice.choice(CUSTOMERS)
        self.shop.ask_by_chat(person, dice.choice((1, 1, 2)))

    def _ask(self, dice: random.Random) -> None:
        person = dice.choice(CUSTOMERS)
        rows = [row for row in queries.purchases(self.shop.customers[person]) if row.obstacle is None]
        if not rows:
            return
        row = dice.choice(rows)
        ways = dice.choice((("chat", "page"), ("chat", "page", "printer")))
        with db.reading() as session:
            number = session.scalar(
                select(TerminalTransaction.out_trade_no).where(TerminalTransaction.public_id == row.public_id)
            )
        self.shop.ask(person, str(number), amount_fen=row.left_fen, ways=ways)

    def _confirm(self, dice: random.Random) -> None:
        codes = _waiting_codes()
        if not codes:
            return
        code = dice.choice(codes)
        words = [
            dice.choice((f"确认 {code}", f"确认 {code}", f"确认 {code}", f"拒绝 {code} 金额不符"))
            for _ in "ab"
        ]
        cashiers = list(zip(CASHIERS, words, strict=True))[: dice.choice((1, 2))]
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda one: self.shop.says(*one), cashiers))

    def _refund(self, dice: random.Random) -> None:
        """Our own order, the whole or a part of it, sometimes twice with the same number."""
        if not self.sales:
            return
        number = dice.choice(sorted(self.sales))
        refund_fen = max(1, int(self.sales[number][2] * dice.choice((1, 0.5, 0.25))))
        body = {
            "out_trade_no": number,
            "out_refund_no": f"R{secrets.token_hex(6).upper()}",
            "refund_fen": refund_fen,
        }
        for _ in range(dice.choice((1, 1, 2))):
            self.shop.till("POST", "refunds", body)

    def _reported_refund(self, dice: random.Random) -> None:
        """The acquirer's till gives money back and reports it."""
        if not self.outside:
            return
        number = dice.choice(sorted(self.outside))
        sale = self.outside[number]
        if sale["kind"] != "sale":
            return
        part_fen = max(1, sale["amount_fen"] // 4)
        refund_no = f"T{secrets.token_hex(6).upper()}"
        with self.lock:
            self.outside[refund_no] = {
                **{name: value for name, value in sale.items() if name != "payer"},
                "kind": "refund",
                "out_refund_no": refund_no,
                "amount_fen": part_fen,
                "occurred_at": minutes_ago(0),
            }
        order = gateways.RefundOrder(number, refund_no, sale["amount_fen"], part_fen)
        _gateway().refund(order)
        self._tell(dice, self.outside[refund_no])

    def _title(self, dice: random.Random) -> None:
        person = dice.choice(CUSTOMERS)
        name = f"北京示例科技有限公司第{dice.randint(1, 9)}分部"
        titles.change(
            self.shop.customers[person], self.shop.titles[person], {**BUYER, "name": name}, is_default=True
        )

    def _cancel(self, dice: random.Random) -> None:
        with db.reading() as session:
            codes = list(
                session.scalars(
                    select(InvoiceRequest.code).where(
                        InvoiceRequest.state.in_(("waiting_reconciliation", "awaiting_confirmation"))
                    )
                )
            )
        if codes:
            code = dice.choice(sorted(codes))
            for person in CUSTOMERS:
                self.shop.says(person, f"取消 {code}")

    def _time(self, dice: random.Random) -> None:
        self.shop.forward(dice.randint(1, 15))

    def _progress(self, dice: random.Random) -> None:
        self.shop.says(dice.choice(CUSTOMERS), dice.choice(("进度", "帮助", "抬头", "发票")))

    def _trouble(self, dice: random.Random) -> None:
        """Something will go wrong at a door."""
        door = dice.choice(sorted(DOORS))
        kind = dice.choice(DOORS[door])
        self.shop.fault(door, f"cut_reply:{dice.randint(0, 300)}" if kind == "cut_reply" else kind)

    def finish(self) -> None:
        """Tills that were not answered report once more, as tills do, what the platform has really taken."""
        there = {row["out_trade_no"]: row for row in self.shop.ledger()["payments"]}
        for row in sorted(self.outside.values(), key=lambda one: one["kind"] != "sale"):
            payment = there.get(row["out_trade_no"])
            refunds = {one["refund_no"] for one in payment["refunds"]} if payment else set()
            if payment and (row["kind"] == "sale" or row["out_refund_no"] in refunds):
                self._tell(random.Random(0), row)


WEIGHTS = {
    "charge": 22,
    "report": 10,
    "report_again": 3,
    "ask_by_chat": 14,
    "ask": 16,
    "confirm": 14,
    "refund": 7,
    "reported_refund": 4,
    "title": 2,
    "cancel": 2,
    "time": 8,
    "progress": 2,
    "trouble": 14,
}


def _gateway() -> gateways.Gateway:
    with db.reading() as session:
        account = session.scalars(select(MerchantAccount.id).where(MerchantAccount.code == "wx")).one()
    return gateways.of(steps.settings_of(account))


def _waiting_codes() -> list[str]:
    with db.reading() as session:
        rows = session.scalars(
            select(InvoiceRequest.confirm_code)
            .where(InvoiceRequest.state == "awaiting_confirmation")
            .order_by(InvoiceRequest.id)
        )
        return [code for code in rows if code]
