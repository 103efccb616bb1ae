"""The sandbox as its own process on a free port, with a small cast; spoken to over HTTP only."""

import re
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from miniapp.sandbox import keys

APP_ID = "wx1234567890abcdef"
MCH_ID = "1900000109"
TOKEN = "stationtoken"
AES_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
V2_KEY = "192006250b4c09247ec02edce69f6a2d"
TEMPLATE = (
    "金额：{{amount1.DATA}}\n抬头：{{thing2.DATA}}\n单号：{{character_string3.DATA}}\n状态：{{phrase4.DATA}}"
)


class Sandbox:
    """A running sandbox and its control doors."""

    def __init__(
        self, base: str, merchant_keys: keys.KeyPair, platform_keys: keys.KeyPair, serial: str
    ) -> None:
        self.base = base
        self.merchant_keys = merchant_keys
        self.platform_keys = platform_keys
        self.serial = serial
        self.http = requests.Session()
        self.http.trust_env = False

    def post(self, path: str, body: object) -> dict:
        answer = self.http.post(f"{self.base}{path}", json=body, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def get(self, path: str, **query: str) -> dict:
        answer = self.http.get(f"{self.base}{path}", params=query, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def fault(self, door: str, kind: str, **more: object) -> None:
        self.post("/control/faults", {"door": door, "kind": kind, **more})

    def code(self, person: str = "customer_a", **plan: object) -> str:
        return self.post("/control/payment_code", {"person": person, "plan": plan})["code"]

    def payments(self) -> list[dict]:
        return self.get("/control/ledger")["payments"]

    def payment(self, out_trade_no: str) -> dict:
        return next(p for p in self.payments() if p["out_trade_no"] == out_trade_no)

    def messages(self, **query: str) -> list[dict]:
        return self.http.get(f"{self.base}/control/messages", params=query, timeout=30).json()


@pytest.fixture(scope="session")
def running_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    data: Path = tmp_path_factory.mktemp("sandbox")
    command = [sys.executable, "-m", "miniapp.sandbox.run", "--port", "0", "--data", str(data)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    line = process.stdout.readline()
    base = re.search(r"http://\S+", line)[0]
    merchant, platform = keys.key_pair(), keys.key_pair()
    certificate, serial = keys.merchant_certificate(merchant, MCH_ID)
    sandbox = Sandbox(base, merchant, platform, serial)
    sandbox.post("/control/config", cast(certificate, serial, platform.private))
    yield sandbox
    process.terminate()
    assert process.wait(10) == 0


@pytest.fixture
def sandbox(running_sandbox: Sandbox) -> Sandbox:
    """The sandbox without faults, at the machine's time."""
    running_sandbox.http.delete(f"{running_sandbox.base}/control/faults", timeout=30)
    running_sandbox.post("/control/clock", {"offset": 0})
    return running_sandbox


def cast(certificate: str, serial: str, platform_private_key: str) -> dict:
    account = {"code": "main", "app_id": APP_ID, "secret": "s3cret", "original_id": "gh_test", "token": TOKEN}
    account |= {"aes_key": AES_KEY, "templates": {"T1": TEMPLATE}, "oauth_domain": "h5.example.com"}
    merchant = {"mch_id": MCH_ID, "app_ids": [APP_ID], "api_v2_key": V2_KEY, "cert_serial": serial}
    merchant |= {"merchant_certificate": certificate, "platform_private_key": platform_private_key}
    merchant |= {"platform_key_id": "PUB_KEY_ID_0119000001092024", "api_v3_key": "0" * 32}
    people = [
        {"code": "customer_a", "name": "顾客甲", "wechat": {APP_ID: "oCustomerA"}, "follows": ["main"]},
        {"code": "customer_b", "name": "顾客乙"},
        {"code": "snapshot", "name": "顾客丙", "snapshot": True},
    ]
    return {"official_accounts": [account], "wechat_merchants": [merchant], "people": people}


class Receiver:
    """A server of an official account as simple as can be: keeps what comes, answers by a function."""

    def __init__(self) -> None:
        self.got: list[tuple[str, bytes]] = []
        self.answer = lambda path, body: (200, b"success")
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append((self.path, body))
                self._send(*outer.answer(self.path, body))

            def do_GET(self) -> None:
                outer.got.append((self.path, b""))
                self._send(*outer.answer(self.path, b""))

            def _send(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *parts: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/wechat/main"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def receiver(sandbox: Sandbox) -> Iterator[Receiver]:
    """The account `main` posts here while a test runs."""
    receiver = Receiver()
    entry = {"code": "main", "app_id": APP_ID, "secret": "s3cret", "original_id": "gh_test", "token": TOKEN}
    entry |= {"aes_key": AES_KEY, "templates": {"T1": TEMPLATE}, "oauth_domain": "h5.example.com"}
    sandbox.post("/control/config", {"official_accounts": [{**entry, "callback_url": receiver.url}]})
    yield receiver
    sandbox.post("/control/config", {"official_accounts": [entry]})
    receiver.server.shutdown()
    receiver.server.server_close()


def number() -> str:
    """A merchant's number never used before."""
    return "T" + secrets.token_hex(12)
