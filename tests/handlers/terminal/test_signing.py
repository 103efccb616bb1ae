"""Who may come in: each part of the signature, time, replay, rotation, size and form of the body."""

import json
from datetime import UTC, datetime

import pytest
from sqlalchemy import select, update

from miniapp import db
from miniapp.core import clock as program_clock
from miniapp.core import vault
from miniapp.handlers.terminal import signing
from miniapp.payments.models import TerminalNonce, TerminalTransaction
from miniapp.stores.models import TerminalKey
from tests.clocks import Clock
from tests.databases import Database
from tests.handlers.terminal.tills import KEY, TillClient, sign

SALE = {
    "transactions": [
        {
            "kind": "sale",
            "platform": "wechat",
            "amount_fen": 8800,
            "occurred_at": "2026-11-24T10:29:00+08:00",
            "out_trade_no": "A1",
        }
    ]
}


def rows() -> int:
    with db.reading() as session:
        return len(session.scalars(select(TerminalTransaction)).all())


def test_the_published_vector() -> None:
    body = b'{"out_trade_no":"S031T02202606050001"}'
    sent = signing.Sent("POST", "/terminal/v1/transactions", "", body)
    wanted = "ac73f7c5f711694b35ebb779dbee2ef690f32ccb86b85de1b4666c2d2962e2c1"
    assert signing.signature(KEY, sent, ts="1780620000", nonce="n0123456789abcdef") == wanted
    assert sign(KEY, "POST", sent.path, "", "1780620000", "n0123456789abcdef", body) == wanted


def test_the_published_vector_comes_in_at_its_time(
    clock: Clock, database: Database, request: pytest.FixtureRequest
) -> None:
    clock.set(datetime.fromtimestamp(1780620000, UTC))
    door: TillClient = request.getfixturevalue("door")
    body = b'{"out_trade_no":"S031T02202606050001"}'
    header = (
        'MINI-HMAC-SHA256 key="k1",ts="1780620000",nonce="n0123456789abcdef",'
        'sig="ac73f7c5f711694b35ebb779dbee2ef690f32ccb86b85de1b4666c2d2962e2c1"'
    )
    reply = door.send("POST", "transactions", raw=body, header=header)
    assert (
        reply.status_code == 400 and reply.json["error"]["code"] == "BAD_REQUEST"
    )  # signed, but no transactions


def test_a_signed_report_comes_in(door: TillClient) -> None:
    reply = door.post("transactions", SALE)
    assert reply.status_code == 200, reply.json
    assert reply.json["results"][0]["result"] == "recorded"


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": "k2"},
        {"key": "nobody"},
        {"key": "k1\u00e9"},
        {"sig": "0" * 64},
        {"sig": "é" * 32},
        {"sig": "A" * 64},
        {"sig": ""},
        {"nonce": "short"},
        {"nonce": "n" * 65},
        {"nonce": "n n n n n n n n n n"},
        {"ts": "abc"},
        {"ts": "１７８０６２００００"},
        {"ts": "-1"},
        {"signing_key": "another key of thirty-two charact"},
    ],
    ids=str,
)
def test_an_altered_field_stays_out(door: TillClient, wrong: dict[str, str]) -> None:
    header = door.header("POST", "transactions", json.dumps(SALE).encode(), **wrong)
    reply = door.send("POST", "transactions", SALE, header=header.encode("utf-8").decode("latin-1"))
    assert reply.status_code == 401 and set(reply.json["error"]) == {"code", "message", "hint"}
    assert rows() == 0


@pytest.mark.parametrize("field", ["key", "ts", "nonce", "sig"])
def test_a_missing_or_repeated_field_stays_out(door: TillClient, field: str) -> None:
    good = door.header("POST", "transactions", json.dumps(SALE).encode())
    fields = good.removeprefix("MINI-HMAC-SHA256 ").split(",")
    one = next(part for part in fields if part.startswith(f"{field}="))
    for wrong in ([part for part in fields if part != one], [*fields, one], [*fields, f'{field}="x"']):
        reply = door.send("POST", "transactions", SALE, header="MINI-HMAC-SHA256 " + ",".join(wrong))
        assert reply.status_code == 401
    assert rows() == 0


@pytest.mark.parametrize("header", ["", "Basic eA==", "MINI-HMAC-SHA256", "MINI-HMAC-SHA256 " + "x" * 5000])
def test_another_scheme_stays_out(door: TillClient, header: str) -> None:
    assert door.send("POST", "transactions", SALE, header=header).status_code == 401


def test_two_authorizations_stay_out(door: TillClient) -> None:
    header = door.header("POST", "transactions", json.dumps(SALE).encode())
    reply = door.client.post(
        "/terminal/v1/transactions",
        data=json.dumps(SALE),
        content_type="application/json",
        headers=[("Authorization", header), ("Authorization", header)],
    )
    assert reply.status_code == 401


