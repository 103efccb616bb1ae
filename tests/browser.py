"""A real browser for tests: Debian's chromium, as a customer's phone and as a desk in the shop.

Module scope, because playwright keeps an event loop running in this thread, which would break the tests after it.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, sync_playwright

from tests.guards.network_guard import is_here
from tests.processes import ROOT

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SCREENSHOTS = ROOT / "var" / "screenshots"
_COMMON = {"locale": "zh-CN", "timezone_id": "Asia/Shanghai"}
PHONE = {**_COMMON, "viewport": {"width": 375, "height": 720}, "is_mobile": True, "has_touch": True}
DESK = {**_COMMON, "viewport": {"width": 1280, "height": 800}}


class Windows:
    """Opens windows, each a person of its own with an empty cookie jar; remembers what went wrong in them."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self.problems: list[str] = []

    def phone(self, **options: Any) -> Page:
        """A window of 375 px with touch, as in the chat application."""
        return self._open({**PHONE, **options})

    def desk(self, **options: Any) -> Page:
        """A window of 1280 px, as at a desk."""
        return self._open({**DESK, **options})

    def close(self) -> None:
        """Close every window."""
        for context in self._contexts:
            context.close()
        self._contexts.clear()

    def _open(self, options: dict[str, Any]) -> Page:
        context = self._browser.new_context(**options)
        context.set_default_timeout(15_000)
        context.route("**/*", self._only_here)
        self._contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: self.problems.append(f"script: {error}"))
        page.on("console", lambda line: self._note(line.type, line.text))
        return page

    def _note(self, kind: str, text: str) -> None:
        if kind == "error":
            self.problems.append(f"console: {text}")

    def _only_here(self, route: Route) -> None:
        address = urlsplit(route.request.url)
        if address.scheme in ("data", "blob") or is_here(address.hostname or ""):
            route.continue_()
        else:
            self.problems.append(f"outside: {route.request.url}")
            route.abort()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One chromium for the tests of a module."""
    if not CHROMIUM.exists():
        pytest.fail("chromium is missing: apt-get install chromium")
    with tempfile.TemporaryDirectory(prefix="miniapp-chromium-") as home, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=str(CHROMIUM),
            args=list(FLAGS),
            env={"HOME": home, "PATH": "/usr/bin:/bin", "LANG": "zh_CN.UTF-8"},
        )
        yield chromium
        chromium.close()


@pytest.fixture
def windows(browser: Browser) -> Iterator[Windows]:
    """Windows of a phone or a desk. The test fails if a page called outside or its script broke."""
    opened = Windows(browser)
    yield opened
    opened.close()
    assert not opened.problems, opened.problems


def shoot(page: Page, name: str, *, whole: bool = True) -> Path:
    """Keep a picture of a page in var/screenshots/NAME.png, to be looked at by people."""
    file = SCREENSHOTS / f"{name}.png"
    file.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(file), full_page=whole)
    return file
