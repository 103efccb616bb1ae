"""The whole story in a browser, on each database, with each wallet: till, page, chat, paper, next morning's bills.

What comes out is read by tools that we did not write: pdftotext and zbarimg, from the download and from the bytes
that a real IPP printer received.
"""

import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Page, expect

from miniapp.sandbox import keys
from tests.browser import Windows, shoot
from tests.installations import Installation
from tests.people import MERCHANT, PASSWORD, World, cast, document
from tests.printers import Printer

BEIJING = ZoneInfo("Asia/Shanghai")
BUYER, NUMBER = "北京示例科技有限公司", "9144030071526726XG"


@dataclass
class Street:
    """One running installation with everything around it, and windows to look through."""

    installation: Installation
    sandbox: str
    windows: Windows
    printer: Printer

    def console(self, login: str) -> Page:
        """A desk where somebody has signed in."""
        page = self.windows.desk(base_url=self.installation.base)
        page.goto("/console/login/")
        page.fill("#login", login)
        page.fill("#password", PASSWORD)
        page.click("button.primary")
        expect(page.locator("nav").first).to_be_visible()
        return page

    def phone(self, person: str, platform: str) -> Page:
        """A person's phone in the sandbox."""
        page = self.windows.desk(base_url=self.sandbox)
        page.goto(f"/phone?person={person}&platform={platform}")
        return page

    def wallet(self, person: str, account: str, path: str = "/c/") -> Page:
        """A window inside a wallet: the login is silent, because the wallet knows who holds the phone."""
        page = self.windows.phone(base_url=self.installation.base)
        platform = "wechat" if account == "main" else "alipay"
        page.goto(f"{self.sandbox}/phone?person={person}&platform={platform}")  # leaves the phone's mark
        page.goto(f"{path}?account={account}")
        return page


@pytest.fixture
def street(installation: Installation, windows: Windows, printer: Printer) -> Iterator[Street]:
    app, alipay, merchant, platform = (keys.key_pair() for _ in range(4))
    certificate, serial = keys.merchant_certificate(merchant, MERCHANT)
    config = cast(app, alipay, platform, certificate, serial)
    base = installation.base
    config["official_accounts"][0]["callback_url"] = f"{base}/wechat/main/callback"
    config["alipay_apps"][0]["gateway_callback"] = f"{base}/alipay/life/gateway"
    config["tills"] = [
        {
            "code": "T01",
            "name": "南京路店 1 号机",
            "store": "南京路店",
            "base": base,
            "key_id": "k1",
            "key": "0123456789abcdef0123456789abcdef",
        }
    ]
    for person in config["people"]:
        person["role"] = "cashier" if person["code"].startswith(("收银员", "店长")) else "customer"
        person["pays"] = person["role"] == "customer"
    sandbox = installation.sandbox(config)
    world = World(sandbox, app, alipay, merchant, platform, serial, certificate)
    shop = document(world, policy='{ confirm = "always" }')
    installation.set_up(
        f'{shop}\n[[printer]]\ncode = "P1"\nstore = "s1"\nkind = "ipp"\nuri = "{printer.uri}"\n'
    )
    installation.serve()
    yield Street(installation, sandbox, windows, printer)


@pytest.mark.parametrize("wallet", ["wechat", "alipay"])
def test_a_purchase_from_beep_to_closed_day(street: Street, wallet: str) -> None:
    customer, account = ("顾客甲", "main") if wallet == "wechat" else ("顾客乙", "life")
    cashier = go_on_duty(street)

    slip_url = charge(street, customer, wallet)
    page = street.wallet(customer, account)
    if wallet == "alipay":
        claim(page, slip_url)
    ask(page, wallet)
    confirm(cashier)

    expect(page.locator('.progress[data-state="issued"]')).to_be_visible(timeout=45_000)
    shoot(page, f"story-{wallet}-c7-issued")
    page.click("text=查看发票")
    invoice_no = page.locator("dd.code").first.inner_text()
    assert re.fullmatch(r"\d{20}", invoice_no)
    pdf = download(page)
    reads(pdf, invoice_no)
    shoot(page, f"story-{wallet}-c8-invoice")

    printed(street, invoice_no, pdf)
    if wallet == "wechat":
        phone = street.phone(customer, wallet)
        expect(phone.locator(".messages")).to_contain_text("发票已开具", timeout=30_000)
        shoot(phone, "story-wechat-chat")

    next_morning(street)
    close_day(street, wallet)


def go_on_duty(street: Street) -> Page:
    """A manager's way: the code from the console, sent in the chat; then 上班."""
    desk = street.console("cashier_a")
    desk.goto("/console/staff/")
    desk.click("text=取我的绑定码")
    code = desk.locator(".one-time").inner_text().strip()
    phone = street.phone("收银员甲", "wechat")
    says(phone, f"绑定 {code}", "已绑定")
    says(phone, "上班", "已在南京路店当班")
    return phone


def says(phone: Page, text: str, reply: str) -> None:
    """Type in the chat and wait for the answer."""
    phone.fill(".composer input", text)
    phone.click(".composer .send")
    expect(phone.locator(".messages")).to_contain_text(reply, timeout=20_000)


