"""The clerks' pages in a real browser: beside the list without losing the place, by keyboard, readable in both colours."""

import pytest

from tests.browser import Windows, shoot
from tests.handlers.console.conftest import house as house
from tests.handlers.console.shop import House
from tests.handlers.console.test_browser import contrast, served, sign_in
from tests.reconcile_system import bill_files as bills
from tests.reconcile_system.test_pages import DAY, NO, hand_in, sale

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def test_a_clerk_works_through_a_morning(house: House, windows: Windows) -> None:
    for number in range(30):
        sale(house, f"S031T0320261123{number:04}", 1000 + number)
    rows = [
        bills.sale(f"S031T0320261123{number:04}", 1000 + number - (number % 9 == 0)) for number in range(28)
    ]
    rows += [
        bills.sale("S031T03202611239999", 26800),
        bills.refund("R031T032026112301", "S031T03202611230001", 300),
    ]
    hand_in(
        house.seat("财务甲"), bills.wechat("2026-11-23", *rows, merchant_no=NO), name="wx2All2026-11-23.csv"
    )
    house.work()
    with served(house) as base:
        page = windows.desk(viewport={"width": 1440, "height": 900})
        sign_in(page, base, "财务甲")
        for name in ("days", "bills", "differences"):
            page.goto(f"{base}/console/{name}/")
            assert contrast(page) == [], name
            shoot(page, f"reconcile-{name}")
        page.click("a.code >> nth=3")
        page.wait_for_selector(".aside h2")
        shoot(page, "reconcile-difference")
        page.fill("#reason-one", "尾差一分")
        page.click("text=提议 >> visible=true >> nth=-1")
        page.wait_for_selector("text=撤回")
        shoot(page, "reconcile-proposed")
        page.goto(f"{base}{DAY}")
        assert contrast(page) == []
        shoot(page, "reconcile-day")
        narrow = windows.desk(viewport={"width": 420, "height": 900}, color_scheme="dark")
        sign_in(narrow, base, "财务甲")
        narrow.goto(f"{base}/console/differences/")
        assert contrast(narrow) == []
        shoot(narrow, "reconcile-narrow")
