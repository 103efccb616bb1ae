"""The tax channel over its wire, as a client that signs for itself sees it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import requests

from tests.sandbox.serving_alipay import Sandbox, running
from tests.sandbox.test_nuonuo_rules import order

KEY, SECRET, SELLER = "SD00000001", "SECRET", "339902999999789113"
BY_QUERIES = {"signing_after_seconds": None, "done_after_seconds": None}


class Client:
    """Signs by itself, so that the sandbox's own signing is checked by another hand."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.url = f"{sandbox.url}/nuonuo"
        self.token = self.new_token()

    def new_token(self) -> str:
        form = {"client_id": KEY, "client_secret": SECRET, "grant_type": "client_credentials"}
        return str(requests.post(f"{self.url}/accessToken", data=form, timeout=5).json()["access_token"])

    def call(self, method: str, content: object, **changes: Any) -> dict[str, Any]:
        body = json.dumps(content, ensure_ascii=False).encode()
        part = {"senid": uuid.uuid4().hex, "nonce": str(10_000_000 + secrets.randbelow(90_000_000))}
        part |= {"timestamp": str(int(time.time())), "appkey": KEY} | changes.pop("query", {})
        text = (
            f"a=services&l=v1&p=open&k={part['appkey']}&i={part['senid']}&n={part['nonce']}"
            f"&t={part['timestamp']}&f="
        )
        sign = base64.b64encode(hmac.new(SECRET.encode(), text.encode() + body, hashlib.sha1).digest())
        headers = {
            "X-Nuonuo-Sign": sign.decode(),
            "accessToken": self.token,
            "userTax": SELLER,
            "method": f"nuonuo.OpeMplatform.{method}",
            "Content-Type": "application/json",
        } | changes.pop("headers", {})
        sent = changes.pop("body", body)
        answer = requests.post(
            f"{self.url}/open/v1/services", params=part, data=sent, headers=headers, timeout=5
        )
        answer.raise_for_status()
        return dict(answer.json())

    def issue(self, number: str, **changes: Any) -> dict[str, Any]:
        return self.call("requestBillingNew", {"order": order(orderNo=number, **changes)})

    def query(self, *numbers: str) -> list[dict[str, Any]]:
        answer = self.call("queryInvoiceResult", {"orderNos": list(numbers), "isOfferInvoiceDetail": "0"})
        assert answer["code"] == "E0000", answer
        return list(answer["result"])

    def done(self, number: str) -> dict[str, Any]:
        self.issue(number)
        for _ in range(3):
            row = self.query(number)[0]
        return row


def entry(**more: Any) -> dict[str, Any]:
    known = {
        "app_key": KEY,
        "app_secret": SECRET,
        "taxpayer_no": SELLER,
        "seller_name": "上海示例商贸有限公司",
    }
    return {**known, "walk": BY_QUERIES, **more}


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with running(tmp_path, nuonuo=[entry()]) as running_sandbox:
        yield running_sandbox


@pytest.fixture
def client(sandbox: Sandbox) -> Client:
    return Client(sandbox)


