"""One way out: what counts as an answer, what was certainly not sent, and what is never written down."""

import logging
import ssl
import time
from pathlib import Path

import pytest

from miniapp.platforms import http
from miniapp.platforms.breaker import FAILURES_TO_OPEN
from miniapp.platforms.http import NoAnswer, Way
from tests.platforms.peers import DROP, Answer, Keys, certificate, peer
from tests.processes import free_port


def test_an_answer_of_any_status_comes_back_whole():
    with peer(lambda _: Answer(b"no", 404, {"X-Why": "none"})) as other:
        reply = Way(other.base).call("GET", "/a?b=1")
    assert (reply.status, reply.body, reply.headers["x-why"]) == (404, b"no", "none")
    assert other.seen[0].target == "/a?b=1"


@pytest.mark.parametrize("cut", range(0, 12, 3))
def test_a_cut_reply_is_no_answer(cut):
    with peer(lambda _: Answer(b"twelve bytes", cut=cut)) as other, pytest.raises(NoAnswer) as none:
        Way(other.base).call("POST", "/", body=b"x")
    assert (none.value.reason, none.value.sent) == ("cut", True)


def test_a_dropped_connection_may_have_been_read():
    with peer(lambda _: DROP) as other, pytest.raises(NoAnswer) as none:
        Way(other.base).call("POST", "/", body=b"x")
    assert none.value.sent and len(other.seen) == 1


def test_nobody_listening_is_proof_that_nothing_was_sent():
    with pytest.raises(NoAnswer) as none:
        Way(f"http://127.0.0.1:{free_port()}").call("POST", "/", body=b"x")
    assert (none.value.reason, none.value.sent) == ("no_connection", False)


def test_a_slow_answer_is_given_up():
    with peer(lambda _: Answer(b"late", delay=0.6)) as other, pytest.raises(NoAnswer) as none:
        Way(other.base, read_seconds=0.2).call("GET", "/")
    assert (none.value.reason, none.value.sent) == ("timeout", True)


def test_an_answer_that_drips_does_not_hold_us_for_ever():
    began = time.monotonic()
    with peer(lambda _: Answer(b"x" * 600, drip=0.05)) as other, pytest.raises(NoAnswer, match="timeout"):
        Way(other.base, read_seconds=0.2).call("GET", "/")
    assert time.monotonic() - began < 4


def test_a_chunked_answer_is_whole_or_none():
    chunks = b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    heads = {"Transfer-Encoding": "chunked", "Content-Length": ""}
    with peer(lambda _: Answer(chunks, headers=heads)) as other:
        assert Way(other.base).call("GET", "/").body == b"abcde"
        other.answer = lambda _: Answer(chunks, headers=heads, cut=12)
        with pytest.raises(NoAnswer, match="cut"):
            Way(other.base).call("GET", "/")


def test_one_resting_target_does_not_stop_another_on_the_same_host():
    with peer(lambda request: DROP if request.path.startswith("/tax") else Answer(b"fine")) as other:
        for _ in range(FAILURES_TO_OPEN):
            with pytest.raises(NoAnswer):
                Way(f"{other.base}/tax").call("GET", "/")
        assert Way(f"{other.base}/pay").call("GET", "/").body == b"fine"


def test_no_redirect_is_followed():
    with (
        peer(lambda _: Answer(b"mine")) as foreign,
        peer(lambda _: Answer(status=307, headers={"Location": foreign.base})) as other,
        pytest.raises(NoAnswer, match="redirect"),
    ):
        Way(other.base).call("POST", "/", body=b"secret")
    assert foreign.seen == []


def test_an_answer_beyond_the_cap_is_not_read():
    with peer(lambda _: Answer(b"x" * 5000)) as other, pytest.raises(NoAnswer, match="too_large"):
        Way(other.base, answer_bytes=4000).call("GET", "/")


def test_a_silent_target_rests_and_says_that_nothing_was_sent():
    with peer(lambda _: DROP) as other:
        way = Way(other.base)
        for _ in range(FAILURES_TO_OPEN):
            with pytest.raises(NoAnswer):
                way.call("GET", "/")
        with pytest.raises(NoAnswer) as none:
            way.call("GET", "/")
    assert (none.value.reason, none.value.sent) == ("resting", False)
    assert len(other.seen) == FAILURES_TO_OPEN


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:1/x",
        "file:///etc/passwd",
        "http://bill.example.com.evil.test/x",
        "http://user@bill.example.com/x",
        "gopher://bill.example.com/x",
        "",
    ],
)
def test_an_address_that_another_system_names_is_checked(address):
    with pytest.raises(NoAnswer) as none:
        http.fetch(
            address, configured=("http://127.0.0.1:9",), public=(".bill.example.com", "bill.example.com")
        )
    assert not none.value.sent


def test_a_public_name_that_leads_inside_is_refused():
    with pytest.raises(NoAnswer, match="private_address"):
        http.check_address("http://bill.localhost/x", configured=(), public=(".localhost",))


def test_nothing_of_address_header_or_body_is_logged(caplog):
    caplog.set_level(logging.DEBUG)
    with peer(lambda _: Answer(b"answer-secret")) as other:
        Way(other.base).call(
            "POST",
            "/p",
            query={"access_token": "query-secret"},
            headers={"A": "head-secret"},
            body=b"body-secret",
        )
    said = "\n".join(str(record.__dict__) for record in caplog.records)
    assert "/p" in said and "secret" not in said


def test_the_merchants_certificate_is_shown_where_it_is_asked_for(our_keys, platform_keys, tmp_path):
    _, server_cert, server_key = certificate(platform_keys, "localhost", tmp_path)
    client_pem, client_cert, _ = certificate(our_keys, "merchant", tmp_path)
    http.trust(str(server_cert))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server_cert, server_key)
    context.load_verify_locations(client_cert)
    context.verify_mode = ssl.CERT_REQUIRED
    with peer(lambda _: Answer(b"in"), tls=context) as other:
        with pytest.raises(NoAnswer):
            Way(other.base).call("GET", "/")
        way = Way(other.base, client_cert=client_pem, client_key=our_keys.private)
        assert way.call("GET", "/").body == b"in"
        assert our_keys.private not in repr(way)


def test_an_unknown_authority_is_refused(platform_keys: Keys, tmp_path: Path):
    _, cert, key = certificate(platform_keys, "localhost", tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    http._extra_authorities.clear()
    http._session.cache_clear()
    with peer(lambda _: Answer(b"in"), tls=context) as other, pytest.raises(NoAnswer, match="tls"):
        Way(other.base).call("GET", "/")
    assert other.seen == []
