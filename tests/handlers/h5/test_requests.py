"""C4, C6 and C7: from the look before submitting to the end of a request."""

import pytest
from sqlalchemy import func, select

from miniapp import db
from miniapp.invoices import confirming
from miniapp.invoices.models import InvoiceRequest
from miniapp.payments.rules import Part
from tests.handlers.h5.conftest import Opening
from tests.handlers.h5.site import Phone, Seen, Site

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def count() -> int:
    with db.reading() as session:
        return session.scalar(select(func.count(InvoiceRequest.id))) or 0


def confirm_page(site: Site, *numbers: str, title: bool = True) -> tuple[Phone, Seen]:
    phone = site.phone()
    if title:
        site.retailer.title(site.retailer.customer())
    picked = "&".join(f"p={site.retailer.public_id(number)}" for number in numbers)
    return phone, phone.open(f"/c/requests/new?{picked}")


def test_e13_discounts_and_a_part_refund_add_up_to_the_fen(site: Site) -> None:
    tenders = (
        Part("wallet", "customer", 18777),
        Part("coupon", "merchant", 1000),
        Part("coupon", "platform", 223),
    )
    number = site.retailer.sale(20000, at_platform=False, tenders=tenders)
    site.retailer.refund(number, 5000)
    _, page = confirm_page(site, number)
    facts = page.text
    assert "¥200.00" in facts and "商家优惠−¥10.00" in facts and "平台优惠−¥2.23" in facts
    assert "实付¥187.77" in facts
    left = int(page.values("expected_fen")[0])
    refunded = 18777 - left
    assert f"已退款−¥{refunded / 100:.2f}" in facts and f"可开票¥{left / 100:.2f}" in facts
    assert f"提交申请 ¥{left / 100:.2f}" in facts


def test_without_a_title_the_one_button_adds_one_and_comes_back(site: Site) -> None:
    phone, page = confirm_page(site, site.retailer.sale(20000, at_platform=False), title=False)
    form = phone.open(page.link("添加抬头"))
    back = phone.press(
        form, "保存", **{"company.name": "北京示例科技有限公司", "company.taxpayer_no": "91440300708461136T"}
    )
    assert back.path == "/c/requests/new" and "北京示例科技有限公司" in back.text
    assert "已提交" in phone.press(back, "提交申请").text


def test_e14_a_double_tap_is_one_request(site: Site) -> None:
    phone, page = confirm_page(site, site.retailer.sale(20000, at_platform=False))
    first, second = phone.send(page, "提交申请"), phone.send(page, "提交申请")
    assert first.status_code == second.status_code == 303
    assert first.headers["Location"] == second.headers["Location"]
    assert count() == 1


def test_e15_a_refund_while_the_page_is_open_asks_again_with_the_new_sum(site: Site) -> None:
    number = site.retailer.sale(20000, at_platform=False)
    phone, page = confirm_page(site, number)
    site.retailer.refund(number, 5000)
    again = phone.press(page, "提交申请 ¥200.00")
    assert again.status == 409 and count() == 0
    assert "原来 ¥200.00，现在 ¥150.00" in again.text and again.title.startswith("错误：")
    assert "已提交" in phone.press(again, "提交申请 ¥150.00").text


def test_a_sum_that_the_browser_made_up_changes_nothing(site: Site) -> None:
    phone, page = confirm_page(site, site.retailer.sale(20000, at_platform=False))
    assert phone.press(page, "提交申请", expected_fen="99999").status == 409
    assert phone.press(page, "提交申请", expected_fen="１").status == 409
    assert count() == 0


def test_e16_going_back_shows_the_request_and_no_second_form(site: Site) -> None:
    phone, page = confirm_page(site, site.retailer.sale(20000, at_platform=False))
    sent = phone.press(page, "提交申请")
    back = phone.open(f"/c/requests/new?p={page.values('p')[0]}")
    assert back.path == sent.path and "已提交" in back.text
    assert count() == 1