class Receiver:
    """Keeps what is posted to it."""

    def __init__(self) -> None:
        self.got: list[dict[str, list[str]]] = []
        self.reply = b'{"status":"0000","message":"ok"}'
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append(parse_qs(body.decode()))
                self.send_response(200)
                self.send_header("Content-Length", str(len(outer.reply)))
                self.end_headers()
                self.wfile.write(outer.reply)

            def log_message(self, *parts: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/notify/channels/nuonuo/token"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wait(self, count: int) -> list[dict[str, Any]]:
        deadline = time.monotonic() + 8
        while len(self.got) < count and time.monotonic() < deadline:
            time.sleep(0.05)
        return [json.loads(form["content"][0]) for form in self.got]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


def test_an_order_walks_20_21_2_and_carries_its_files(
    client: Client, sandbox: Sandbox, tmp_path: Path
) -> None:
    accepted = client.issue("A1")
    assert accepted["code"] == "E0000"
    rows = [client.query("A1")[0] for _ in range(3)]
    assert [row["status"] for row in rows] == ["20", "21", "2"]
    done = rows[-1]
    number = done["allElectronicInvoiceNumber"]
    assert len(number) == 20 and rows[1]["allElectronicInvoiceNumber"] == number
    assert (done["orderAmount"], done["exTaxAmount"], done["taxAmount"]) == ("100.00", "88.50", "11.50")
    assert done["serialNo"] == accepted["result"]["invoiceSerialNum"]
    path = tmp_path / "a.pdf"
    path.write_bytes(requests.get(done["pdfUrl"], timeout=5).content)
    text = subprocess.run(["pdftotext", "-layout", path, "-"], capture_output=True, text=True).stdout
    assert number in text and "沙箱样票" in text and "上海示例商贸有限公司" in text
    assert number.encode() in requests.get(done["xmlUrl"], timeout=5).content
    assert requests.get(done["ofdUrl"], timeout=5).content[:2] == b"PK"
    issue = sandbox.ledger()["issues"][0]
    assert (issue["serial"], issue["invoice_no"], issue["total_fen"], issue["state"]) == (
        "A1",
        number,
        10000,
        "issued",
    )


def test_the_same_number_again_is_e9106(client: Client, sandbox: Sandbox) -> None:
    client.issue("A1")
    assert client.issue("A1")["code"] == "E9106"
    assert len(sandbox.ledger()["issues"]) == 1


def test_without_deduplication_a_second_invoice_stands_in_the_ledger(
    client: Client, sandbox: Sandbox
) -> None:
    sandbox.fault("nuonuo.orders", "no_deduplication", times=None)
    client.issue("A1")
    assert client.issue("A1")["code"] == "E0000"
    for _ in range(3):
        rows = client.query("A1")
    assert len({row["allElectronicInvoiceNumber"] for row in rows}) == 2
    assert [row["serial"] for row in sandbox.ledger()["issues"]] == ["A1", "A1"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"body": b'{"order":{}}'}, "070103"),
        ({"headers": {"X-Nuonuo-Sign": "wrong"}}, "070103"),
        ({"headers": {"accessToken": "wrong"}}, "070305"),
        ({"query": {"timestamp": "1700000000"}}, "070105"),
        ({"query": {"nonce": "0123"}}, "070102"),
        ({"query": {"appkey": "SDX"}}, "070101"),
        ({"headers": {"userTax": "91310104084123648T"}}, "E9302"),
    ],
)
def test_calls_that_are_refused(client: Client, changes: dict[str, Any], code: str) -> None:
    answer = client.call("requestBillingNew", {"order": order()}, **changes)
    assert answer["code"] == code


def test_a_replayed_nonce_is_refused_unless_switched(client: Client, sandbox: Sandbox) -> None:
    same = {"senid": uuid.uuid4().hex, "nonce": "12345678"}
    content = {"orderNos": ["NONE"]}
    assert client.call("queryInvoiceResult", content, query=same)["code"] == "E9500"
    assert client.call("queryInvoiceResult", content, query=same)["code"] == "070106"
    sandbox.fault("nuonuo.orders", "nonce_reuse_allowed", times=None)
    assert client.call("queryInvoiceResult", content, query=same)["code"] == "E9500"


def test_tokens_end_and_can_be_lost(client: Client, sandbox: Sandbox) -> None:
    sandbox.fault("nuonuo.queryInvoiceResult", "token_lost")
    content = {"orderNos": ["NONE"]}
    assert client.call("queryInvoiceResult", content)["code"] == "070305"
    client.token = client.new_token()
    assert client.call("queryInvoiceResult", content)["code"] == "E9500"
    sandbox.control("clock", {"advance": 86_500})
    assert client.call("queryInvoiceResult", content)["code"] == "070305"


def test_queries_without_and_with_too_many_numbers(client: Client) -> None:
    assert client.call("queryInvoiceResult", {})["code"] == "E9601"
    assert client.call("queryInvoiceResult", {"orderNos": []})["code"] == "E9611"
    assert client.call("queryInvoiceResult", {"orderNos": ["A"] * 51})["code"] == "E4000"
    assert client.call("nothingSuch", {})["code"] == "E9338"


