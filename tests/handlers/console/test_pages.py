"""Transactions, tasks, printers, outbox, audit, staff: within the scope, and with words for what happened."""

import re
from typing import Any

import pytest
from sqlalchemy import select

from miniapp import db
from miniapp.core import clock as program_clock
from miniapp.core import tasks
from miniapp.core.models import AuditLine
from miniapp.outbox.models import Work
from miniapp.payments.models import SlipCode
from miniapp.printing.models import PrintJob
from miniapp.stores import service as stores
from miniapp.stores.models import Company, Printer, Store
from tests.clocks import Clock
from tests.handlers.console.shop import APP, House


def test_one_box_finds_every_number(house: House) -> None:
    number = house.sale(
        123_450,
        number="S031T02202611240777",
        platform_trade_no="4200002026112400009999",
        rrn="632915570381",
        terminal_batch_no="000012",
        trace_no="004321",
    )
    house.sale(9_900)
    with db.reading() as session:
        claim = session.scalars(
            select(SlipCode.code).where(SlipCode.transaction_id == house.ids(number)[1])
        ).one()
    house.issue(number)
    seat = house.seat("财务甲")
    page = seat.see(f"/console/transactions/{house.ids(number)[0]}")
    invoice = re.search(r"/console/invoices/([^\"?]+)\"", page)
    assert invoice is not None

    for words in (
        number,
        "4200002026112400009999",
        "632915570381",
        "000012/004321",
        claim,
        "1234.50",
        "0777",
        "9999",
        invoice[1],
    ):
        found = seat.see(f"/console/transactions/?q={words}")
        assert f">{number}</a>" in found and "找到 1 笔" in found, words
        assert f">{number}</a>" not in house.seat("财务丙").see(f"/console/transactions/?q={words}"), words


def test_a_transaction_shows_all_that_hangs_on_it(house: House) -> None:
    number = house.sale(10_000)
    code = house.issue(number)
    house.refund(number, 2_500)
    public_id = house.ids(number)[0]

    page = house.seat("收银员甲").see(f"/console/transactions/{public_id}")

    for words in ("平台查询已确认付款", code, "-¥25.00", "可开上限", "多开", "SUCCESS", "已开具"):
        assert words in page, words
    house.seat("收银员乙").see(f"/console/transactions/{public_id}", 404)
    house.seat("收银员丙").see(f"/console/transactions/{public_id}", 404)


def test_lists_of_transactions_keep_to_the_store_and_the_filter(house: House) -> None:
    mine, other = house.sale(1_000), house.sale(2_000, terminal="T03")
    cashier, finance = house.seat("收银员甲"), house.seat("财务甲")

    assert other not in cashier.see("/console/transactions/")
    assert other not in cashier.see("/console/transactions/?store=s9")
    assert mine in finance.see("/console/transactions/?day=2026-11-24&platform=wechat")
    assert mine not in finance.see("/console/transactions/?day=2026-11-23")
    assert "没有符合条件的交易" in finance.see("/console/transactions/?platform=alipay")
    text = cashier.client.get("/console/transactions/export").data.decode("utf-8")
    assert mine in text and other not in text and "10.00" in text


def _task(store: str, key: str, **more: Any) -> int:
    with db.transaction() as session:
        row = session.scalars(select(Store).where(Store.code == store)).one()
        company = session.scalars(
            select(Company.id).where(Company.code == ("c2" if store == "s9" else "c1"))
        ).one()
        made = tasks.open_once(
            session, "late_request", key, store_id=row.id, company_id=company, out_trade_no=key, **more
        )
        return made.id


