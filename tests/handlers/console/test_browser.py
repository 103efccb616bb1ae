"""The console in a real browser: keyboard, beside the list, both colours, narrow windows. Pictures are kept."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page
from werkzeug.serving import make_server

from tests.browser import Windows, shoot
from tests.clocks import Clock
from tests.handlers.console.busy import fill
from tests.handlers.console.shop import PASSWORD, STAFF, House

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@contextmanager
def served(house: House) -> Iterator[str]:
    """The application on a free port; answers its address."""
    server = make_server("127.0.0.1", 0, house.app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def sign_in(page: Page, base: str, name: str) -> None:
    page.goto(f"{base}/console/")
    page.fill("#login", STAFF[name][0])
    page.fill("#password", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/today/")


def contrast(page: Page) -> list[str]:
    """Texts of a page whose contrast is below 4.5:1 (3:1 where large), measured as they are drawn."""
    found: list[str] = page.evaluate(
        """() => {
          const parts = (c) => (c.match(/[\\d.]+/g) || []).map(Number);
          const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
            .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
            .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
          const ground = (node) => {
            for (let at = node; at; at = at.parentElement) {
              const c = parts(getComputedStyle(at).backgroundColor);
              if (c.length && (c.length < 4 || c[3] > 0)) return c;
            }
            return [255, 255, 255];
          };
          return [...document.querySelectorAll("body *")].filter((node) =>
              node.offsetParent !== null && [...node.childNodes].some((c) => c.nodeType === 3 && c.data.trim()))
            .map((node) => {
              const style = getComputedStyle(node), a = light(parts(style.color)), b = light(ground(node));
              const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
              const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
              return ratio < (large ? 3 : 4.5) ? `${ratio.toFixed(2)} ${node.textContent.trim().slice(0, 30)}` : "";
            }).filter(Boolean);
        }"""
    )
    return found


def overflow(page: Page) -> int:
    """How many pixels the page is wider than its window."""
    wide: int = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return wide


def test_a_cashier_confirms_beside_the_list_by_keyboard(house: House, clock: Clock, windows: Windows) -> None:
    numbers = fill(house, clock)
    with served(house) as base:
        page = windows.desk()
        sign_in(page, base, "收银员甲")
        page.goto(f"{base}/console/requests/?group=cashier")
        page.focus(f"a[href*='{numbers['first']}']")
        page.keyboard.press("Enter")
        page.wait_for_selector(".aside")
        assert "group=cashier" in page.url, "the filter is kept"
        assert page.evaluate("document.activeElement.tagName") == "H2"
        shoot(page, "console-request-to-confirm")

        page.click("text=确认开票 ¥200.00")

        page.wait_for_selector("[role=status]")
        assert "已确认" in page.inner_text("[role=status]")
        shoot(page, "console-request-confirmed")
        page.go_back()


def test_every_page_is_readable_in_both_colours_and_narrow(
    house: House, clock: Clock, windows: Windows
) -> None:
    numbers = fill(house, clock)
    pages = {
        "today": "today/",
        "requests": "requests/",
        "request": f"requests/{numbers['code']}",
        "invoices": "invoices/",
        "transactions": "transactions/",
        "transaction": f"transactions/{house.ids(numbers['issued'])[0]}",
        "tasks": "tasks/",
        "outbox": "outbox/",
        "audit": "audit/",
        "staff": "staff/",
        "printers": "printers/",
    }
    with served(house) as base:
        for colours, width in (("light", 1280), ("dark", 1280), ("light", 768), ("light", 320)):
            page = windows.desk(color_scheme=colours, viewport={"width": width, "height": 800})
            sign_in(page, base, "管理员")
            for name, path in pages.items():
                page.goto(f"{base}/console/{path}")
                assert not contrast(page), (colours, width, name)
                assert overflow(page) <= 0, (width, name)
                shoot(page, f"console-{name}-{colours}-{width}")


def test_the_end_of_a_session_is_told_before_and_the_form_stays(
    house: House, clock: Clock, windows: Windows
) -> None:
    with served(house) as base:
        page = windows.desk()
        page.clock.install()
        sign_in(page, base, "收银员甲")
        page.goto(f"{base}/console/transactions/")
        page.fill("#q", "typed and not sent")
        page.clock.fast_forward("28:10")
        page.wait_for_selector("#idle:not([hidden])")
        shoot(page, "console-idle")

        page.click("#idle-stay")

        page.wait_for_selector("#idle", state="hidden")
        page.clock.fast_forward("30:10")
        page.wait_for_selector("#idle-login:not([hidden])")
        assert page.input_value("#q") == "typed and not sent"