def test_unknown_sellers_and_clerks(client: Client, sandbox: Sandbox) -> None:
    other = {"headers": {"userTax": ""}}
    bad = order(salerTaxNum="91310104084123648T")
    assert client.call("requestBillingNew", {"order": bad}, **other)["code"] == "E9301"
    sandbox.control("config", {"nuonuo": [entry(clerk="别人")]})
    assert client.issue("A1")["code"] == "E4000"


def test_failures_signing_failures_and_stays(client: Client, sandbox: Sandbox) -> None:
    sandbox.fault("nuonuo.requestBillingNew", "fails:税号不存在")
    failed = client.done("A1")
    assert (failed["status"], failed["failCause"]) == ("22", "税号不存在")
    sandbox.fault("nuonuo.requestBillingNew", "sign_fails")
    assert client.done("A2")["status"] == "24"
    client.call("reInvoice", {"orderno": "A2", "fpqqlsh": ""})
    assert client.query("A2")[0]["status"] == "2"
    client.issue("A3", buyerName="一直开票中有限公司")
    assert {client.query("A3")[0]["status"] for _ in range(5)} == {"20"}
    client.issue("A5", buyerName="个人", naturalPersonVerifyFlag="1")
    assert [client.query("A5")[0]["status"] for _ in range(2)] == ["20", "22"]
    sandbox.fault("nuonuo.requestBillingNew", "two_numbers")
    client.done("A4")
    assert len({row["allElectronicInvoiceNumber"] for row in client.query("A4")}) == 2


@pytest.mark.parametrize("switch", ["login_lost", "credit_exhausted", "stalled"])
def test_a_stalled_queue_stays_at_20_until_released(client: Client, sandbox: Sandbox, switch: str) -> None:
    sandbox.fault("nuonuo.queue", switch, times=None)
    assert client.done("A1")["status"] == "20"
    requests.delete(f"{sandbox.url}/control/faults", timeout=5)
    assert client.query("A1")[0]["status"] == "2"


def test_credit_is_a_limit(client: Client, sandbox: Sandbox) -> None:
    sandbox.control("config", {"nuonuo": [entry(credit_fen=15_000)]})
    assert client.done("A1")["status"] == "2"
    assert client.call("getCreditLine", {})["result"]["availableCreditLine"] == "50.00"
    assert client.done("A2")["status"] == "20"


def test_odd_answers_by_switch(client: Client, sandbox: Sandbox) -> None:
    client.done("A1")
    for kind, code in (("not_found", "E9500"), ("code:E9999", "E9999")):
        sandbox.fault("nuonuo.queryInvoiceResult", kind)
        assert client.call("queryInvoiceResult", {"orderNos": ["A1"]})["code"] == code
    sandbox.fault("nuonuo.queryInvoiceResult", "foreign_answer")
    assert client.query("A1")[0]["orderNo"] != "A1"
    sandbox.fault("nuonuo.queryInvoiceResult", "status:77")
    assert client.query("A1")[0]["status"] == "77"
    sandbox.fault("nuonuo.queryInvoiceResult", "without_files")
    assert client.query("A1")[0]["pdfUrl"] == ""
    url = client.query("A1")[0]["pdfUrl"]
    sandbox.fault("nuonuo.file", "wrong_file")
    wrong, right = requests.get(url, timeout=5).content, requests.get(url, timeout=5).content
    assert wrong[:5] == right[:5] == b"%PDF-" and wrong != right
    sandbox.fault("nuonuo.file", "not_a_pdf")
    assert b"%PDF" not in requests.get(url, timeout=5).content


def test_accepted_although_nothing_was_answered(client: Client, sandbox: Sandbox) -> None:
    sandbox.fault("nuonuo.requestBillingNew", "commit_then_drop")
    with pytest.raises(requests.ConnectionError):
        client.issue("A1")
    sandbox.fault("nuonuo.requestBillingNew", "code_but_done:E9999")
    assert client.issue("A2")["code"] == "E9999"
    assert [row["serial"] for row in sandbox.ledger()["issues"]] == ["A1", "A2"]