def test_a_task_is_ended_in_words_by_whom_it_reaches(house: House, clock: Clock) -> None:
    mine, foreign = _task("s1", "S1"), _task("s9", "S9")
    manager = house.seat("店长甲")
    page = manager.see("/console/tasks/")
    assert "单号 S1" in page and "单号 S9" not in page

    assert manager.send(f"/console/tasks/{foreign}/end", outcome="看过").status_code == 404
    empty = manager.send(f"/console/tasks/{mine}/end", outcome="  ")
    done = manager.send(f"/console/tasks/{mine}/end", outcome="已到柜台办理", done="1")
    again = manager.send(f"/console/tasks/{mine}/end", outcome="再一次", done="1")

    assert empty.status_code == 409 and "请写明处理结果" in empty.get_data(as_text=True)
    assert done.status_code == 303
    assert again.status_code == 409
    page = manager.see("/console/tasks/?state=done")
    assert "已到柜台办理" in page and "店长甲" in page
    clock.forward(days=4)
    late = house.seat("财务甲").see("/console/today/")
    assert "1 件已过期限" in late


def _job(printer: str, state: str) -> int:
    with db.transaction() as session:
        row = session.scalars(select(Printer).where(Printer.code == printer)).one()
        job = PrintJob(
            subject="invoice",
            subject_id=7,
            copy_no=1,
            printer_id=row.id,
            payload_sha256="0" * 64,
            state=state,
            fence=1,
            created_at=program_clock.now(),
            closed_at=program_clock.now() if state == "printed" else None,
        )
        session.add(job)
        session.flush()
        return job.id


@pytest.mark.parametrize(("paper", "after"), [("printed", "已打印"), ("not_printed", "未打印")])
def test_whoever_sees_the_paper_decides_an_uncertain_print(house: House, paper: str, after: str) -> None:
    job = _job("P1", "uncertain")
    assert house.seat("收银员乙").send(f"/console/printers/{job}/judge", paper=paper).status_code == 404
    seat = house.seat("收银员甲")
    assert "等人判定" in seat.see("/console/printers/?state=uncertain")

    assert seat.send(f"/console/printers/{job}/judge", paper=paper).status_code == 303

    assert after in seat.see("/console/printers/")
    assert seat.send(f"/console/printers/{job}/judge", paper=paper).status_code == 409


def test_a_further_copy_needs_a_reason_and_stands_in_the_trail(house: House) -> None:
    job = _job("P1", "printed")
    seat = house.seat("收银员甲")
    page = f"/console/printers/{job}/reprint"

    assert house.seat("收银员丙").send(page, reason="卡纸").status_code == 404
    assert seat.send(page, reason=" ").status_code == 409
    assert seat.send(page, reason="顾客丢了第一份").status_code == 303

    assert "补打 第 2 份" in seat.see("/console/printers/")
    assert "顾客丢了第一份" in house.seat("管理员").see("/console/audit/?subject=print_job")


def _dead(key: str, reason: str = "TimeoutError") -> int:
    with db.transaction() as session:
        work = Work(
            job="chat.send",
            key=key,
            payload={"notice_id": 5},
            state="dead",
            due_at=program_clock.now(),
            attempts=20,
            created_at=program_clock.now(),
            reason=reason,
        )
        session.add(work)
        session.flush()
        return work.id


def test_dead_work_is_retried_or_given_up_with_a_reason(house: House) -> None:
    first, second, third = _dead("1", "<script>x</script>"), _dead("2"), _dead("3")
    seat = house.seat("财务甲")
    page = seat.see("/console/outbox/")
    assert "发送消息" in page and "&lt;script&gt;" in page and "notice_id=5" in page

    assert seat.send(f"/console/outbox/{first}/retry").status_code == 303
    assert seat.send(f"/console/outbox/{first}/retry").status_code == 409
    assert seat.send(f"/console/outbox/{second}/give-up", why="").status_code == 409
    assert seat.send(f"/console/outbox/{second}/give-up", why="顾客已到店").status_code == 303
    assert seat.send("/console/outbox/retry").status_code == 303

    with db.reading() as session:
        states = dict(session.execute(select(Work.id, Work.state).where(Work.job == "chat.send")).all())
    assert (states[first], states[second], states[third]) == ("ready", "done", "ready")
    assert "顾客已到店" in seat.see(f"/console/audit/?subject=work&id={second}")


