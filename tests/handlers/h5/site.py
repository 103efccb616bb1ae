"""The customer's pages in a browser of our own making: follows the platform's login, fills forms in as they stand."""

import re
import urllib.request
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote, urlsplit

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from miniapp import db
from miniapp.payments import slips
from miniapp.payments.models import TerminalTransaction
from tests.people import Retailer

WECHAT = "Mozilla/5.0 (iPhone) MicroMessenger/8.0"


@dataclass
class Phone:
    """One person's wallet browser: its cookies, and the sandbox's login that knows who holds it."""

    client: FlaskClient
    retailer: Retailer
    person: str
    seen: TestResponse | None = None
    agent: str = WECHAT

    def open(self, path: str) -> "Seen":
        """Open an address, through the login where it leads there, as far as it redirects."""
        return self._follow(self.client.get(path, **self._options))

    def get(self, path: str) -> TestResponse:
        """One request, nothing followed."""
        return self.client.get(path, **self._options)

    def press(self, page: "Seen", button: str, **changes: Any) -> "Seen":
        """Fill the form of a button in and send it; ``changes`` replace fields, None leaves one out."""
        return self._follow(self.send(page, button, **changes))

    def send(self, page: "Seen", button: str, **changes: Any) -> TestResponse:
        """The same without following."""
        form = page.form_of(button)
        fields = {name: values for name, values in form.fields.items() if changes.get(name, "") is not None}
        fields |= {
            name: value if isinstance(value, list) else [value]
            for name, value in changes.items()
            if value is not None
        }
        if form.method == "get":
            query = "&".join(f"{name}={quote(one)}" for name, values in fields.items() for one in values)
            return self.client.get(f"{form.action}?{query}", **self._options)
        return self.client.post(form.action, data=fields, **self._options)

    def _follow(self, answer: TestResponse, hops: int = 12) -> "Seen":
        for _ in range(hops):
            if answer.status_code not in (301, 302, 303):
                return Seen(answer)
            answer = self.client.get(self._next(answer.headers["Location"]), **self._options)
        raise AssertionError("redirected in a ring")

    def _next(self, location: str) -> str:
        parts = urlsplit(location)
        if location.startswith(self.retailer.world.base):
            return self.through_login(location)
        return f"{parts.path}?{parts.query}" if parts.query else parts.path

    def through_login(self, location: str) -> str:
        """What the platform's login page sends back: path and query of our own address."""
        opener = urllib.request.build_opener(_Stay)
        address = f"{location.partition('#')[0]}&person={quote(self.person)}"
        with opener.open(address, timeout=20) as reply:
            parts = urlsplit(reply.headers["Location"])
        return f"{parts.path}?{parts.query}"

    @property
    def _options(self) -> dict[str, Any]:
        return {"base_url": self.retailer.config.public_base, "headers": {"User-Agent": self.agent}}


class _Stay(urllib.request.HTTPRedirectHandler):
    def http_error_302(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any) -> Any:
        return fp

    http_error_303 = http_error_301 = http_error_302


@dataclass
class Form:
    """A form as a browser without scripts would send it."""

    action: str
    method: str
    fields: dict[str, list[str]] = field(default_factory=dict)
    buttons: list[str] = field(default_factory=list)
    button_fields: list[tuple[str, str]] = field(default_factory=list)