def test_a_started_order_goes_on_after_a_restart(tmp_path: Path) -> None:
    with running(tmp_path, nuonuo=[entry()]) as before:
        client = Client(before)
        client.issue("A1")
        client.query("A1")
    with running(tmp_path, nuonuo=[entry()]) as after:
        client.url = f"{after.url}/nuonuo"
        assert [client.query("A1")[0]["status"] for _ in range(2)] == ["21", "2"]
        assert client.issue("A1")["code"] == "E9106"


def test_the_clock_alone_finishes_an_order(client: Client, sandbox: Sandbox) -> None:
    sandbox.control("config", {"nuonuo": [entry(walk={"done_after_seconds": 30})]})
    client.issue("A1")
    sandbox.control("clock", {"advance": 60})
    deadline = time.monotonic() + 5
    while sandbox.ledger()["issues"][0]["state"] != "issued" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert sandbox.ledger()["issues"][0]["state"] == "issued"


def test_notices_tell_the_end_once_twice_or_never(
    client: Client, sandbox: Sandbox, receiver: Receiver
) -> None:
    client.issue("A1", callBackUrl=receiver.url)
    for _ in range(3):
        client.query("A1")
    notice = receiver.wait(1)[0]
    assert (notice["c_status"], notice["c_orderno"], notice["c_hjje"]) == ("1", "A1", "100.00")
    assert receiver.got[0]["operater"] == ["callback"] and receiver.got[0]["orderno"] == ["A1"]
    sandbox.fault("nuonuo.callback", "double")
    client.issue("A2", callBackUrl=receiver.url)
    for _ in range(3):
        client.query("A2")
    assert [one["c_orderno"] for one in receiver.wait(3)] == ["A1", "A2", "A2"]


def test_a_notice_can_outrun_the_answer(client: Client, sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.fault("nuonuo.requestBillingNew", "callback_first")
    client.issue("A1", callBackUrl=receiver.url)
    assert [form["orderno"] for form in receiver.got] == [["A1"]]
    assert client.query("A1")[0]["status"] == "2"


def test_a_refused_notice_comes_again(client: Client, sandbox: Sandbox, receiver: Receiver) -> None:
    receiver.reply = b"what?"
    client.issue("A1", callBackUrl=receiver.url)
    for _ in range(3):
        client.query("A1")
    assert len(receiver.wait(2)) >= 2


def test_red_letters(client: Client, sandbox: Sandbox) -> None:
    number = client.done("A1")["allElectronicInvoiceNumber"]
    bill = {
        "billId": "B1",
        "applySource": "0",
        "blueElecInvoiceNumber": number,
        "sellerTaxNo": SELLER,
        "sellerName": "上海示例商贸有限公司",
        "redReason": "2",
    }
    sandbox.fault("nuonuo.saveInvoiceRedConfirm", "state:02")
    assert client.call("saveInvoiceRedConfirm", bill)["code"] == "E0000"
    assert client.call("fastInvoiceRed", {"orderNo": "R1", "billId": "B1"})["code"] == "E4000"
    sandbox.control("clock", {"advance": 73 * 3600})
    client.token = client.new_token()
    listed = client.call("queryInvoiceRedConfirm", {"identity": "0", "billId": "B1"})["result"]["list"]
    assert listed[0]["billStatus"] == "07"
    assert client.call("saveInvoiceRedConfirm", {**bill, "billId": "B2"})["code"] == "E0000"
    assert client.call("fastInvoiceRed", {"orderNo": "R1", "billId": "B2"})["code"] == "E0000"
    again = client.call("fastInvoiceRed", {"orderNo": "R2", "elecInvoiceNumber": number, "taxNum": SELLER})
    assert again["code"] == "E9103"
    red = client.query("R1")[0]
    assert red["orderAmount"] == "-100.00" and red["oldEleInvoiceNumber"] == number
    assert [row["total_fen"] for row in sandbox.ledger()["issues"]] == [10000, -10000]
