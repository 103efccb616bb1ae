"""Route × role: the table is generated from the URL map; a route that does not say who may is a failure."""

import re
from collections.abc import Iterator

import pytest
from flask import Flask
from werkzeug.routing import Rule

from miniapp.stores.rules import ABILITIES
from tests.handlers.console.shop import STAFF, House

PUBLIC = {"console.login.form", "console.login.enter", "console.login.leave"}
FILLED = {"code": "AAAAAA", "number": "0" * 20, "public_id": "A" * 22, "form": "pdf"}
ROLES = {"cashier": "收银员甲", "manager": "店长甲", "finance": "财务甲", "administrator": "管理员"}
SQLITE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def routes(app: Flask, *, everywhere: bool = False) -> Iterator[tuple[Rule, str]]:
    """Every (rule, method) of the console; of the whole program where asked."""
    for rule in app.url_map.iter_rules():
        if everywhere or rule.endpoint.startswith("console."):
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                yield rule, method


def ability(app: Flask, rule: Rule) -> str | None:
    found: str | None = getattr(app.view_functions[rule.endpoint], "ability", None)
    return found


def address(app: Flask, rule: Rule) -> str:
    values = {
        name: FILLED.get(name, 999_999 if "int" in rule.rule else "2026-11-23") for name in rule.arguments
    }
    for name in rule.arguments:
        if f"<int:{name}>" in rule.rule:
            values[name] = 999_999
    with app.test_request_context("/"):
        from flask import url_for

        return url_for(rule.endpoint, **values)  # type: ignore[arg-type]


@SQLITE
def test_every_route_of_the_console_says_who_may(house: House) -> None:
    silent = [rule.rule for rule, _ in routes(house.app) if ability(house.app, rule) is None]

    assert not silent
    assert {rule.endpoint for rule, _ in routes(house.app) if ability(house.app, rule) == "public"} == PUBLIC


def test_a_page_that_does_not_say_who_may_stops_the_start() -> None:
    from miniapp.handlers.console.pages import Page

    with pytest.raises(LookupError, match="who may"):
        Page(title="x").get("/")(lambda: "")


@SQLITE
def test_a_stranger_is_sent_to_the_login_from_every_route(house: House) -> None:
    seat = house.stranger()
    token = seat.token("/console/login/")
    for rule, method in routes(house.app):
        if rule.endpoint in PUBLIC:
            continue
        reply = seat.client.open(address(house.app, rule), method=method, headers={"X-CSRFToken": token})
        assert reply.status_code == 303, rule.rule
        assert reply.location.startswith("/console/login/"), rule.rule


@SQLITE
def test_each_role_reaches_its_routes_and_no_other(house: House) -> None:
    for role in ROLES:
        _walk(house, role)


def _walk(house: House, role: str) -> None:
    seat = house.seat(ROLES[role])
    token = seat.token("/console/staff/")
    for rule, method in routes(house.app):
        wanted = ability(house.app, rule)
        if wanted == "public" or rule.endpoint == "console.login.leave":
            continue
        reply = seat.client.open(address(house.app, rule), method=method, headers={"X-CSRFToken": token})
        if wanted in ABILITIES[role]:
            assert reply.status_code in (200, 204, 303, 400, 404, 409, 422), (rule.rule, reply.status_code)
        else:
            assert reply.status_code == 403, (role, method, rule.rule, reply.status_code)


@SQLITE
def test_the_menu_shows_what_the_role_may_open(house: House) -> None:
    for role, name in ROLES.items():
        page = house.seat(name).see("/console/today/")
        menu = page[page.index('<nav aria-label="主菜单">') : page.index("</nav>")]
        for link in re.findall(r'href="([^"]+)"', menu):
            house.seat(name).see(link)
        assert ("发件箱" in menu) == ("see_outbox" in ABILITIES[role])


@SQLITE
def test_nothing_is_changed_by_looking(house: House) -> None:
    """A GET route writes nothing: no verb is called, no audit line is added."""
    from sqlalchemy import func, select

    from miniapp import db
    from miniapp.core.models import AuditLine

    seats = [house.seat(name) for name in STAFF]

    def lines() -> int:
        with db.reading() as session:
            return session.scalars(select(func.count()).select_from(AuditLine)).one()

    before = lines()
    for seat in seats:
        for rule, method in routes(house.app):
            if method == "GET":
                seat.client.get(address(house.app, rule))
    assert lines() == before


@SQLITE
def test_a_role_of_one_company_does_not_open_what_belongs_to_all(house: House) -> None:
    seat = house.seat("财务丙")

    assert seat.client.get("/console/outbox/").status_code == 403
    assert "发件箱" not in seat.see("/console/today/")


@SQLITE
def test_every_form_of_every_page_carries_its_token(house: House) -> None:
    for name in STAFF:
        seat = house.seat(name)
        for rule, method in routes(house.app):
            if method != "GET" or rule.arguments:
                continue
            page = seat.client.get(rule.rule).get_data(as_text=True)
            for form in re.findall(r'<form[^>]*method="post".*?</form>', page, re.S):
                assert 'name="csrf_token"' in form, (rule.rule, form[:200])


@SQLITE
def test_no_page_holds_script_or_style_of_its_own(house: House) -> None:
    seat = house.seat("管理员")
    for rule, method in routes(house.app):
        if method == "GET" and not rule.arguments:
            reply = seat.client.get(rule.rule)
            page = reply.get_data(as_text=True)
            assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=", page), rule.rule
            assert "default-src 'none'" in reply.headers["Content-Security-Policy"]


@SQLITE
@pytest.mark.parametrize(
    "words",
    [
        "_external=1&_scheme=javascript",
        "_anchor=x",
        "code=A",
        "number=1",
        "public_id=x",
        "page=9e9",
        "q=%00%ff",
    ],
)
def test_strange_words_in_the_address_bend_no_link(house: House, words: str) -> None:
    seat = house.seat("管理员")
    for name in ("requests", "invoices", "transactions", "tasks", "outbox", "audit", "printers", "today"):
        reply = seat.client.get(f"/console/{name}/?{words}")
        assert reply.status_code in (200, 404, 422), (name, words, reply.status_code)
        assert "javascript:" not in reply.get_data(as_text=True), name
