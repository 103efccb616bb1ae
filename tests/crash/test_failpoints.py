"""The program is killed at each of its named places, started again, and the other side's ledger must agree.

One story per place: a charge, a refund, a reported sale, a request by chat, a cashier's yes, an issue, a file, a
sheet of paper. ``CRASH_HITS=8`` kills at the first eight visits of every place, not only at some.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import select

from miniapp import db
from miniapp.core import failpoints
from miniapp.core.errors import Failure
from miniapp.invoices.models import InvoiceRequest, RequestPurchase
from miniapp.payments.models import TerminalTransaction
from miniapp.printing import spool
from miniapp.printing.models import PrintJob
from tests.crash.judge import judge
from tests.crash.shop import LiveShop, eventually, open_doors, open_shop
from tests.databases import KINDS, fresh_database
from tests.installations import Installation
from tests.processes import Processes

ELSEWHERE = ("recon.file_stored", "recon.written", "day.closed")
HITS = int(os.environ.get("CRASH_HITS", "0"))
USUAL = {"outbox.leased": 6, "outbox.before_call": 3, "outbox.after_call": 3, "outbox.before_record": 5}
"""Which visit of a place kills, unless all of the first ones do."""

PLACES = [
    (name, nth)
    for name in failpoints.NAMES
    if name not in ELSEWHERE
    for nth in (range(1, HITS + 1) if HITS else [USUAL.get(name, 1)])
]
AMOUNT_FEN = 20_000
STEPS = (5, 10, 30, 60, 300, 600, 30, 900)


@pytest.fixture(scope="module", params=KINDS)
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveShop]:
    """One installation for all places of one database; each place has a customer's story of its own."""
    folder = tmp_path_factory.mktemp("crash")
    processes = Processes(folder)
    with fresh_database(request.param) as database:
        installation = Installation(folder, database, processes)
        installation.move_clock(seconds=0)
        opened = open_shop(installation)
        open_doors(opened)
        yield opened
        processes.stop_all()


class Story:
    """What happens to one customer; told again from where it broke off, as people do."""

    def __init__(self, shop: LiveShop, *, on_paper: bool) -> None:
        self.shop, self.on_paper = shop, on_paper
        self.number = f"C{secrets.token_hex(8).upper()}"
        self.refunded = f"C{secrets.token_hex(8).upper()}"
        self.told: set[tuple[str, str]] = set()
        self.pid = shop.inner_pid()

    @property
    def is_broken(self) -> bool:
        """Has the process died at its place?"""
        return self.shop.inner_pid() != self.pid

    @property
    def state(self) -> str:
        """Where the customer's request stands."""
        request = self._request()
        return request.state if request is not None else "not asked for"

    def tell(self) -> None:
        """All of it, or as far as the process lives. Each step may be repeated: its numbers stay."""
        steps = (self._charge, self._give_back, self._ask, self._confirm, self._wait_for_the_end)
        for step in steps:
            if self.is_broken:
                return
            with suppress(Failure):
                step()

    def _charge(self) -> None:
        """What is not paid for sure when the story is told again is charged anew, under a new number, as tills do."""
        self.number, self.refunded = self._paid(self.number), self._paid(self.refunded)

    def _paid(self, number: str) -> str:
        _, known = self.shop.till("GET", f"charges/{number}")
        state = (known or {}).get("state")
        if state not in ("paid", None):
            number = f"C{secrets.token_hex(8).upper()}"
        if state != "paid" and not self.is_broken:
            code = self.shop.payment_code("顾客甲", "wechat", {"outcome": "paid"})
            body = {"out_trade_no": number, "payment_code": code, "amount_fen": AMOUNT_FEN}
            _, answer = self.shop.till("POST", "charges", body)
            state = (answer or {}).get("state")
        if state == "paid":
            self.told.add((number, ""))
        return number

    def _give_back(self) -> None:
        body = {"out_trade_no": self.refunded, "out_refund_no": f"R{self.refunded}", "refund_fen": AMOUNT_FEN}
        self.shop.till("POST", "refunds", body)

    def _ask(self) -> None:
        """In the chat; who wants paper asks on the page."""
        if self._request() is None and not self.on_paper:
            self.shop.ask_by_chat("顾客甲")
        if self._request() is None and not self.is_broken:
            ways = ("chat", "page", "printer")
            self.shop.ask("顾客甲", self.number, amount_fen=AMOUNT_FEN, ways=ways)

    def _confirm(self) -> None:
        def code() -> Any:
            found = self._request()
            return found is not None and found.state == "awaiting_confirmation" and found.confirm_code

        known = eventually(lambda: code() or self.is_broken, seconds=10)
        if isinstance(known, str):
            self.shop.says("收银员甲", f"确认 {known}")

    def _wait_for_the_end(self) -> None:
        for _ in range(8):
            request = self._request()
            if self.is_broken or (request is not None and request.state == "issued"):
                break
            self.shop.forward(4)
            eventually(lambda: self.is_broken, seconds=1.5)
        for _ in range(2 if self.is_broken else 6):
            self.shop.forward(2)
            eventually(lambda: self.is_broken, seconds=1)

    def _request(self) -> InvoiceRequest | None:
        with db.reading() as session:
            return session.scalar(
                select(InvoiceRequest)
                .join(RequestPurchase, RequestPurchase.request_id == InvoiceRequest.id)
                .join(TerminalTransaction, TerminalTransaction.id == RequestPurchase.transaction_id)
                .where(TerminalTransaction.out_trade_no == self.number)
                .order_by(InvoiceRequest.id.desc())
                .limit(1)
            )


def look_at_paper(shop: LiveShop) -> None:
    """A person looks at the paper of every print whose end nobody saw: until then its printer takes no other."""
    sheets = {row["detail"]["name"] for row in shop.ledger()["prints"]}
    with db.reading() as session:
        jobs = session.scalars(select(PrintJob).where(PrintJob.state == "uncertain")).all()
    for job in jobs:
        name = f"{job.subject}-{job.subject_id}-{job.copy_no}"
        spool.judge(job.id, was_printed=name in sheets, by="staff:manager")
    if jobs:
        shop.settle((15, 60))


@pytest.mark.parametrize(("name", "nth"), PLACES, ids=lambda value: str(value))
def test_killed_there_and_started_again_the_ledgers_agree(shop: LiveShop, name: str, nth: int) -> None:
    shop.kill()
    shop.start(failpoints=f"{name}=kill@{nth}")
    story = Story(shop, on_paper=name.startswith("print."))

    story.tell()
    was_broken = story.is_broken
    shop.restart()
    story.pid = shop.inner_pid()
    story.tell()
    shop.settle(STEPS)
    look_at_paper(shop)

    assert was_broken, f"{name} was not reached {nth} times"
    verdict = judge(shop.ledger(), promised=story.told)
    assert verdict.is_clean, str(verdict)
    assert story.state == "issued", str(verdict)
