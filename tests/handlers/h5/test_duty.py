"""K1: the cashier's page. One answer counts; every other changes nothing and says why."""

from sqlalchemy import update

from miniapp import db
from miniapp.stores.models import Staff
from tests.handlers.h5.site import Site


def awaiting(
    site: Site, *, on_duty: tuple[str, ...] = ("收银员甲", "收银员乙"), payer: str = "顾客甲"
) -> str:
    for name in on_duty:
        site.retailer.on_duty(name)
    number = site.retailer.sale(20000, payer=payer)
    request = site.retailer.ask(number, customer=site.retailer.customer(payer))
    site.retailer.work(seconds=3)
    assert site.retailer.state(request) == "awaiting_confirmation"
    return request


def test_the_page_shows_what_is_confirmed(asking_site: Site) -> None:
    request = awaiting(asking_site)
    page = asking_site.phone("收银员甲").open(f"/c/duty/{request}")
    assert page.status == 200
    for words in ("¥200.00", "北京示例科技有限公司", "9144030071526726XG", "南京路店", "T01"):
        assert words in page.text


def test_e33_the_second_phone_is_told_who_was_first_and_one_invoice_is_issued(asking_site: Site) -> None:
    site, request = asking_site, awaiting(asking_site)
    first, second = site.phone("收银员甲"), site.phone("收银员乙")
    one, two = first.open(f"/c/duty/{request}"), second.open(f"/c/duty/{request}")
    done = first.press(one, "确认开票 ¥200.00")
    assert done.status == 200 and "收银员甲" in done.text
    late = second.press(two, "确认开票 ¥200.00")
    assert late.status == 409 and "已由收银员甲" in late.text and "未重复开票" in late.text
    site.retailer.settle(rounds=3)
    assert len(site.retailer.invoices()) == 1


def test_a_rejection_needs_words_and_carries_them(asking_site: Site) -> None:
    site, request = asking_site, awaiting(asking_site)
    phone = site.phone("收银员甲")
    page = phone.open(f"/c/duty/{request}")
    assert phone.press(page, "拒绝 ¥200.00", why="other", words="").status == 409
    phone.press(page, "拒绝 ¥200.00", why="wrong_amount")
    assert site.retailer.state(request) == "rejected"
    assert site.retailer.view(request).reason == "金额不符"


def test_off_duty_changes_nothing_and_says_why(asking_site: Site) -> None:
    site = asking_site
    request = awaiting(site)
    site.retailer.says("收银员乙", "下班")
    phone = site.phone("收银员乙")
    page = phone.press(phone.open(f"/c/duty/{request}"), "确认开票")
    assert page.status == 403 and "不是南京路店当班店员" in page.text
    assert site.retailer.state(request) == "awaiting_confirmation"
    page = phone.press(page, "在南京路店上班")
    assert page.path == f"/c/duty/{request}"
    assert phone.press(page, "确认开票").status == 200


def test_an_older_version_changes_nothing(asking_site: Site) -> None:
    site, request = asking_site, awaiting(asking_site)
    phone = site.phone("收银员甲")
    page = phone.press(phone.open(f"/c/duty/{request}"), "确认开票", version="7")
    assert page.status == 409 and "金额已变化" in page.text
    assert site.retailer.state(request) == "awaiting_confirmation"


def test_ones_own_request_is_left_to_a_colleague(asking_site: Site) -> None:
    site = asking_site
    request = awaiting(site, payer="收银员甲")
    phone = site.phone("收银员甲")
    page = phone.press(phone.open(f"/c/duty/{request}"), "确认开票")
    assert page.status == 403 and "不能确认自己的申请" in page.text


def test_customers_and_removed_people_are_kept_out(asking_site: Site) -> None:
    site, request = asking_site, awaiting(asking_site)
    for address in ("/c/duty/", f"/c/duty/{request}"):
        page = site.phone("顾客乙").open(address)
        assert page.status == 403 and "示例科技" not in page.text
    phone = site.phone("收银员甲")
    assert phone.open(f"/c/duty/{request}").status == 200
    with db.transaction() as session:
        session.execute(update(Staff).where(Staff.name == "收银员甲").values(is_disabled=True))
    assert phone.open(f"/c/duty/{request}").status == 403


def test_the_list_has_what_waits_in_ones_own_store(asking_site: Site) -> None:
    site = asking_site
    awaiting(site)
    page = site.phone("收银员甲").open("/c/duty/")
    assert "¥200.00" in page.text and "当班" in page.text
    assert "没有待确认" not in page.text
