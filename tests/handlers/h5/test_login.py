"""The platform's login: once, in the browser that began it, and on to a clean address."""

import pytest
from sqlalchemy import func, select

from miniapp import db
from miniapp.customers.models import Customer
from tests.handlers.h5.site import Site

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def test_a_new_person_comes_back_to_the_page_at_a_clean_address(site: Site) -> None:
    page = site.phone().open("/c/titles?account=main")
    assert (page.status, page.path) == (200, "/c/titles")
    assert "还没有抬头" in page.text


def test_the_return_redirects_away_from_the_code(site: Site) -> None:
    phone = site.phone()
    came_back = phone.get(phone.through_login(phone.get("/c/").headers["Location"]))
    assert came_back.status_code == 302
    assert came_back.headers["Location"] == "/c/"
    cookies = " ".join(came_back.headers.getlist("Set-Cookie"))
    assert "customer=" in cookies and "HttpOnly" in cookies and "SameSite=Lax" in cookies


def test_the_same_return_twice_leads_to_the_page_again_without_a_second_exchange(site: Site) -> None:
    phone = site.phone()
    back = phone.through_login(phone.get("/c/titles").headers["Location"])
    phone.get(back)
    again = phone.get(back)
    assert (again.status_code, again.headers["Location"]) == (302, "/c/titles")


def test_a_state_of_another_browser_signs_nobody_in(site: Site) -> None:
    phone, stranger = site.phone("顾客甲"), site.phone("顾客乙")
    back = phone.through_login(phone.get("/c/titles").headers["Location"])
    answer = stranger.get(back)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/c/")
    assert "customer=" not in " ".join(answer.headers.getlist("Set-Cookie"))
    assert stranger.get("/c/").status_code == 302


def test_a_state_is_good_for_ten_minutes(site: Site) -> None:
    phone = site.phone()
    back = phone.through_login(phone.get("/c/titles").headers["Location"])
    site.retailer.clock.forward(minutes=11)
    assert phone.get(back).headers["Location"] == "/c/"
    assert phone.get("/c/").status_code == 302


def test_a_used_code_begins_the_login_again_and_keeps_the_page(site: Site) -> None:
    phone = site.phone()
    site.retailer.fault("wechat.oauth_token", "errcode:40163")
    page = phone.open("/c/find")
    assert (page.status, page.path) == (200, "/c/find")


def test_settings_that_are_wrong_say_so_instead_of_going_round(site: Site) -> None:
    site.retailer.fault("wechat.oauth_token", "errcode:40125", times=None)
    page = site.phone().open("/c/find")
    assert page.status == 503
    assert "没能识别" in page.text


def test_a_page_preview_looks_and_does_not_write(site: Site) -> None:
    site.retailer.world.call(
        "POST",
        "config",
        {
            "people": [
                {"code": "快照", "name": "快照", "snapshot": True, "wechat": {"wx8888888888888888": "oSnap"}}
            ]
        },
    )
    phone = site.phone("快照")
    page = phone.open("/c/titles/new")
    assert page.status == 200 and "使用完整服务" in page.text
    saved = phone.press(page, "保存", **{"company.name": "上海示例商贸有限公司"})
    assert saved.status == 403 and "使用完整服务" in saved.text
    with db.reading() as session:
        assert session.scalar(select(func.count(Customer.id))) == 0
    assert phone.open(page.link("重新进入")).path == "/c/titles/new"


def test_an_alipay_wallet_comes_in_by_its_own_login(site: Site) -> None:
    phone = site.phone()
    phone.agent = "Mozilla/5.0 (iPhone) AlipayClient/10.5"
    page = phone.open("/c/titles")
    assert (page.status, page.path) == (200, "/c/titles")
    with db.reading() as session:
        assert session.scalars(select(Customer.platform)).all() == ["alipay"]


def test_the_way_in_leads_to_no_strangers_page(site: Site) -> None:
    for stranger in ("https://example.com/", "//example.com/", "/c/login?page=/c/", "/console/"):
        assert site.another_phone().open(f"/c/login?page={stranger}").path == "/c/"


def test_a_chat_link_for_the_other_account_goes_to_that_platform(site: Site) -> None:
    answer = site.phone().get("/c/?account=life")
    assert answer.headers["Location"].startswith(f"{site.retailer.world.base}/alipay-oauth/")


def test_every_page_carries_the_headers(site: Site) -> None:
    answer = site.phone().open("/c/").answer
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe-inline" not in policy
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    body = answer.get_data(as_text=True)
    assert "<style" not in body and "style=" not in body and " onclick" not in body
    assert "<script>" not in body
