"""``transactions``, ``slips``, ``heartbeat``, the OpenAPI document: shapes, amounts, names, foreign terminals."""

import base64
import json

import pytest
from sqlalchemy import select

from miniapp import db
from miniapp.payments.models import KeyConflict, SettledReply, TransactionLine
from miniapp.stores.models import Terminal
from tests.handlers.terminal.tills import TillClient
from tests.payments.shop import Shop


def row(number: str | None = "A1", **more):
    values = {
        "kind": "sale",
        "platform": "wechat",
        "amount_fen": 8800,
        "occurred_at": "2026-11-24T10:29:00+08:00",
        "out_trade_no": number,
        **more,
    }
    return {name: value for name, value in values.items() if value is not None}


def results(door: TillClient, *rows, **more) -> list[str]:
    reply = door.post("transactions", {"transactions": list(rows)}, **more)
    assert reply.status_code == 200, reply.text
    return [result["result"] for result in reply.json["results"]]


def lines() -> list[TransactionLine]:
    with db.reading() as session:
        return list(session.scalars(select(TransactionLine).order_by(TransactionLine.id)))


def test_the_answer_has_a_slip_for_each_sale(door: TillClient, shop: Shop) -> None:
    reply = door.post("transactions", {"transactions": [row()]})
    (result,) = reply.json["results"]
    assert set(result) == {"out_trade_no", "result", "message", "slip"}
    slip = result["slip"]
    assert set(slip) == {"claim_code", "url", "qr_png_base64", "qr_matrix", "lines"}
    assert base64.b64decode(slip["qr_png_base64"]).startswith(b"\x89PNG")
    assert set("".join(slip["qr_matrix"])) == {"0", "1"}
    assert door.get("slips/A1").json == slip
    assert door.get("slips/NOBODY").status_code == 404


def test_a_slip_of_another_store_is_not_there(door: TillClient, shop: Shop) -> None:
    shop.sale("A1")
    other = TillClient(door.client, "k2", "fedcba9876543210fedcba9876543210")
    assert other.get("slips/A1").status_code == 404


@pytest.mark.parametrize("amount", [1, 10_000_000_000])
def test_amounts_that_are_good(door: TillClient, amount) -> None:
    assert results(door, row(amount_fen=amount)) == ["recorded"]


@pytest.mark.parametrize(
    "amount",
    [0, -1, 10_000_000_001, 2**63, 1.0, 88.5, "8800", "８８", True, None, [1], {}],
    ids=repr,
)
def test_amounts_that_are_not_refuse_their_row_only(door: TillClient, shop: Shop, amount) -> None:
    bad = {**row("A1"), "amount_fen": amount}
    assert results(door, bad, row("A2")) == ["refused", "recorded"]
    assert [one.out_trade_no for one in shop.rows()] == ["A2"]


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("92号汽油", "92号汽油"),
        (" 牛奶 ", "牛奶"),
        ("a\u200bb\u202ec\ufeff", "abc"),
        ("e\u0301", "é"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("=1+1", "=1+1"),
        ("𠮷野家", "𠮷野家"),
        ("𠮷" * 90, "𠮷" * 90),
    ],
)
def test_names_that_are_good(door: TillClient, name: str, kept: str) -> None:
    assert results(door, row(lines=[{"name": name, "amount_fen": 8800}])) == ["recorded"]
    assert [line.name for line in lines()] == [kept]


@pytest.mark.parametrize(
    "name", ["", " ", "\u200b", "a\x00b", "a\nb", "a\x1bb", "a\x85b", "字" * 91, 5, None]
)
def test_names_that_are_not(door: TillClient, name) -> None:
    assert results(door, row(lines=[{"name": name, "amount_fen": 8800}])) == ["refused"]


def test_lone_surrogates_are_refused(door: TillClient) -> None:
    raw = json.dumps({"transactions": [row(lines=[{"name": "a\ud800", "amount_fen": 1}])]}).encode()
    reply = door.send("POST", "transactions", raw=raw)
    assert reply.status_code == 200 and reply.json["results"][0]["result"] == "refused"


