"""What one invoice costs from the request to its stored files, against drawing the same page in one flat function.

    python -m benchmarks.issue_invoice [--kind sqlite] [--invoices 100] [--rounds 3]

In this process, by processor time: a customer asks for a purchase already paid, the store asks no cashier, the embedded channel
issues, the document is drawn, checked, and kept with its preview; all recorded work is run by the real worker. Messages to
the chat and sales are not counted. Limit: 2.5 times the flat drawing of ``draw_invoice``; the best of the rounds counts on
either side. Prints what the preview costs by itself. Exits 1 above the limit.
"""

import argparse
import secrets
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from sqlalchemy import func, select

from benchmarks import draw_invoice
from benchmarks.stage import shop
from benchmarks.stage.databases import KINDS, durable
from miniapp import db, wiring
from miniapp.core.models import FileLink
from miniapp.customers import service as customers
from miniapp.invoices import documents, queries, requesting
from miniapp.outbox.worker import Worker
from miniapp.payments import ledger
from miniapp.printing import invoice_pdf
from miniapp.titles import service as titles
from tests import people
from tests.processes import Processes

MOST_RATIO = 2.5
COUNTED = ("invoices.", "payments.", "reconcile.")


class Office:
    """An installation in this process whose company issues specimens."""

    def __init__(self, stack: ExitStack, kind: str) -> None:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="miniapp-bench-", dir="/tmp")))
        processes = Processes(folder)
        stack.callback(lambda: [one.stop() for one in processes.started])
        urls = stack.enter_context(durable(kind, folder, ("ours",)))
        self.world = shop.sandbox(processes, folder)
        settings = shop.config(urls["ours"], folder)
        self.terminal = shop.open_here(settings, self.world, channel="yp")
        stack.callback(lambda: db.engine().dispose())
        self.customer = customers.recognise(
            platform="wechat", app_id=people.WECHAT_APP, open_id=people.PEOPLE["顾客甲"]
        ).id
        self.title = titles.add(self.customer, people.BUYER)
        jobs = {name: job for name, job in wiring.jobs(settings).items() if name.startswith(COUNTED)}
        after = {event: [job for job in to if job in jobs] for event, to in wiring.AFTER.items()}
        self.worker = Worker(jobs, after)

    def sell(self, count: int) -> list[tuple[str, int]]:
        """So many paid sales of the customer that an order query has vouched for: (public id, fen) each."""
        before = {row.public_id for row in queries.purchases(self.customer)}
        rows = []
        for at in range(count):
            number, fen = f"S{secrets.token_hex(8).upper()}", 8800 + at
            self._pay(number, fen)
            rows.append(shop.sale(people.PEOPLE["顾客甲"], fen, number=number))
        ledger.record_report(self.terminal, rows)
        found = [row for row in queries.purchases(self.customer) if row.public_id not in before]
        return [(row.public_id, row.left_fen) for row in found if row.obstacle is None]

    def issue(self, sales: list[tuple[str, int]]) -> float:
        """Processor seconds for one invoice, from the request to its stored files."""
        start = time.process_time()
        for purchase, fen in sales:
            form = requesting.Ask(
                purchases=(purchase,), title=self.title, expected_fen=fen, form_key=secrets.token_hex(8)
            )
            requesting.ask(self.customer, people.WECHAT_APP, form)
            self.worker.drain()
        return (time.process_time() - start) / len(sales)

    def kept(self) -> int:
        """How many invoices have their document on disk."""
        with db.reading() as session:
            return session.scalars(
                select(func.count()).where(FileLink.subject == "invoice", FileLink.role == "pdf")
            ).one()

    def _pay(self, number: str, fen: int) -> None:
        code = self.world.call(
            "POST",
            "payment_code",
            {"person": "顾客甲", "platform": "wechat", "plan": {"outcome": "paid"}},
        )
        from miniapp.payments import gateways, steps
        from miniapp.stores.models import MerchantAccount

        with db.reading() as session:
            account = session.scalars(select(MerchantAccount.id).where(MerchantAccount.code == "wx")).one()
        gateways.of(steps.settings_of(account)).charge(
            gateways.ChargeOrder(number, fen, "bench"), code["code"]
        )


def measure(kind: str, invoices: int, rounds: int) -> bool:
    """Print the numbers on one kind of database; answers whether the limit is kept."""
    with ExitStack() as stack:
        office = Office(stack, kind)
        ours, floor = [], []
        each = -(-invoices // rounds)
        office.issue(office.sell(3))
        for at in range(rounds):
            floor.append(draw_invoice.seconds(draw_invoice.flat, range(at * 100, at * 100 + 40)))
            sales = office.sell(each)
            before = office.kept()
            ours.append(office.issue(sales))
            if len(sales) != each or office.kept() - before != each:
                raise SystemExit(f"{len(sales)} asked, {office.kept() - before} kept")
    pdf = invoice_pdf.draw(draw_invoice.sheet(1))
    seen = draw_invoice.seconds(lambda _: documents.preview(pdf), range(10))
    ratio = min(ours) / min(floor)
    print(
        f"{kind}: {min(ours) * 1000:.1f} ms an invoice, flat drawing {min(floor) * 1000:.1f} ms, ratio {ratio:.2f},"
        f" limit {MOST_RATIO} (a preview by itself {seen * 1000:.1f} ms)",
        flush=True,
    )
    return ratio <= MOST_RATIO


def main() -> int:
    """Both kinds of database, or one."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--kind", choices=KINDS)
    options.add_argument("--invoices", type=int, default=120)
    options.add_argument("--rounds", type=int, default=4)
    given = options.parse_args()
    pdfmetrics.registerFont(TTFont("Flat", str(draw_invoice.FONT)))
    kinds = [given.kind] if given.kind else KINDS
    kept = [measure(kind, given.invoices, given.rounds) for kind in kinds]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    raise SystemExit(main())
