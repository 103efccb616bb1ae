"""C1, C2 and C3: what there is, what can be asked for, what is found by slip and code."""

import pytest
from sqlalchemy import func, select

from miniapp import db
from miniapp.payments.models import PurchaseClaim
from tests.handlers.h5.site import Seen, Site, issued, slip_of

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def claims() -> int:
    with db.reading() as session:
        return session.scalar(select(func.count()).select_from(PurchaseClaim)) or 0


def test_e1_a_new_person_sees_that_there_is_nothing_and_how_to_go_on(site: Site) -> None:
    page = site.phone("顾客乙").open("/c/")
    assert page.status == 200
    assert "还没有发票" in page.text and "alert" not in page.html
    assert page.link("扫小票二维码") == "/c/find"


def test_e2_one_purchase_and_a_default_title_take_four_taps(site: Site) -> None:
    site.retailer.sale(20000)
    site.retailer.title(site.retailer.customer())
    phone = site.phone()
    first = phone.open("/c/")
    chosen = phone.open(first.link("申请开票"))
    confirm = phone.press(chosen, "下一步")
    sent = phone.press(confirm, "提交申请 ¥200.00")
    assert sent.path.startswith("/c/requests/") and "已提交" in sent.text


def test_e3_a_refunded_purchase_cannot_be_picked_and_says_why(site: Site) -> None:
    number = site.retailer.sale(8800, at_platform=False)
    site.retailer.refund(number, 8800)
    page = site.phone().open("/c/purchases")
    assert "已全额退款" in page.text
    assert not page.values("p") and 'name="p"' not in page.html


def test_a_strangers_purchase_is_not_in_the_list_and_not_in_the_form(site: Site) -> None:
    site.phone("顾客乙").open("/c/")
    number = site.retailer.sale(8800, payer="顾客甲", at_platform=False)
    assert "没有可开票的消费" in site.phone("顾客乙").open("/c/purchases").text
    assert site.phone("顾客乙").open(f"/c/requests/new?p={site.retailer.public_id(number)}").status == 404


def test_the_list_has_open_requests_first_and_pages_of_twenty(site: Site) -> None:
    issued(site)
    for _ in range(21):
        site.retailer.ask(site.retailer.sale(100, at_platform=False))
    page = site.phone().open("/c/")
    assert page.text.index("进行中") < page.text.index("下一页")
    assert page.html.count("weui-cell_access") == 20
    last = site.phone().open(page.link("下一页"))
    assert "已开具" in last.text and last.html.count("weui-cell_access") == 2


def test_nothing_picked_is_told(site: Site) -> None:
    page = site.phone().open("/c/requests/new")
    assert page.status == 409 and "请选择要开票的消费" in page.text


class TestByCode:
    """C3: claim code and exact amount."""

    def find(self, site: Site, code: str, amount: str, person: str = "顾客乙") -> Seen:
        phone = site.phone(person)
        return phone.press(phone.open("/c/find"), "查找", code=code, amount=amount)

    def test_e4_a_wrong_amount_reveals_nothing(self, site: Site) -> None:
        code, _ = slip_of(site.retailer.sale(20000, payer=None, at_platform=False))
        wrong = self.find(site, code, "199.99")
        unknown = self.find(site, "ABCDEFGHJK", "200.00")
        assert wrong.status == unknown.status == 404
        assert "没有找到" in wrong.text and "南京路" not in wrong.text
        assert wrong.text.replace(code, "") == unknown.text.replace("ABCDEFGHJK", "")
        assert wrong.values("code") == [code]
        assert wrong.title.startswith("错误：")
        assert claims() == 0

    def test_e5_too_many_misses_pause_with_the_time_that_is_left(self, site: Site) -> None:
        for _ in range(5):
            page = self.find(site, "ABCDEFGHJK", "1.00")
        assert page.status == 404
        page = self.find(site, "ABCDEFGHJK", "1.00")
        assert page.status == 429 and "分钟后再试" in page.text
        assert "验证码" not in page.text

    def test_e6_claimed_by_another_says_so_without_a_name(self, site: Site) -> None:
        code, address = slip_of(site.retailer.sale(20000, payer=None, at_platform=False))
        phone = site.phone("顾客甲")
        phone.press(phone.open(address), "领取并开票")
        page = self.find(site, code, "200")
        assert page.status == 409 and "已被认领" in page.text and "人工" in page.text
        assert "顾客甲" not in page.text

    def test_e7_spaces_and_lower_case_are_let_through(self, site: Site) -> None:
        number = site.retailer.sale(123450, payer=None, at_platform=False)
        code, _ = slip_of(number)
        page = self.find(site, f" {code[:3].lower()} {code[3:]} ", "¥1,234.50")
        assert page.path == "/c/purchases" and "¥1,234.50" in page.text
        assert claims() == 1

    def test_an_amount_that_is_none_is_not_counted_as_one(self, site: Site) -> None:
        page = self.find(site, "ABCDEFGHJK", "两百")
        assert page.status == 422 and "金额没有看懂" in page.text


class TestBySlip:
    """The QR code of a slip: looking changes nothing, the button claims."""

    def test_looking_claims_nothing(self, site: Site) -> None:
        _, address = slip_of(site.retailer.sale(20000, payer=None, at_platform=False))
        page = site.phone("顾客乙").open(address)
        assert page.status == 200 and claims() == 0
        assert len(page.forms) == 1

    def test_the_button_claims_and_goes_on_to_the_request(self, site: Site) -> None:
        _, address = slip_of(site.retailer.sale(20000, payer=None, at_platform=False))
        phone = site.phone("顾客乙")
        page = phone.press(phone.open(address), "领取并开票")
        assert page.path == "/c/requests/new" and "¥200.00" in page.text
        assert claims() == 1

    def test_the_second_person_is_told_and_nothing_changes(self, site: Site) -> None:
        _, address = slip_of(site.retailer.sale(20000, payer=None, at_platform=False))
        first, second = site.phone("顾客甲"), site.phone("顾客乙")
        waiting = second.open(address)
        first.press(first.open(address), "领取并开票")
        page = second.press(waiting, "领取并开票")
        assert page.status == 409 and "已被认领" in page.text and claims() == 1

    def test_an_altered_address_is_nothing(self, site: Site) -> None:
        _, address = slip_of(site.retailer.sale(20000, payer=None, at_platform=False))
        assert site.phone().open(f"{address[:-4]}AAAA").status == 404

    def test_an_old_slip_says_what_to_do(self, site: Site) -> None:
        _, address = slip_of(site.retailer.sale(20000, payer=None, at_platform=False))
        site.retailer.clock.forward(days=31)
        page = site.phone().open(address)
        assert page.status == 409 and "补打小票" in page.text
