"""The customer's pages in chromium: what moves, what the keyboard reaches, how many bytes; pictures to be looked at."""

import gzip
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from werkzeug.serving import make_server

from miniapp.core import browsing
from miniapp.customers import service as customers
from miniapp.invoices import confirming
from miniapp.payments.rules import Part
from tests.browser import Windows, shoot
from tests.handlers.h5.conftest import Opening
from tests.handlers.h5.site import Site, issued, slip_of
from tests.people import PEOPLE, WECHAT_APP

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
LIMIT = 60_000


class Served:
    """A site that listens on loopback, and windows whose holder is signed in."""

    def __init__(self, site: Site, windows: Windows) -> None:
        self.site, self.windows = site, windows
        self._server = make_server("127.0.0.1", 0, site.app, threaded=True)
        self.base = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def phone(self, person: str = "顾客甲", **options: Any) -> Page:
        page = self.windows.phone(base_url=self.base, **options)
        view = customers.recognise(platform="wechat", app_id=WECHAT_APP, open_id=PEOPLE[person])
        lifetime = self.site.retailer.clock.moment - self.site.retailer.clock.moment.replace(year=2025)
        token = browsing.sign_in(
            "customer",
            subject_id=view.id,
            lifetime=lifetime,
            platform="wechat",
            app_id=WECHAT_APP,
            open_id=view.open_id,
            account="main",
        )
        page.context.add_cookies([{"name": "customer", "value": token, "url": self.base}])
        return page

    def stop(self) -> None:
        self._server.shutdown()


@pytest.fixture
def served(site: Site, windows: Windows) -> Iterator[Served]:
    """The store that asks no cashier."""
    made = Served(site, windows)
    yield made
    made.stop()


@pytest.fixture
def serve(open_site: Opening, windows: Windows) -> Iterator[Any]:
    """A store of another manner: ``serve(policy=…, channel=…)``."""
    made: list[Served] = []

    def opened(**manner: str) -> Served:
        made.append(Served(open_site(**manner), windows))
        return made[-1]

    yield opened
    for one in made:
        one.stop()


def fits(page: Page) -> None:
    """Nothing is wider than the window."""
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), page.url


def small_targets(page: Page) -> list[str]:
    """What can be tapped, stands alone and is lower than 44 px (links inside a sentence are let through)."""
    found: list[str] = page.evaluate(
        """() => [...document.querySelectorAll('a, button, summary, .check, .sides__tab, .field > input')]
          .filter((one) => one.getClientRects().length && !one.closest('.unseen, .skip, .alert, .banner')
            && !one.classList.contains('unseen') && !one.classList.contains('skip')
            && !one.classList.contains('text_link_inline') && !one.querySelector('img'))
          .filter((one) => one.getBoundingClientRect().height < 43.5)
          .map((one) => `${one.tagName} ${one.textContent.trim().slice(0, 20)} ${one.getBoundingClientRect().height}`)"""
    )
    return found


CONTRAST = """() => {
  const luminance = (c) => { const v = c.map((x) => { x /= 255; return x <= .03928 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4; });
    return .2126 * v[0] + .7152 * v[1] + .0722 * v[2]; };
  const read = (text) => { const n = text.match(/[\\d.]+/g).map(Number); return { rgb: n.slice(0, 3), a: n.length > 3 ? n[3] : 1 }; };
  const ground = (one) => { for (let at = one; at; at = at.parentElement) {
    const c = read(getComputedStyle(at).backgroundColor); if (c.a === 1) return c.rgb; } return [255, 255, 255]; };
  const bad = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const one = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !one.getClientRects().length || one.closest('.unseen, .skip, script, noscript')) continue;
    const style = getComputedStyle(one), ink = read(style.color), back = ground(one);
    const mixed = ink.rgb.map((x, i) => x * ink.a + back[i] * (1 - ink.a));
    const [hi, lo] = [luminance(mixed), luminance(back)].sort((a, b) => b - a);
    const ratio = (hi + .05) / (lo + .05);
    if (ratio < 4.5) bad.push(`${walker.currentNode.textContent.trim().slice(0, 20)}: ${ratio.toFixed(2)}`);
  }
  return bad;
}"""


