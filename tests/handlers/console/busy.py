"""A morning in the shop: something in every list of the console."""

from datetime import timedelta

from miniapp import db
from miniapp.core import clock as program_clock
from miniapp.core import tasks
from miniapp.outbox.models import Work
from miniapp.payments import door
from miniapp.payments.reports import Line
from miniapp.printing.models import PrintJob
from miniapp.stores.models import Printer, Store
from tests.clocks import Clock
from tests.handlers.console.shop import House


def fill(house: House, clock: Clock) -> dict[str, str]:
    """Sales, requests in many states, an invoice, a dead work, an uncertain print; answers some numbers by name."""
    lines = (
        Line("冷萃咖啡 大杯", 6800, "1001", "2.000", "杯", "1030307000000000000", "0.13"),
        Line("可颂", 3200, "1002", "2.000", "个", "1030207000000000000", "0.13"),
    )
    issued = house.sale(10_000, lines=lines, number="S031T02202611240001")
    code = house.issue(issued)
    clock.forward(minutes=4)
    waiting = house.sale(20_000, number="S031T02202611240002")
    first = house.ask(
        waiting,
        name="上海示例餐饮管理有限责任公司虹桥机场分公司",
        taxpayer_no="91310000MA1K35J80Q",
        confirmed=True,
    )
    clock.forward(minutes=11)
    house.ask(house.sale(126_050), name="广州示例文化传播有限公司")
    house.ask(house.sale(3_650, terminal="T02"), is_proved=False)
    house.ask(house.sale(45_000, terminal="T03"))
    house.refund(issued, 2_500)
    for amount in (1_280, 990, 38_800, 15_600, 7_250, 100):
        house.sale(amount)
    clock.forward(minutes=2)
    door.beat(
        house.terminals["T01"],
        {
            "power": {"source": "mains", "battery_percent": 100},
            "network": "wifi",
            "printer": {"state": "ready", "reasons": []},
            "app_version": "2.4.1",
        },
    )
    clock.forward(minutes=-14)
    door.beat(
        house.terminals["T02"],
        {
            "power": {"source": "battery", "battery_percent": 18},
            "network": "cellular",
            "printer": {"state": "ready", "reasons": ["media-low"]},
            "app_version": "2.4.0",
        },
    )
    clock.forward(minutes=14)
    _things_for_people(house)
    return {"issued": issued, "code": code, "first": first}


def _things_for_people(house: House) -> None:
    now = program_clock.now()
    with db.transaction() as session:
        store = session.query(Store).filter_by(code="s1").one()
        printer = session.query(Printer).filter_by(code="P1").one()
        for number, state in enumerate(("printed", "uncertain", "queued"), 1):
            session.add(
                PrintJob(
                    subject="invoice",
                    subject_id=number,
                    copy_no=1,
                    printer_id=printer.id,
                    payload_sha256="0" * 64,
                    state=state,
                    fence=1,
                    reason="deadline" if state == "uncertain" else None,
                    created_at=now - timedelta(minutes=30),
                    sent_at=now - timedelta(minutes=29) if state != "queued" else None,
                    closed_at=now - timedelta(minutes=28) if state == "printed" else None,
                )
            )
        tasks.open_once(
            session, "uncertain_print", "job:2", store_id=store.id, company_id=1, printer="P1", job=2
        )
        late = tasks.open_once(
            session,
            "unknown_invoice",
            "order:9",
            store_id=store.id,
            company_id=1,
            code="R8K3QX",
            serial="K7Q2M9",
        )
        late.deadline_at = now - timedelta(hours=3)
        for number, reason in ((1, "TimeoutError: no answer in 8 s"), (2, "UNAVAILABLE: 暂时没有办成")):
            session.add(
                Work(
                    job="chat.send",
                    key=f"dead:{number}",
                    payload={"message_id": number},
                    state="dead",
                    due_at=now,
                    attempts=20,
                    created_at=now - timedelta(hours=number),
                    reason=reason,
                )
            )