def test_the_trail_is_searched_by_subject_person_and_day(house: House, clock: Clock) -> None:
    house.go_on_duty("收银员甲")
    clock.forward(days=2)
    house.go_on_duty("收银员乙")
    seat = house.seat("管理员")

    assert "收银员乙" not in seat.see("/console/audit/?subject=store&who=cashier_a")
    page = seat.see("/console/audit/?subject=store&first=2026-11-26&last=2026-11-26")
    assert "收银员乙" in page and "收银员甲" not in page
    assert "没有符合条件的记录" in seat.see("/console/audit/?who=nobody")
    seat.see("/console/audit/?first=nonsense&id=x&page=-3&subject=nonsense")


def test_the_trail_of_another_company_stays_there_and_formulas_stay_text(house: House) -> None:
    with db.transaction() as session:
        ids = dict(session.execute(select(Company.code, Company.id)).all())
        for code in ("c1", "c2"):
            session.add(
                AuditLine(
                    at=program_clock.now(),
                    who=f"staff:of_{code}",
                    origin="",
                    subject="day",
                    subject_id=1,
                    verb="submit",
                    why=f"=HYPERLINK({code})",
                    company_id=ids[code],
                )
            )
    seat = house.seat("财务丙")
    page = seat.see("/console/audit/")
    text = seat.client.get("/console/audit/export").data.decode("utf-8")

    assert "of_c2" in page and "of_c1" not in page
    assert "of_c2" in text and "of_c1" not in text
    assert "'=HYPERLINK(c2)" in text and ",=HYPERLINK" not in text


def test_a_binding_code_is_shown_once_and_binds_its_person(house: House) -> None:
    seat = house.seat("收银员甲")

    assert seat.send("/console/staff/code").status_code == 303
    found = re.search(r'one-time">(\w+)<', seat.see("/console/staff/"))

    assert found is not None
    assert found[1] not in seat.see("/console/staff/")
    assert stores.bind(found[1], app_id=APP, open_id="oCashierA").name == "收银员甲"
    assert "微信" in seat.see("/console/staff/")


def test_a_manager_binds_the_own_cashiers_and_nobody_else(house: House) -> None:
    manager = house.seat("店长甲")
    page = manager.see("/console/staff/")
    assert "收银员甲" in page and "收银员丙" not in page and "财务甲" not in page

    assert manager.send(f"/console/staff/{house.staff['收银员甲']}/code").status_code == 303
    assert "收银员甲 的绑定码" in manager.see("/console/staff/")
    for name in ("收银员乙", "收银员丙", "财务甲", "管理员", "店长甲"):
        assert manager.send(f"/console/staff/{house.staff[name]}/code").status_code == 404, name
    cashier = house.seat("收银员甲")
    assert cashier.send(f"/console/staff/{house.staff['收银员乙']}/code").status_code == 403


def test_going_on_and_off_duty_is_said_and_kept(house: House) -> None:
    seat = house.seat("收银员甲")
    assert seat.send("/console/staff/on-duty", store="s9").status_code == 403

    seat.send("/console/staff/on-duty", store="s1")
    assert "已在南京路店上班" in seat.see("/console/staff/")
    assert seat.send("/console/staff/on-duty").status_code == 409
    seat.send("/console/staff/off-duty")
    assert "已从南京路店下班" in seat.see("/console/staff/")
    assert seat.send("/console/staff/off-duty").status_code == 409
    assert seat.client.get("/console/staff/on-duty").status_code == 405


def test_a_silent_terminal_is_stale_with_its_age_and_never_green(house: House, clock: Clock) -> None:
    from miniapp.payments import door

    door.beat(
        house.terminals["T01"],
        {
            "power": {"source": "mains", "battery_percent": 80},
            "network": "wifi",
            "printer": {"state": "ready", "reasons": ["media-empty"]},
        },
    )
    seat = house.seat("收银员甲")
    fresh = seat.see("/console/today/")
    clock.forward(minutes=12)
    stale = seat.see("/console/today/")

    assert 'class="tag good">不到 1 分钟前' in fresh and "缺纸" in fresh and "市电 80%" in fresh
    assert "失联 12 分钟" in stale and 'class="tag good"' not in stale
    assert "T03" not in fresh