def prepare(site: Site) -> dict[str, str]:
    """A customer with something in every list; answers the addresses of all pages."""
    retailer = site.retailer
    for name in ("收银员甲", "收银员乙"):
        retailer.on_duty(name)
    mine = retailer.customer()
    request, invoice = issued_after_approval(site, 20000)
    tenders = (
        Part("wallet", "customer", 18777),
        Part("coupon", "merchant", 1000),
        Part("coupon", "platform", 223),
    )
    mixed = retailer.sale(20000, at_platform=False, tenders=tenders)
    retailer.refund(mixed, 5000)
    gone = retailer.sale(8800, at_platform=False)
    retailer.refund(gone, 8800)
    plain = retailer.sale(20300, at_platform=False, terminal="T02")
    retailer.clock.forward(minutes=1)
    waiting = retailer.ask(retailer.sale(6600))
    retailer.work(seconds=3)
    _, slip = slip_of(retailer.sale(4200, payer=None, at_platform=False))
    long_title = retailer.title(
        mine,
        name="中国（上海）自由贸易试验区示例供应链管理与信息技术服务股份有限公司",
        taxpayer_no="91440300708461136T",
        account="6222000011112222",
        bank="示例银行上海分行",
    )
    retailer.title(mine, type="personal", name="顾客甲", taxpayer_no="")
    picked = f"p={retailer.public_id(mixed)}&p={retailer.public_id(plain)}"
    return {
        "c1-invoices": "/c/",
        "c2-purchases": f"/c/purchases?{picked}",
        "c3-find": "/c/find",
        "c3-slip": slip,
        "c4-title": f"/c/requests/title?{picked}",
        "c0-titles": "/c/titles",
        "c5-title-new": "/c/titles/new",
        "c5-title-edit": f"/c/titles/{long_title}",
        "c6-confirm": f"/c/requests/new?{picked}&title={long_title}",
        "c7-waiting": f"/c/requests/{waiting}",
        "c7-issued": f"/c/requests/{request}",
        "c8-invoice": f"/c/invoices/{invoice}",
        "c10-missing": "/c/requests/nothing",
        "c11-privacy": "/c/privacy",
        "k1-list": "/c/duty/",
        "k1-request": f"/c/duty/{waiting}",
    }


def issued_after_approval(site: Site, amount_fen: int) -> tuple[str, str]:
    retailer = site.retailer
    request = retailer.ask(retailer.sale(amount_fen))
    retailer.work(seconds=3)
    row = retailer.view(request).row
    if row.state == "awaiting_confirmation":
        confirming.approve(row.id, version=row.version, by=retailer.staff["收银员甲"])
    retailer.settle(rounds=3)
    found = retailer.view(request).row.invoice
    assert found
    return request, found


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_can_be_read_and_tapped(serve: Any, scheme: str) -> None:
    served: Served = serve(policy='{ confirm = "always" }', channel="yp")
    addresses = prepare(served.site)
    faults: list[str] = []
    page = served.phone(color_scheme=scheme)
    staff = served.phone("收银员甲", color_scheme=scheme)
    for name, address in addresses.items():
        window = staff if name.startswith("k1") else page
        for width in (375, 320):
            window.set_viewport_size({"width": width, "height": 720})
            answer = window.goto(address)
            assert answer is not None and answer.status in (200, 404), (name, answer and answer.status)
            fits(window)
            shoot(window, f"h5-{scheme}-{width}-{name}")
        faults += [f"{name}: {one}" for one in window.evaluate(CONTRAST) + small_targets(window)]
    served.windows.problems = [one for one in served.windows.problems if "404" not in one]
    assert not faults, "\n".join(faults)