def charge(street: Street, customer: str, wallet: str) -> str:
    """The till scans the phone's code; answers what the slip's QR code says, read by zbar."""
    till = street.windows.desk(base_url=street.sandbox)
    till.goto("/till")
    phone = street.phone(customer, wallet)
    phone.click('[data-tab="wallet"]')
    expect(phone.locator(".code-number")).not_to_have_text("……")
    code = phone.locator(".code-number").get_attribute("data-code")
    till.fill("#amount", "200.00")
    till.fill("#code", str(code))
    till.click("#charge")
    expect(till.locator(".slip")).to_contain_text("200.00", timeout=20_000)
    picture = shoot(till, f"story-{wallet}-till")
    found = subprocess.run(
        ["zbarimg", "-q", "--raw", str(picture)], capture_output=True, text=True, check=True
    ).stdout.split()
    url = next(one for one in found if "/c/slip/" in one)
    assert url.startswith(street.installation.base)
    return url


def claim(page: Page, slip_url: str) -> None:
    """The slip's page: opening it changes nothing, the button takes the purchase."""
    page.goto(slip_url)
    page.click("button.weui-btn_primary")


def ask(page: Page, wallet: str) -> None:
    """From the list to the request, adding a title on the way."""
    page.goto("/c/")
    shoot(page, f"story-{wallet}-c1")
    page.click("text=申请开票")
    page.check('input[name="p"]')
    page.click("[data-next]")
    page.click(".bar >> text=添加抬头")
    page.fill("#company-name", BUYER)
    page.fill("#company-taxpayer_no", NUMBER)
    page.click(".bar >> text=保存")
    page.check('input[name="way"][value="printer"]')
    shoot(page, f"story-{wallet}-c6")
    page.click("text=提交申请 ¥200.00")
    expect(page.locator('.progress[data-state="awaiting_confirmation"]')).to_be_visible(timeout=30_000)


def confirm(cashier: Page) -> None:
    """The template message carries a code; the answer carries it back."""
    expect(cashier.locator(".message-card").last).to_contain_text("¥200.00", timeout=30_000)
    said = cashier.locator(".messages").inner_text()
    codes = re.findall(r"\b([2-9A-HJKMNP-Z]{3})\b", said)
    assert codes, said
    shoot(cashier, "story-cashier-asked")
    says(cashier, f"确认 {codes[-1].lower()}", "已确认")


def download(page: Page) -> bytes:
    """The PDF under its short-lived link, with the owner's session."""
    link = page.locator("text=打开 PDF").get_attribute("href")
    assert link is not None
    answer = page.request.get(link)
    assert answer.status == 200 and "no-store" in answer.headers["cache-control"]
    return answer.body()


def reads(pdf: bytes, invoice_no: str, *, folder: Path | None = None) -> None:
    """pdftotext and zbarimg find the number, the sum and the title."""
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "invoice.pdf"
        file.write_bytes(pdf)
        text = subprocess.run(
            ["pdftotext", str(file), "-"], capture_output=True, text=True, check=True
        ).stdout
        flat = "".join(text.split())
        assert invoice_no in flat and "200.00" in flat and BUYER in flat, text
        subprocess.run(["pdftoppm", "-r", "200", "-png", str(file), f"{name}/page"], check=True)
        picture = next(Path(name).glob("page*.png"))
        code = subprocess.run(["zbarimg", "-q", "--raw", str(picture)], capture_output=True, text=True).stdout
        assert f",{invoice_no},200.00," in code, code


def printed(street: Street, invoice_no: str, pdf: bytes) -> None:
    """The printer got the very bytes, once."""
    import time

    until = time.monotonic() + 40
    got: list[bytes] = []
    while not got and time.monotonic() < until:
        got = street.printer.received("invoice-1-1")
        time.sleep(0.5)
    assert got == [pdf]
    reads(got[0], invoice_no)


def next_morning(street: Street) -> None:
    """Tomorrow 10:30 in Beijing, on both clocks."""
    local = datetime.now(BEIJING)
    target = (local + timedelta(days=1)).replace(hour=10, minute=30, second=0)
    street.installation.move_clock(seconds=(target - local).total_seconds())


def close_day(street: Street, wallet: str) -> None:
    """The bills have come by themselves; one person submits, another confirms."""
    first = street.console("finance_a")
    first.goto("/console/days/")
    day = f"{datetime.now(BEIJING).date().isoformat()}"
    retry(lambda: expect_row(first, day))
    first.click(f"text={day}")
    shoot(first, f"story-{wallet}-day")
    first.click("text=提交复核")
    expect(first.locator("main")).to_contain_text("等待另一个人确认")
    second = street.console("finance_b")
    second.goto(first.url)
    second.click("text=确认当日")
    expect(second.locator("main")).to_contain_text("已日结")
    shoot(second, f"story-{wallet}-closed")


def expect_row(page: Page, day: str) -> None:
    """The day is listed with both accounts reconciled."""
    page.reload()
    row = page.locator("tr", has=page.locator(f"text={day}"))
    expect(row).to_contain_text("2 / 2", timeout=1_500)


def retry(look: Callable[[], None], *, times: int = 30) -> None:
    """Look again until it is there."""
    for _ in range(times):
        try:
            look()
            return
        except AssertionError:
            continue
    look()