@pytest.mark.parametrize(
    "more",
    [
        {"store_id": 5},
        {"status": "paid"},
        {"kind": "gift"},
        {"platform": "WeChat; DROP"},
        {"platform": "unionpay"},
        {"occurred_at": "2026-11-24 10:29:00"},
        {"occurred_at": "2026-11-24T10:29:00"},
        {"occurred_at": 1780620000},
        {"occurred_at": "2026-13-24T10:29:00+08:00"},
        {"occurred_at": "2027-11-24T10:29:00+08:00"},
        {"out_trade_no": "a b"},
        {"out_trade_no": "x" * 65},
        {"out_trade_no": None},
        {"out_refund_no": "R1"},
        {"tenders": [{"kind": "wallet", "funder": "customer", "amount_fen": 1}]},
        {"tenders": [{"kind": "gold", "funder": "customer", "amount_fen": 8800}]},
        {"tenders": [{"kind": "wallet", "funder": "nobody", "amount_fen": 8800}]},
        {"payer": {"app_id": "wx1"}},
        {"lines": [{"name": "x", "amount_fen": 1, "price": 2}]},
        {"lines": [{"name": "x", "amount_fen": 1, "tax_rate": "13%"}]},
        {"lines": [{"name": "x", "amount_fen": 1, "quantity": "١"}]},
        {"lines": [{"name": "x", "amount_fen": 1, "tax_category_code": "12"}]},
        {"lines": "x"},
    ],
    ids=str,
)
def test_a_row_that_is_not_as_agreed_is_refused_with_its_reason(door: TillClient, shop: Shop, more) -> None:
    reply = door.post("transactions", {"transactions": [{**row(), **more}, row("A2")]})
    first, second = reply.json["results"]
    assert (first["result"], second["result"]) == ("refused", "recorded") and first["message"]
    assert len(shop.rows()) == 1


def test_unknown_keys_outside_the_rows_refuse_all(door: TillClient, shop: Shop) -> None:
    reply = door.post("transactions", {"transactions": [row()], "owner": 1})
    assert reply.status_code == 400 and "owner" in reply.json["error"]["hint"]
    assert shop.rows() == []


@pytest.mark.parametrize("foreign", [{"terminal": "T02"}, {"store": "s2"}, {"terminal": 5}])
def test_a_foreign_terminal_refuses_the_batch(door: TillClient, shop: Shop, foreign) -> None:
    for body in (
        {"transactions": [row("A1"), {**row("A2"), **foreign}]},
        {"transactions": [row("A1")], **foreign},
    ):
        reply = door.post("transactions", body)
        assert reply.status_code == 403 and reply.json["error"]["code"] == "FOREIGN_TERMINAL"
    assert shop.rows() == []


def test_full_width_numbers_are_the_plain_ones(door: TillClient, shop: Shop) -> None:
    assert results(door, row("Ａ１２３４")) == ["recorded"]
    assert shop.rows()[0].out_trade_no == "A1234"


def test_an_order_of_kinds_in_one_batch(door: TillClient, shop: Shop) -> None:
    refund = row("A1", kind="refund", out_refund_no="R1", amount_fen=300)
    early = row("A9", kind="refund", out_refund_no="R9", amount_fen=300)
    whole = row("A2", kind="revocation")
    assert results(door, row("A1"), refund, early, row("A2"), whole, row("A9"), refund) == [
        "recorded",
        "recorded",
        "recorded",
        "recorded",
        "recorded",
        "recorded",
        "known",
    ]
    balances = {one.out_trade_no: shop.balance(one.id)[0] for one in shop.rows("sale")}
    assert balances == {"A1": 8500, "A2": 0, "A9": 8500}


def test_a_till_reads_its_rows_back_page_by_page(door: TillClient, shop: Shop) -> None:
    shop.report(*[_report(n) for n in range(130)])
    first = door.get("transactions").json
    second = door.get(f"transactions?since={first['next']}").json
    third = door.get(f"transactions?since={second['next']}").json
    numbers = [one["out_trade_no"] for one in first["transactions"] + second["transactions"]]
    assert numbers == [f"B{n:03d}" for n in range(130)] and third["transactions"] == []
    assert third["next"] == second["next"]
    other = TillClient(door.client, "k2", "fedcba9876543210fedcba9876543210")
    assert other.get("transactions").json["transactions"] == []
    for wrong in ("x", "%00", "dDEn", "9" * 100):
        assert door.get(f"transactions?since={wrong}").status_code == 400