def test_faults_of_a_title_can_be_read_too(served: Served) -> None:
    for scheme in ("light", "dark"):
        page = served.phone(color_scheme=scheme)
        page.goto("/c/titles/new")
        page.get_by_label("名称").first.fill("北京示例科技有限公司")
        page.get_by_label("税号").fill("91310000717855097N")
        page.get_by_role("button", name="保存").click()
        expect(page).to_have_title("错误：添加抬头")
        expect(page.locator("#summary")).to_be_focused()
        fits(page)
        shoot(page, f"h5-{scheme}-375-c5-wrong")
        assert not page.evaluate(CONTRAST) and not small_targets(page)
    page.get_by_label("已核对，仍然使用").check()
    page.get_by_role("button", name="保存").click()
    expect(page.get_by_role("heading", name="我的抬头")).to_be_visible()
    served.windows.problems = [one for one in served.windows.problems if "422" not in one]


def test_e9_a_number_is_put_right_while_it_is_typed(served: Served) -> None:
    page = served.phone()
    page.goto("/c/titles/new")
    number = page.get_by_label("税号")
    help_line = page.locator("#company-taxpayer_no-help")
    text = "9144 0300 7084 6113 6t"
    for character in text[:-1]:
        number.press_sequentially(character)
        expect(page.locator(".is_wrong")).to_have_count(0)
    number.press_sequentially(text[-1])
    expect(number).to_have_value("91440300708461136T")
    expect(help_line).to_contain_text("校验通过")


def test_a_look_alike_is_offered_and_not_put_in(served: Served) -> None:
    page = served.phone()
    page.goto("/c/titles/new")
    number = page.get_by_label("税号")
    number.fill("914403OO708461136T")
    number.blur()
    expect(number).to_have_value("914403OO708461136T")
    page.get_by_role("button", name="是不是 91440300708461136T？").click()
    expect(number).to_have_value("91440300708461136T")


def test_e11_what_was_typed_for_the_other_kind_is_still_there(served: Served) -> None:
    page = served.phone()
    page.goto("/c/titles/new")
    page.get_by_label("名称").first.fill("北京示例科技有限公司")
    page.get_by_text("个人", exact=True).click()
    expect(page.locator(".sides__company")).to_be_hidden()
    page.get_by_text("单位", exact=True).click()
    expect(page.get_by_label("名称").first).to_have_value("北京示例科技有限公司")


def test_e3_a_second_company_is_switched_off_with_the_reason(served: Served) -> None:
    add_company(served.site)
    page = served.phone()
    page.goto("/c/purchases")
    boxes = page.locator("input[name=p]")
    expect(boxes).to_have_count(2)
    boxes.first.check()
    expect(boxes.nth(1)).to_be_disabled()
    expect(page.locator("[data-other]").nth(1)).to_contain_text("不是同一家公司")
    expect(page.get_by_role("button", name="下一步")).to_have_text("下一步（已选 1 笔 ¥4,000.00）")
    shoot(page, "h5-light-375-c2-other-company")
    boxes.first.uncheck()
    expect(boxes.nth(1)).to_be_enabled()


def add_company(site: Site) -> None:
    from sqlalchemy import update

    from miniapp import db
    from miniapp.payments.models import TerminalTransaction
    from miniapp.stores.models import Company, Store, StoreCompany

    with db.transaction() as session:
        other = Company(code="c2", name="苏州示例餐饮有限公司", taxpayer_no="91310000717855097X")
        session.add(other)
        session.flush()
        store = session.query(Store).filter_by(code="s2").one()
        session.execute(
            update(StoreCompany).where(StoreCompany.store_id == store.id).values(company_id=other.id)
        )
    site.retailer.sale(300, at_platform=False, terminal="T02", number="S-OTHER")
    site.retailer.clock.forward(minutes=2)
    site.retailer.sale(400000, at_platform=False, terminal="T01")
    with db.reading() as session:
        assert session.query(TerminalTransaction.company_id).distinct().count() == 2