class Seen:
    """A page that was answered."""

    def __init__(self, answer: TestResponse) -> None:
        self.answer, self.status = answer, answer.status_code
        self.path = f"{answer.request.path}"
        self.html = answer.get_data(as_text=True) if answer.mimetype == "text/html" else ""
        reader = _Reader()
        reader.feed(self.html)
        self.forms, self.links, self.title = reader.forms, reader.links, reader.title
        self.text = re.sub(r"\s+", " ", "".join(reader.words)).strip()

    def form_of(self, button: str) -> Form:
        """The form that holds the button with these words (or words that begin so)."""
        for form in self.forms:
            for at, words in enumerate(form.buttons):
                if words.startswith(button):
                    name, value = form.button_fields[at]
                    fields = {**form.fields, **({name: [value]} if name else {})}
                    return Form(form.action or self.path, form.method, fields)
        raise AssertionError(f"no button {button!r} on {self.path}: {self.text}")

    def link(self, words: str) -> str:
        """The address behind a link's words."""
        for text, address in self.links:
            if text.startswith(words):
                return address
        raise AssertionError(f"no link {words!r} on {self.path}: {[text for text, _ in self.links]}")

    def values(self, name: str) -> list[str]:
        """What any form of the page holds under a name."""
        return [value for form in self.forms for value in form.fields.get(name, [])]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.links: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.title = ""
        self._open: Form | None = None
        self._button: list[str] | None = None
        self._link: list[str] | None = None
        self._address = ""
        self._area = ""
        self._quiet = False
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        have = {name: value or "" for name, value in attrs}
        self._quiet = self._quiet or tag in ("script", "style")
        self._in_title = tag == "title"
        if tag == "form":
            self._open = Form(have.get("action", ""), have.get("method", "get"))
            self.forms.append(self._open)
        elif tag == "a" and "href" in have:
            self._link, self._address = [], have["href"]
        elif self._open is not None and tag == "button":
            self._button = []
            self._open.button_fields.append((have.get("name", ""), have.get("value", "")))
        elif self._open is not None and tag == "textarea":
            self._area = have.get("name", "")
            self._open.fields.setdefault(self._area, [""])
        elif self._open is not None and tag == "input" and _is_sent(have):
            self._open.fields.setdefault(have["name"], []).append(have.get("value", "on"))

    def handle_endtag(self, tag: str) -> None:
        self._quiet = self._quiet and tag not in ("script", "style")
        self._in_title = False
        if tag == "form":
            self._open = None
        elif tag == "button" and self._button is not None and self._open is not None:
            self._open.buttons.append("".join(self._button).strip())
            self._button = None
        elif tag == "a" and self._link is not None:
            self.links.append(("".join(self._link).strip(), self._address))
            self._link = None
        elif tag == "textarea":
            self._area = ""

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title += data
        elif not self._quiet:
            self.words.append(data)
        if self._button is not None:
            self._button.append(data)
        if self._link is not None:
            self._link.append(data)
        if self._area and self._open is not None:
            self._open.fields[self._area] = [self._open.fields[self._area][0] + data]


def _is_sent(have: dict[str, str]) -> bool:
    """Would a browser send this input with its form?"""
    if "name" not in have or "disabled" in have:
        return False
    return have.get("type") not in ("checkbox", "radio") or "checked" in have


@dataclass
class Site:
    """The application of a retailer, and people who hold a phone in front of it."""

    app: Flask
    retailer: Retailer
    phones: dict[str, Phone] = field(default_factory=dict)

    def phone(self, person: str = "顾客甲") -> Phone:
        """A person's phone, always the same one."""
        if person not in self.phones:
            self.phones[person] = Phone(self.app.test_client(), self.retailer, person)
        return self.phones[person]

    def another_phone(self, person: str = "顾客甲") -> Phone:
        """A second phone of the same person."""
        return Phone(self.app.test_client(), self.retailer, person)


def slip_of(number: str) -> tuple[str, str]:
    """Claim code, and path of the QR code's address, of a sale's slip."""
    with db.reading() as session:
        sale = session.scalars(
            select(TerminalTransaction.id).where(
                TerminalTransaction.out_trade_no == number, TerminalTransaction.kind == "sale"
            )
        ).one()
    slip = slips.sheet(sale)
    return slip.claim_code, urlsplit(slip.url).path


def issued(site: Site, amount_fen: int = 8800, *, person: str = "顾客甲") -> tuple[str, str]:
    """Public ids of a request and its invoice, issued with its files."""
    retailer = site.retailer
    request = retailer.ask(retailer.sale(amount_fen, payer=person), customer=retailer.customer(person))
    retailer.settle(rounds=3)
    view = retailer.view(request)
    assert view.row.invoice, view.row.state
    return request, view.row.invoice
