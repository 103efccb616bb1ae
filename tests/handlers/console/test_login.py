"""Signing in, staying, leaving."""

import pytest

from tests.clocks import Clock
from tests.handlers.console.shop import PASSWORD, House

LOGIN = "/console/login/"


def test_staff_sign_in_and_see_the_board(house: House) -> None:
    assert "等待处理" in house.seat("收银员甲").see("/console/today/")


def test_a_page_sends_a_stranger_to_the_login_and_back_to_its_list(house: House) -> None:
    seat = house.stranger()
    reply = seat.client.get("/console/requests/ABCDEF")
    assert reply.status_code == 303 and "next=console.requests.detail" in reply.location

    reply = seat.send(LOGIN, page=LOGIN, login="cashier_a", password=PASSWORD, next="console.requests.detail")

    assert reply.location == "/console/requests/"


@pytest.mark.parametrize(
    "wanted", ["https://example.com/", "//example.com", "h5.purchases.index", "console.login.form", ""]
)
def test_next_is_the_name_of_one_of_our_pages_or_nothing(house: House, wanted: str) -> None:
    reply = house.stranger().send(LOGIN, page=LOGIN, login="cashier_a", password=PASSWORD, next=wanted)

    assert reply.status_code == 303 and reply.location == "/console/today/"


def test_a_wrong_password_and_an_unknown_login_look_the_same(house: House) -> None:
    seat = house.stranger()
    wrong = seat.send(LOGIN, page=LOGIN, login="cashier_a", password="not-the-password")
    unknown = seat.send(LOGIN, page=LOGIN, login="nobody", password="not-the-password")

    assert wrong.status_code == unknown.status_code == 401
    for reply in (wrong, unknown):
        assert "登录名或密码不对" in reply.get_data(as_text=True)
    assert 'value="cashier_a"' in wrong.get_data(as_text=True), "what was typed stays"


def test_guessing_is_paused_and_the_pause_ends(house: House, clock: Clock) -> None:
    seat = house.stranger()
    for _ in range(10):
        seat.send(LOGIN, page=LOGIN, login="cashier_a", password="not-the-password")

    paused = seat.send(LOGIN, page=LOGIN, login="cashier_a", password=PASSWORD)
    clock.forward(minutes=61)
    later = seat.send(LOGIN, page=LOGIN, login="cashier_a", password=PASSWORD)

    assert paused.status_code == 429 and int(paused.headers["Retry-After"]) > 0
    assert later.status_code == 303


def test_the_token_is_new_at_every_sign_in_and_the_old_one_is_dead(house: House) -> None:
    seat = house.seat("收银员甲")
    old = seat.client.get_cookie("console")
    assert old is not None

    seat.client.post(
        LOGIN, data={"csrf_token": seat.token("/console/staff/"), "login": "cashier_a", "password": PASSWORD}
    )

    new = seat.client.get_cookie("console")
    assert new is not None and new.value != old.value
    thief = house.stranger()
    thief.client.set_cookie("console", old.value)
    assert thief.client.get("/console/today/").status_code == 303


def test_the_cookie_is_closed_to_scripts_and_other_sites(house: House) -> None:
    reply = house.stranger().send(LOGIN, page=LOGIN, login="cashier_a", password=PASSWORD)

    cookie = next(line for line in reply.headers.getlist("Set-Cookie") if line.startswith("console="))
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Path=/" in cookie


def test_half_an_hour_without_a_hand_signs_out(house: House, clock: Clock) -> None:
    seat = house.seat("收银员甲")
    clock.forward(minutes=29)
    seat.see("/console/today/")
    clock.forward(minutes=29)
    seat.see("/console/today/")
    clock.forward(minutes=31)

    assert seat.client.get("/console/today/").status_code == 303


def test_staying_counts_as_a_hand(house: House, clock: Clock) -> None:
    seat = house.seat("收银员甲")
    token = seat.token("/console/staff/")
    clock.forward(minutes=28)
    reply = seat.client.post("/console/login/stay", headers={"X-CSRFToken": token})
    clock.forward(minutes=28)

    assert reply.status_code == 204
    seat.see("/console/today/")


def test_leaving_ends_the_session_everywhere_the_token_is(house: House) -> None:
    seat = house.seat("收银员甲")
    cookie = seat.client.get_cookie("console")
    assert cookie is not None

    reply = seat.send("/console/login/leave")

    assert reply.status_code == 303
    thief = house.stranger()
    thief.client.set_cookie("console", cookie.value)
    assert thief.client.get("/console/today/").status_code == 303


def test_a_form_without_its_token_changes_nothing(house: House) -> None:
    seat = house.seat("收银员甲")

    reply = seat.client.post("/console/staff/on-duty")

    assert reply.status_code == 400 and "没有提交" in reply.get_data(as_text=True)
    assert "现在没有当班" not in seat.see("/console/today/")


def test_signing_in_stands_in_the_trail_with_its_address(house: House) -> None:
    house.seat("收银员甲")

    page = house.seat("管理员").see("/console/audit/?subject=staff&who=cashier_a")

    assert "登录" in page and "127.0.0.1" in page


@pytest.mark.parametrize("login", ["cashier_a\x00", "\x1b[2J", "a" * 5000])
def test_a_login_that_is_none_is_refused_and_not_a_fault_of_ours(house: House, login: str) -> None:
    reply = house.stranger().send(LOGIN, page=LOGIN, login=login, password=PASSWORD)

    assert reply.status_code in (401, 422)


def test_control_characters_in_an_address_or_a_form_are_refused(house: House) -> None:
    seat = house.seat("财务甲")

    for address in (
        "requests/?q=%00",
        "requests/AB%00",
        "transactions/?q=%00",
        "invoices/%00",
        "audit/?who=%00",
    ):
        seat.see(f"/console/{address}", 422)
    assert seat.send("/console/outbox/1/give-up", why="a\x00b").status_code == 422