def test_what_is_signed_is_what_was_sent(door: TillClient) -> None:
    content = json.dumps(SALE).encode()
    header = door.header("POST", "transactions", content)
    altered = content.replace(b"8800", b"8801")
    assert door.send("POST", "transactions", raw=altered, header=header).status_code == 401
    assert door.send("POST", "transactions?x=1", raw=content, header=header).status_code == 401
    assert door.send("POST", "refunds", raw=content, header=header).status_code == 401
    assert door.send("GET", "transactions", raw=content, header=header).status_code == 401
    assert rows() == 0


@pytest.mark.parametrize("seconds", [-301, 301, -86400, 10**9])
def test_another_time_stays_out_and_is_told_the_servers(door: TillClient, clock, seconds: int) -> None:
    ts = str(int(clock.moment.timestamp()) + seconds)
    reply = door.post("transactions", SALE, ts=ts)
    assert reply.status_code == 401
    assert reply.json["error"]["code"] == "TIME_DIFFERS"
    assert reply.json["error"]["server_time"] == int(clock.moment.timestamp())
    assert rows() == 0


@pytest.mark.parametrize("seconds", [-300, 0, 300])
def test_the_window_is_five_minutes(door: TillClient, clock, seconds: int) -> None:
    assert door.post("transactions", SALE, ts=str(int(clock.moment.timestamp()) + seconds)).status_code == 200


def test_a_nonce_comes_once(door: TillClient) -> None:
    content = json.dumps(SALE).encode()
    header = door.header("POST", "transactions", content)
    assert door.send("POST", "transactions", SALE, header=header).status_code == 200
    again = door.send("POST", "transactions", SALE, header=header)
    assert again.status_code == 401 and again.json["error"]["code"] == "REPLAYED"


def test_a_refused_signature_leaves_no_row(door: TillClient) -> None:
    door.post("transactions", SALE, sig="0" * 64)
    with db.reading() as session:
        assert session.scalars(select(TerminalNonce)).all() == []


def test_two_keys_live_at_once_and_a_revoked_one_is_dead_at_once(door: TillClient, shop) -> None:
    other = "abcdefabcdefabcdefabcdefabcdef00"
    with db.transaction() as session:
        session.add(
            TerminalKey(
                terminal_id=shop.terminal_id,
                key_id="k1b",
                secret=vault.wrap(other, name="terminal_key:k1b"),
                added_at=program_clock.now(),
            )
        )
    second = TillClient(door.client, "k1b", other)
    assert door.get("transactions").status_code == second.get("transactions").status_code == 200

    with db.transaction() as session:
        session.execute(
            update(TerminalKey).where(TerminalKey.key_id == "k1").values(revoked_at=program_clock.now())
        )

    assert door.get("transactions").status_code == 401
    assert second.get("transactions").status_code == 200


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b'{"transactions": NaN}',
        b'{"transactions": [], "transactions": []}',
        b'{"transactions": "\xff"}',
        b'{"a":' * 2000 + b"1" + b"}" * 2000,
        b'{"transactions": ' + b"9" * 5000 + b"}",
        "{}".encode("utf-16"),
        b"<xml/>",
    ],
    ids=lambda content: repr(content[:20]),
)
def test_what_is_no_json_object_is_refused(door: TillClient, content: bytes) -> None:
    reply = door.send("POST", "transactions", raw=content)
    assert reply.status_code == 400 and reply.json["error"]["message"]
    assert rows() == 0


def test_a_long_body_is_refused_before_it_is_read(door: TillClient) -> None:
    assert door.send("POST", "transactions", raw=b" " * (64 * 1024 + 1)).status_code == 413


@pytest.mark.parametrize(
    "more",
    [
        {"content_type": "text/plain"},
        {"content_type": "application/x-www-form-urlencoded"},
        {"content_type": "application/json; charset=gbk"},
        {"headers": {"Content-Encoding": "gzip"}},
    ],
    ids=str,
)
def test_another_form_of_body_is_refused(door: TillClient, more) -> None:
    assert door.post("transactions", SALE, **more).status_code == 415
    assert rows() == 0


def test_nothing_but_the_document_is_open(door: TillClient) -> None:
    assert door.client.get("/terminal/v1/openapi.json").status_code == 200
    for path in ("charges/X1", "slips/X1", "transactions"):
        assert door.client.get(f"/terminal/v1/{path}").status_code == 401
    for path in ("charges", "refunds", "transactions", "heartbeat"):
        assert door.client.post(f"/terminal/v1/{path}", json={}).status_code == 401