def _report(n: int):
    from tests.payments.shop import sale

    return sale(f"B{n:03d}")


def test_a_heartbeat_is_kept(door: TillClient, shop: Shop) -> None:
    beat = {
        "power": {"source": "battery", "battery_percent": 80},
        "network": "wifi",
        "printer": {"state": "stopped", "reasons": ["media-empty"]},
        "app_version": "1.2",
        "sent_at": "2026-11-24T10:30:00+08:00",
    }
    assert door.post("heartbeat", beat).status_code == 200
    assert door.post("heartbeat", {**beat, "role": "admin"}).status_code == 400
    assert door.post("heartbeat", {"power": {"battery_percent": 101}}).status_code == 400
    with db.reading() as session:
        kept = session.get_one(Terminal, shop.terminal_id)
        assert kept.last_beat is not None and kept.last_beat["power"]["battery_percent"] == 80
        assert kept.last_beat_at is not None


def test_the_same_key_gets_the_same_bytes_again(door: TillClient, shop: Shop) -> None:
    body = {"transactions": [row()]}
    first = door.post("transactions", body, idempotency_key="one")
    again = door.post("transactions", body, idempotency_key="one")
    without = door.post("transactions", body)
    assert first.data == again.data and first.status_code == again.status_code == 200
    assert without.json["results"][0]["result"] == "known"
    assert len(shop.rows()) == 1


def test_a_key_means_one_request(door: TillClient, shop: Shop) -> None:
    door.post("transactions", {"transactions": [row("A1")]}, idempotency_key="one")
    other = door.post("transactions", {"transactions": [row("A2")]}, idempotency_key="one")
    assert other.status_code == 422 and other.json["error"]["code"] == "KEY_OTHER_CONTENT"
    assert [one.out_trade_no for one in shop.rows()] == ["A1"]
    with db.reading() as session:
        assert len(session.scalars(select(KeyConflict)).all()) == 1
    second_till = TillClient(door.client, "k2", "fedcba9876543210fedcba9876543210")
    assert results(second_till, row("A3"), idempotency_key="one") == ["recorded"]


def test_a_refused_request_keeps_nothing(door: TillClient) -> None:
    assert door.post("transactions", {"wrong": 1}, idempotency_key="one").status_code == 400
    assert door.post("refunds", _refund("NOBODY"), idempotency_key="one").status_code == 404
    with db.reading() as session:
        assert session.scalars(select(SettledReply)).all() == []
    assert results(door, row(), idempotency_key="one") == ["recorded"]


def _refund(number: str):
    return {"out_trade_no": number, "out_refund_no": "R1", "refund_fen": 1}


@pytest.mark.parametrize("key", ["", "a b", "é", "x" * 81])
def test_a_key_has_a_form(door: TillClient, key: str) -> None:
    assert door.post("transactions", {"transactions": [row()]}, idempotency_key=key).status_code == 400


def test_errors_are_of_one_shape(door: TillClient) -> None:
    for reply in (
        door.client.get("/terminal/v1/transactions"),
        door.get("nowhere"),
        door.send("DELETE", "transactions"),
        door.send("POST", "transactions", raw=b"{"),
        door.send("POST", "transactions", raw=b" " * 70_000),
    ):
        assert reply.status_code >= 400 and set(reply.json["error"]) == {"code", "message", "hint"}


def test_the_document_names_every_route_and_body(door: TillClient) -> None:
    document = door.client.get("/terminal/v1/openapi.json").json
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) == {
        "/charges",
        "/charges/{out_trade_no}",
        "/transactions",
        "/refunds",
        "/slips/{out_trade_no}",
        "/heartbeat",
    }
    schemas = document["components"]["schemas"]
    assert schemas["ChargeBody"]["required"] == ["out_trade_no", "payment_code", "amount_fen"]
    assert schemas["ChargeBody"]["additionalProperties"] is False
    assert schemas["TransactionBody"]["required"] == ["kind", "platform", "amount_fen", "occurred_at"]
    named = {part for part in json.dumps(document).split('"') if part.startswith("#/components/schemas/")}
    assert {name.rsplit("/", 1)[1] for name in named} <= set(schemas)