def test_e14_a_double_tap_sends_one_form(served: Served) -> None:
    retailer = served.site.retailer
    retailer.title(retailer.customer())
    number = retailer.sale(20000, at_platform=False)
    page = served.phone()
    page.goto(f"/c/requests/new?p={retailer.public_id(number)}")
    sent: list[str] = []
    page.on("request", lambda one: sent.append(one.url) if one.method == "POST" else None)
    page.get_by_role("button", name="提交申请").dblclick()
    expect(page.get_by_text("已提交，不用等在这里")).to_be_visible()
    assert len(sent) == 1
    page.go_back()
    expect(page.get_by_role("button", name="提交申请")).to_have_count(0)
    expect(page.get_by_role("heading", name="申请")).to_be_visible()


def test_e17_a_step_moves_within_two_seconds_and_is_announced(serve: Any) -> None:
    served: Served = serve(policy='{ confirm = "always" }', channel="yp")
    retailer = served.site.retailer
    retailer.on_duty("收银员甲")
    request = retailer.ask(retailer.sale(20000))
    retailer.work(seconds=3)
    page = served.phone()
    page.goto(f"/c/requests/{request}")
    expect(page.locator(".step_now")).to_contain_text("等待店员确认")
    loads: list[str] = []
    page.on("framenavigated", lambda frame: loads.append(frame.url))
    row = retailer.view(request).row
    confirming.approve(row.id, version=row.version, by=retailer.staff["收银员甲"])
    expect(page.locator("#live")).to_have_text("已确认，待开票", timeout=2000)
    expect(page.locator("[data-while-open]")).to_have_count(0)
    retailer.settle(rounds=3)
    expect(page.get_by_role("link", name="查看发票")).to_be_visible(timeout=2000)
    expect(page.locator("#live")).to_have_text("已开具")
    assert not loads


def test_e27_the_keyboard_reaches_everything_in_order_with_a_ring(served: Served) -> None:
    retailer = served.site.retailer
    retailer.title(retailer.customer())
    number = retailer.sale(20000, at_platform=False)
    page = served.windows.desk(base_url=served.base)
    page.context.add_cookies(served.phone().context.cookies())
    for address, expected in (
        (
            "/c/titles/new",
            [
                "跳到正文",
                "粘贴识别",
                "type",
                "company.name",
                "company.taxpayer_no",
                "选填",
                "is_default",
                "保存",
            ],
        ),
        (
            f"/c/requests/new?p={retailer.public_id(number)}",
            ["跳到正文", "更改", "更改", "way", "way", "隐私说明", "提交申请"],
        ),
    ):
        page.goto(address)
        seen = []
        for _ in range(len(expected)):
            page.keyboard.press("Tab")
            name, ring = page.evaluate(RING)
            seen.append(name)
            assert ring, f"{address}: no ring on {name}"
        assert [
            one for one, wanted in zip(seen, expected, strict=True) if not one.startswith(wanted)
        ] == [], seen
    page.keyboard.press("Enter")
    expect(page.get_by_text("已提交，不用等在这里")).to_be_visible()


RING = """() => {
  const one = document.activeElement;
  const drawn = one.classList.contains('sides__radio') ? one.nextElementSibling : one;
  const style = getComputedStyle(drawn);
  return [one.name || one.textContent.trim(), style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2];
}"""


def test_e28_the_first_view_is_light_and_all_from_here(served: Served) -> None:
    issued(served.site)
    page = served.phone()
    sizes: dict[str, int] = {}
    page.on("response", lambda one: sizes.update({one.url: len(gzip.compress(one.body(), 9))}))
    page.goto("/c/")
    page.wait_for_load_state("networkidle")
    assert all(url.startswith(served.base) for url in sizes if not url.startswith("data:"))
    assert len(sizes) >= 4
    assert sum(sizes.values()) < LIMIT, sizes
    print("first view, gzip -9 bytes:", sum(sizes.values()), sizes)


def test_the_picture_of_an_invoice_is_light(served: Served) -> None:
    _, invoice = issued(served.site)
    page = served.phone()
    with page.expect_response(lambda one: "/files/png/" in one.url) as found:
        page.goto(f"/c/invoices/{invoice}")
    assert len(found.value.body()) <= 150_000
