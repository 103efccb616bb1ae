"""The clerks' pages over HTTP: import a bill, propose, approve, submit, confirm; two persons, each within their company."""

import io
import re

import pytest
from werkzeug.test import TestResponse

from miniapp import db
from miniapp.core import clock as program_clock
from miniapp.reconcile.models import Difference
from tests.handlers.console.conftest import house as house
from tests.handlers.console.shop import House, Seat
from tests.reconcile_system import bill_files as bills

NO = "1900000102"
DAY = "/console/days/c2/2026-11-23"


def sale(house: House, number: str, fen: int, at: str = "2026-11-23 12:00:00", terminal: str = "T03") -> None:
    house.sale(fen, terminal=terminal, number=number, occurred_at=program_clock.from_beijing(at))


def hand_in(seat: Seat, content: bytes, account: str = "wx2", name: str = "bill.csv") -> TestResponse:
    token = seat.token("/console/bills/")
    data = {"csrf_token": token, "account": account, "bill": (io.BytesIO(content), name)}
    return seat.client.post("/console/bills/import", data=data, content_type="multipart/form-data")


def one(number: str) -> Difference:
    with db.reading() as session:
        return session.query(Difference).filter_by(out_trade_no=number).one()


def proposal(seat: Seat, difference_id: int) -> str:
    found = re.search(r'name="resolution" value="(\d+)"', seat.see(f"/console/differences/{difference_id}"))
    assert found is not None
    return found[1]


@pytest.fixture
def day(house: House) -> House:
    """A sale that agrees, one that is a fen off, one that the bill lacks."""
    for number, fen in (("ORDER001", 1000), ("ORDER002", 2000), ("ORDER003", 3000)):
        sale(house, number, fen)
    content = bills.wechat(
        "2026-11-23", bills.sale("ORDER001", 1000), bills.sale("ORDER002", 1999), merchant_no=NO
    )
    assert hand_in(house.seat("财务甲"), content).status_code == 303
    house.work()
    return house


def test_a_day_from_bill_to_closing_by_two_persons(day: House) -> None:
    maker, checker = day.seat("财务甲"), day.seat("财务丙")
    page = maker.see("/console/differences/")
    assert "ORDER002" in page and "金额不符" in page and "ORDER003" in page and "ORDER001" not in page
    aside = maker.see(f"/console/differences/{one('ORDER002').id}")
    assert "¥20.00" in aside and "¥19.99" in aside and "bill.csv 第 3 行" in aside
    assert maker.send(f"{DAY}/submit").status_code == 409, "not while a difference is open"

    reply = maker.send(
        "/console/differences/propose", difference=one("ORDER002").id, kind="write_off", reason="尾差一分"
    )
    assert reply.status_code == 303 and "等待另一个人" in maker.see(reply.location)
    with_proposal = proposal(checker, one("ORDER002").id)
    own = maker.send("/console/differences/approve", resolution=with_proposal)
    assert own.status_code == 409 and "财务甲" in own.get_data(as_text=True)
    assert checker.send("/console/differences/approve", resolution=with_proposal).status_code == 303

    view = maker.see(DAY)
    assert "挂账" in view and "西湖店" in view and "提交复核" in view
    assert maker.send(f"{DAY}/submit").status_code == 303
    same = maker.send(f"{DAY}/confirm")
    assert same.status_code == 409 and "财务甲" in same.get_data(as_text=True)
    assert checker.send(f"{DAY}/confirm").status_code == 303
    assert "已日结" in checker.see(DAY) and "确认当日 · 财务丙" in checker.see(DAY)
    assert "已日结" in maker.see("/console/days/")


def test_a_refused_file_is_shown_with_its_line_and_changes_nothing(house: House) -> None:
    seat = house.seat("财务甲")
    good = bills.wechat("2026-11-23", bills.sale("ORDER001", 1000), bills.sale("ORDER002", 1), merchant_no=NO)

    shown = hand_in(seat, good.replace(b"`10.00", b"`1e3", 1)).get_data(as_text=True)

    assert "BAD_VALUE" in shown and "第 2 行" in shown and "没有采用" in shown
    assert hand_in(seat, b"hello").status_code in (200, 422)
    assert hand_in(seat, good, account="wx").status_code == 422, "another account's bill"
    assert "没有符合条件的账单文件" in seat.see("/console/bills/")


def test_a_clerk_sees_and_moves_only_the_own_company(day: House) -> None:
    sale(day, "ORDER009", 500, terminal="T01")
    seat = day.seat("财务丙")

    seat.see("/console/days/c1/2026-11-23", 404)
    assert seat.send("/console/days/c1/2026-11-23/submit").status_code == 404
    assert hand_in(seat, b"x", account="wx").status_code == 404
    assert "wx2" in seat.see("/console/bills/") and ">wx<" not in seat.see("/console/bills/")
    day.seat("管理员").see(DAY)
    assert day.seat("管理员").send(f"{DAY}/submit").status_code == 403


def test_the_filter_stays_in_the_address_and_the_list_is_a_file(day: House) -> None:
    seat = day.seat("财务甲")

    page = seat.see("/console/differences/?reason=amount_differs&state=open")
    assert "ORDER002" in page and "ORDER003" not in page
    assert "ORDER003" in seat.see("/console/differences/?q=ORDER003") and "ORDER002" not in seat.see(
        "/console/differences/?q=ORDER003"
    )
    file = seat.client.get("/console/differences/export?reason=ledger_only").get_data(as_text=True)
    assert file.startswith("\ufeff") and "ORDER003" in file and "ORDER002" not in file
    for strange in ("state=x", "reason='", "store=9999999999999", "day=2026-13-01", "order=zz", "page=999"):
        seat.see(f"/console/differences/?{strange}")


def test_missing_bills_are_listed_and_asked_for(house: House) -> None:
    sale(house, "ORDER001", 1000)
    seat = house.seat("财务甲")
    page = seat.see("/console/bills/")
    assert "缺少的账单（2）" in page.replace("（1）", "（2）") and "还没有取过" in page

    link = re.search(r'action="(/console/bills/\d+/2026-11-23/fetch)"', page)
    assert link is not None
    assert seat.send(link[1]).status_code == 303
    house.work()

    page = seat.see("/console/bills/")
    assert "没有取成" in page and "密钥缺少" in page


def test_five_hundred_alike_in_one_list_take_a_handful_of_statements(house: House) -> None:
    from sqlalchemy import event

    rows = [bills.sale(f"B{number:03}", 100) for number in range(500)]
    hand_in(house.seat("财务甲"), bills.wechat("2026-11-23", *rows, merchant_no=NO))
    house.work()
    seen: list[str] = []
    event.listen(db.engine(), "before_cursor_execute", lambda *call: seen.append(call[2]))

    page = house.seat("财务甲").see("/console/differences/")

    assert page.count("B0") >= 50 and len([text for text in seen if text.startswith("SELECT")]) <= 20
