"""Killed at each fail point of a charge and a refund, then started again: the platform's ledger agrees with ours."""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from miniapp.core import clock as program_clock
from miniapp.payments import charging
from tests.databases import Database
from tests.payments.platforms import Till
from tests.payments.test_charging import asked, number, payment, state
from tests.payments.test_refunding import RefundAsked, paid
from tests.payments.test_refunding import state as refund_state
from tests.processes import ROOT, clean_environment

PLATFORMS = pytest.mark.parametrize("platform", ["wechat", "alipay"])
WORKER = (
    "outbox.leased",
    "outbox.before_call",
    "outbox.after_call",
    "outbox.before_record",
    "outbox.recorded",
)
KILLED = -9


@pytest.fixture
def die(till: Till, database: Database, tmp_path: Path):
    """Run a verb in a process of its own that is killed at a fail point; its leases have run out afterwards."""

    def run(point: str, verb: str, fields: dict[str, object]) -> None:
        words = [database.url, str(tmp_path), f"{point}=kill", till.platforms.clock.moment.isoformat()]
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "tests.payments.dying",
                *words,
                verb,
                json.dumps([till.terminal_id, fields]),
            ],
            cwd=ROOT,
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == KILLED, done.stderr
        till.end_leases()

    return run


@PLATFORMS
@pytest.mark.parametrize("point", ["charge.before_call", "charge.after_call"])
def test_a_charge_that_died_is_settled_as_the_platform_says(
    till: Till, die, platform: str, point: str
) -> None:
    order = asked(till, platform)

    die(point, "charge", asdict(order))
    assert state(till, order) == "paying"
    assert charging.charge(till.terminal_id, order).state == "paying"  # asked again: never charged again
    for _ in range(12):
        till.due_in(5)

    there = payment(till, order)
    assert len(there) == (point == "charge.after_call")
    assert state(till, order) == ("paid" if there else "failed") or (
        not there and state(till, order) == "cancelled"
    )
    assert len(till.rows("sale")) == len(there)


@pytest.mark.parametrize("platform", ["alipay"])
@pytest.mark.parametrize("point", WORKER)
def test_a_worker_that_died_following_a_charge_is_followed_by_the_next(
    till: Till, die, platform: str, point: str
) -> None:
    order = asked(till, platform, outcome="userpaying")
    charging.charge(till.terminal_id, order)
    till.platforms.answer(accept=True)
    till.platforms.pass_time(seconds=5)

    die(point, "work", {})
    till.due_in(30)

    assert state(till, order) == "paid"
    assert len(payment(till, order)) == len(till.rows("sale")) == 1


@pytest.mark.parametrize("platform", ["wechat"])
@pytest.mark.parametrize("point", ["refund.after_call", *WORKER])
def test_a_refund_that_died_gives_the_money_back_once(till: Till, die, platform: str, point: str) -> None:
    order, sale = paid(till, platform)
    before = till.platforms.money()
    wanted = RefundAsked(order.out_trade_no, number(), 3000)

    die(point, "refund", asdict(wanted))
    assert till.balance(sale.id)[0] == 5800
    for _ in range(6):
        till.due_in(60)

    assert refund_state(till, wanted) == "refunded"
    assert till.platforms.money() == before - 3000
    assert len(till.rows("refund")) == 1 and till.balance(sale.id) == (5800, 0, 0)
    assert program_clock.now() == till.platforms.clock.moment