def test_two_purchases_of_one_company_are_one_form(site: Site) -> None:
    _, page = confirm_page(
        site, site.retailer.sale(100, at_platform=False), site.retailer.sale(200, at_platform=False)
    )
    assert "¥3.00" in page.text and len(page.values("p")) == 2


def test_e18_what_waits_for_proof_goes_on_by_itself(site: Site) -> None:
    phone, page = confirm_page(site, site.retailer.sale(20000))
    sent = phone.press(page, "提交申请")
    assert "等待对账" in sent.text and "自动继续" in sent.text
    site.retailer.settle(rounds=3)
    later = phone.open(f"{sent.path}/progress")
    assert "已开具" in later.text and later.link("查看发票")


def test_e19_a_rejection_tells_its_reason_and_a_way_on(asking_site: Site) -> None:
    site = asking_site
    site.retailer.on_duty("收银员甲")
    phone, page = confirm_page(site, site.retailer.sale(20000))
    sent = phone.press(page, "提交申请")
    site.retailer.work(seconds=3)
    view = site.retailer.view(sent.path.rpartition("/")[2])
    waiting = phone.open(sent.path)
    assert "等待店员确认" in waiting.text and "南京路店" in waiting.text
    confirming.reject(view.row.id, version=1, by=site.retailer.staff["收银员甲"], reason="金额不符")
    done = phone.open(sent.path)
    assert "已驳回" in done.text and "金额不符" in done.text
    assert phone.open(done.link("重新申请")).path == "/c/requests/new"


def test_e20_a_silent_channel_says_that_it_is_being_asked(open_site: Opening) -> None:
    site = open_site()
    before = len(site.retailer.issued_outside())
    phone, page = confirm_page(site, site.retailer.sale(20000))
    site.retailer.fault("nuonuo.requestBillingNew", "commit_then_drop")
    site.retailer.fault("nuonuo.queryInvoiceResult", "http_500", times=6)
    sent = phone.press(page, "提交申请")
    site.retailer.work(seconds=3)
    site.retailer.work(seconds=3)
    page = phone.open(sent.path)
    assert "结果查询中" in page.text and "不会重复开票" in page.text
    assert "取消申请" not in page.text
    site.retailer.settle(rounds=30, step=30)
    assert "已开具" in phone.open(sent.path).text
    assert len(site.retailer.issued_outside()) == before + 1


def test_e24b_an_edited_title_leaves_the_request_as_it_was_and_says_so(site: Site) -> None:
    phone, page = confirm_page(site, site.retailer.sale(20000, at_platform=False))
    sent = phone.press(page, "提交申请")
    site.retailer.clock.forward(minutes=1)
    edit = phone.open(phone.open("/c/titles").link("修改"))
    phone.press(edit, "保存", **{"company.name": "上海另一示例有限公司"})
    later = phone.open(sent.path)
    assert "北京示例科技有限公司" in later.text and "上海另一示例有限公司" not in later.text
    assert "仍用提交时的内容" in later.text


def test_a_customer_cancels_and_asks_again(site: Site) -> None:
    phone, page = confirm_page(site, site.retailer.sale(20000, at_platform=False))
    sent = phone.press(page, "提交申请")
    done = phone.press(sent, "取消申请 ¥200.00")
    assert "已取消" in done.text
    assert "提交申请 ¥200.00" in phone.open(done.link("重新申请")).text


def test_another_persons_request_is_not_there(site: Site) -> None:
    phone, page = confirm_page(site, site.retailer.sale(20000, at_platform=False))
    sent = phone.press(page, "提交申请")
    stranger = site.phone("顾客乙")
    for address in (sent.path, f"{sent.path}/progress"):
        found = stranger.open(address)
        assert found.status == 404 and "示例科技" not in found.text and "200" not in found.text


def test_a_page_that_moves_refreshes_itself_without_scripts(site: Site) -> None:
    phone, page = confirm_page(site, site.retailer.sale(20000, at_platform=False))
    sent = phone.press(page, "提交申请")
    assert '<noscript><meta http-equiv="refresh"' in sent.html
