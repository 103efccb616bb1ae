"""Requests and invoices on the console: scope, answering, what is told when nothing changes."""

import re

import pytest

from tests.clocks import Clock
from tests.handlers.console.shop import House, Seat


def version(seat: Seat, code: str) -> str:
    found = re.search(r'name="version" value="(\d+)"', seat.see(f"/console/requests/{code}"))
    assert found is not None
    return found[1]


def answer(seat: Seat, code: str, what: str, **fields: str) -> tuple[int, str]:
    reply = seat.send(f"/console/requests/{code}/{what}", **fields)
    if reply.status_code == 303:
        return 303, seat.see(reply.location)
    return reply.status_code, reply.get_data(as_text=True)


def test_a_cashier_sees_the_requests_of_the_own_store_only(house: House) -> None:
    mine, other, foreign = (house.ask(house.sale(8800, terminal=till)) for till in ("T01", "T02", "T03"))

    cashier, finance = house.seat("收银员甲"), house.seat("财务丙")

    page = cashier.see("/console/requests/")
    assert mine in page and other not in page and foreign not in page
    page = finance.see("/console/requests/")
    assert foreign in page and mine not in page and other not in page
    assert all(code in house.seat("财务甲").see("/console/requests/") for code in (mine, other, foreign))


def test_foreign_and_unknown_look_the_same(house: House) -> None:
    foreign = house.ask(house.sale(8800, terminal="T03"))
    seat = house.seat("收银员甲")

    there = seat.see(f"/console/requests/{foreign}", 404)
    nowhere = seat.see("/console/requests/ZZZZZZ", 404)

    assert there == nowhere
    for what in ("approve", "reject"):
        reply = seat.send(f"/console/requests/{foreign}/{what}", version="1", words="金额不符")
        assert reply.status_code == 404


def test_the_cashier_on_duty_confirms_and_the_invoice_is_issued(house: House) -> None:
    code = house.issue(house.sale(20_000))

    page = house.seat("财务甲").see(f"/console/requests/{code}")
    assert "已开具" in page and "收银员甲" in page and "¥200.00" in page
    number = re.search(r'/console/invoices/([^"?]+)"', page)
    assert number is not None
    invoice = house.seat("财务甲").see(f"/console/invoices/{number[1]}")
    assert "样票" in invoice and "北京示例科技有限公司" in invoice and "13%" in invoice
    pdf = house.seat("财务甲").client.get(f"/console/invoices/{number[1]}/pdf")
    assert pdf.data.startswith(b"%PDF") and "no-store" in pdf.headers["Cache-Control"]
    assert house.seat("收银员丙").client.get(f"/console/invoices/{number[1]}/pdf").status_code == 404


def test_off_duty_nothing_changes_and_the_page_says_how_to_go_on(house: House) -> None:
    code = house.ask(house.sale(8800))
    seat = house.seat("收银员甲")

    page = seat.see(f"/console/requests/{code}")
    status, told = answer(seat, code, "approve", version="1")

    assert "去上班" in page and "确认开票" not in page
    assert status == 403 and "不是南京路店当班店员" in told


def test_the_second_answer_changes_nothing_and_names_the_first(house: House) -> None:
    code = house.ask(house.sale(8800))
    for name in ("收银员甲", "店长甲"):
        house.go_on_duty(name)
    seen = version(house.seat("店长甲"), code)
    answer(house.seat("收银员甲"), code, "approve", version=seen)

    status, told = answer(house.seat("店长甲"), code, "approve", version=seen)

    assert status == 409 and "已由收银员甲" in told and "没有改变任何内容" in told


def test_an_old_version_confirms_nothing(house: House) -> None:
    number = house.sale(10_000)
    code = house.ask(number)
    house.go_on_duty("收银员甲")
    seat = house.seat("收银员甲")
    seen = version(seat, code)
    house.refund(number, 2_500)

    status, told = answer(seat, code, "approve", version=seen)

    assert status == 409 and "金额已变化" in told
    assert "¥75.00" in seat.see(f"/console/requests/{code}")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"reason": "wrong_amount"}, "金额不符"),
        ({"reason": "other", "words": "<b>没有小票</b>"}, "&lt;b&gt;没有小票"),
    ],
)
def test_a_rejection_carries_its_reason(house: House, fields: dict[str, str], words: str) -> None:
    code = house.ask(house.sale(8800))
    house.go_on_duty("收银员甲")
    seat = house.seat("收银员甲")

    status, page = answer(seat, code, "reject", version=version(seat, code), **fields)

    assert status == 303 and "已驳回" in page and words in page and "<b>没有小票" not in page


def test_other_without_words_rejects_nothing(house: House) -> None:
    code = house.ask(house.sale(8800))
    house.go_on_duty("收银员甲")
    seat = house.seat("收银员甲")

    status, told = answer(seat, code, "reject", version=version(seat, code), reason="other")

    assert status == 409 and "请写明驳回原因" in told
    assert "等待店员确认" in seat.see(f"/console/requests/{code}")


@pytest.mark.parametrize("nonsense", ["", "x", "１", "-1", "9" * 30])
def test_a_version_that_is_no_number_is_refused(house: House, nonsense: str) -> None:
    code = house.ask(house.sale(8800))
    house.go_on_duty("收银员甲")

    status, _ = answer(house.seat("收银员甲"), code, "approve", version=nonsense)

    assert status == 422


def test_the_filter_stands_in_the_address(house: House) -> None:
    waiting, bill = house.ask(house.sale(8800)), house.ask(house.sale(8800), is_proved=False)
    seat = house.seat("财务甲")

    page = seat.see("/console/requests/?group=cashier")
    assert waiting in page and bill not in page
    page = seat.see("/console/requests/?group=bill&store=s1")
    assert bill in page and waiting not in page
    assert f">{waiting}<" in seat.see(f"/console/requests/?q={waiting.lower()}")
    assert "没有符合条件的申请" in seat.see("/console/requests/?q=ZZZZZZ")


def test_the_export_is_the_filter_and_no_formula(house: House) -> None:
    code = house.ask(house.sale(8800), name="=cmd|' /C calc'!A1 有限公司", confirmed=True)
    other = house.ask(house.sale(8800, terminal="T03"))

    reply = house.seat("收银员甲").client.get("/console/requests/export?group=cashier")

    text = reply.data.decode("utf-8")
    assert text.startswith("\ufeff") and code in text and other not in text
    assert ",=" not in text and "88.00" in text
    assert "attachment" in reply.headers["Content-Disposition"]


def test_waiting_time_stands_on_the_board(house: House, clock: Clock) -> None:
    house.ask(house.sale(8800))
    clock.forward(minutes=12)

    assert "最久 12 分钟" in house.seat("收银员甲").see("/console/today/")
