"""``miniapp demo`` as a stranger starts it: one purchase walked over HTTP, stopped, started again, begun anew."""

import json
import re
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.processes import Process, Processes, free_port

READY = "按 Ctrl-C 停止"
TITLE = "名称：上海示例贸易有限公司 税号：91310115MA1H7K2P4W"


@dataclass
class Demo:
    """A running demonstration."""

    processes: Processes
    folder: Path
    port: int
    process: Process | None = None
    cookies: dict[str, dict[str, str]] = field(default_factory=dict)

    def start(self, *options: str) -> Process:
        self.process = self.processes.start(
            "demo", "miniapp", "demo", "--port", str(self.port), "--data", str(self.folder), *options
        )
        self.process.wait_for_text(READY, seconds=90)
        return self.process

    def stop(self, number: int = signal.SIGINT) -> int:
        assert self.process
        self.process.signal(number)
        return self.process.wait(seconds=40)

    @property
    def said(self) -> str:
        assert self.process
        return self.process.said

    def sandbox(self, path: str, body: Any = None) -> Any:
        """One call of the sandbox's pages, or of its director."""
        address = f"http://127.0.0.1:{self.port + 1}{path}"
        got = (
            requests.get(address, timeout=30)
            if body is None
            else requests.post(address, json=body, timeout=30)
        )
        assert got.status_code == 200, got.text
        return got.json()

    def says(self, person: str, text: str) -> str:
        """What the account answers in the chat."""
        before = self.chat(person)
        assert self.sandbox(f"/phone/api/say?person={person}", {"text": text}) == {"ok": True}
        return _until(lambda: self.chat(person)[len(before) :], lambda new: len(new) > 1)[-1]

    def chat(self, person: str) -> list[str]:
        """Every message on a phone, as text."""
        shown = self.sandbox(f"/phone/api/messages?person={person}&after=0")["messages"]
        return [_text(one) for one in shown]

    def charge(
        self, person: str, amount_fen: int, *, till: str = "T01", plan: str = "paid"
    ) -> dict[str, Any]:
        """The till scans the code on a phone and charges it; answers the sale as the till shows it."""
        self.sandbox(f"/phone/api/code?person={person}", {"plan": plan})
        code = self.sandbox("/till/api/scan", {"person": person})["code"]
        body = {"till": till, "amount_fen": amount_fen, "code": code}
        sale: dict[str, Any] = self.sandbox("/till/api/charges", body)
        return sale

    def follow(self, sale: dict[str, Any]) -> dict[str, Any]:
        """The same sale, asked for until it is settled."""
        path = f"/till/api/charges/{sale['out_trade_no']}"
        return _until(lambda: self.sandbox(path), lambda now: now["state"] not in ("paying", "unknown"))

    def browse(self, address: str) -> requests.Response:
        """A page with all its redirects: every name of localhost is this machine, cookies stay with their host."""
        for _ in range(10):
            parts = urlsplit(address)
            jar = self.cookies.setdefault(parts.netloc, {})
            got = requests.get(
                parts._replace(netloc=f"127.0.0.1:{parts.port}", fragment="").geturl(),
                headers={"Host": parts.netloc},
                cookies=dict(jar),
                allow_redirects=False,
                timeout=30,
            )
            jar.update(got.cookies.get_dict())
            if got.status_code not in (302, 303):
                return got
            address = requests.compat.urljoin(address, got.headers["Location"])
        raise AssertionError(f"too many redirects, the last to {address}")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Started once for the tests that only look and buy."""
    processes = Processes(tmp_path_factory.mktemp("demo-logs"))
    made = Demo(processes, tmp_path_factory.mktemp("demo") / "data", _two_ports())
    made.start()
    yield made
    processes.stop_all()


def test_the_addresses_and_passwords_are_told_and_passwords_stand_in_no_file(demo: Demo) -> None:
    for host in ("wechat", "alipay", "cashier1", "cashier2", "till", "printer"):
        assert f"http://{host}.localhost:{demo.port + 1}/" in demo.said
    assert f"http://console.localhost:{demo.port}/console/" in demo.said
    passwords = re.findall(r"\b(?:[a-z2-9]{4}-){2}[a-z2-9]{4}\b", demo.said)
    assert len(set(passwords)) == 6

    kept = b"".join(file.read_bytes() for file in demo.folder.rglob("*") if file.is_file())

    assert demo.folder.stat().st_mode & 0o077 == 0
    assert not [one for one in passwords if one.encode() in kept]


def test_one_purchase_from_the_payment_code_to_the_invoice_in_the_chat(demo: Demo) -> None:
    sale = demo.follow(demo.charge("customer_a", 23200))
    assert sale["state"] == "paid" and len(sale["slip"]["claim_code"]) == 10

    assert "¥232.00" in demo.says("customer_a", "发票")
    demo.says("customer_a", "1")
    demo.says("customer_a", TITLE)
    demo.says("customer_a", "使用")
    said = demo.says("customer_a", "确认")
    asked = _until(lambda: demo.chat("cashier_a"), lambda all_: any("待确认" in one for one in all_))[-1]
    assert "上海示例贸易有限公司" in asked, said
    demo.says("cashier_a", "确认 " + re.findall(r'代码", "([0-9A-Z]{3,})"', asked)[-1])

    told = _until(lambda: demo.chat("customer_a"), lambda all_: any("已开具" in one for one in all_))
    number = re.findall(r"\d{20}", "".join(told))[-1]
    issues = demo.sandbox("/control/ledger")["issues"]
    assert [one["total_fen"] for one in issues if one["invoice_no"] == number] == [23200]


def test_a_password_is_waited_for_and_entered_on_the_phone(demo: Demo) -> None:
    sale = demo.charge("customer_b", 5000, plan="password")
    waiting = _until(
        lambda: demo.sandbox("/phone/api/wallet?person=customer_b")["waiting"], lambda now: now is not None
    )
    assert (sale["state"], waiting["paid_yuan"]) == ("paying", "50.00")

    demo.sandbox("/phone/api/answer?person=customer_b", {"payment": waiting["id"], "accept": True})

    assert demo.follow(sale)["state"] == "paid"


def test_a_sale_is_refunded_at_the_till(demo: Demo) -> None:
    sale = demo.follow(demo.charge("customer_a", 3000, till="T03"))

    done = demo.sandbox("/till/api/refunds", {"out_trade_no": sale["out_trade_no"], "refund_fen": 1000})

    assert done["ok"] and done["sale"]["left_fen"] == 2000


def test_another_acquirers_sale_is_reported_and_its_slip_can_be_scanned(demo: Demo) -> None:
    sale = demo.sandbox("/till/api/reports", {"till": "T04", "platform": "unionpay", "amount_fen": 6600})
    assert sale["state"] == "reported", sale

    slips = demo.sandbox("/phone/api/slips?person=customer_b")

    assert slips[0]["claim_code"] == sale["slip"]["claim_code"]
    assert urlsplit(slips[0]["url"]).hostname == "alipay.shop.localhost"


def test_a_till_tells_how_it_is(demo: Demo) -> None:
    assert demo.sandbox("/till/api/heartbeat", {"till": "T01"}) == {"ok": True}


def test_each_phone_is_its_own_customer_in_one_browser(demo: Demo) -> None:
    menus = {who: _menu_page(demo, who) for who in ("customer_a", "customer_b", "cashier_a")}
    assert {urlsplit(url).hostname for url in menus.values()} == {
        "wechat.shop.localhost",
        "alipay.shop.localhost",
        "cashier1.shop.localhost",
    }

    pages = {who: demo.browse(url) for who, url in menus.items()}

    assert {page.status_code for page in pages.values()} == {200}
    sessions = {who: demo.cookies[urlsplit(url).netloc]["customer"] for who, url in menus.items()}
    assert len(set(sessions.values())) == 3


def test_a_second_demo_in_the_same_folder_is_told_so(demo: Demo) -> None:
    second = demo.processes.start("second", "miniapp", "demo", "--data", str(demo.folder), "--reset")

    assert second.wait(seconds=30) == 2
    assert "正在运行" in second.said and demo.sandbox("/control/ready") == {"ok": True}


def test_a_folder_of_somebody_else_is_not_touched(processes: Processes, tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("dear", "utf-8")

    tried = processes.start("demo", "miniapp", "demo", "--data", str(tmp_path / "letters"), "--reset")

    assert tried.wait(seconds=30) == 2 and "不是演示建的" in tried.said
    assert [one.name for one in (tmp_path / "letters").iterdir()] == ["dear.txt"]


def test_stopped_it_leaves_nothing_started_again_it_knows_everything_and_reset_begins_anew(
    processes: Processes, tmp_path: Path
) -> None:
    demo = Demo(processes, tmp_path / "data", _two_ports())
    demo.start()
    sale = demo.follow(demo.charge("customer_a", 1200))
    assert demo.stop() == 0
    assert _left_of(demo.folder) == [] and "已全部停止" in demo.said

    began = time.monotonic()
    demo.start()
    took = time.monotonic() - began
    assert took < 30 and "只显示这一次" not in demo.said
    assert demo.follow(sale)["state"] == "paid"
    assert demo.stop(signal.SIGKILL) < 0  # as when the window is closed hard
    _until(lambda: _left_of(demo.folder), lambda left: left == [])

    demo.start("--reset")
    assert "只显示这一次" in demo.said
    assert demo.sandbox("/till/api/sales?till=T01") == []
    assert demo.stop(signal.SIGTERM) == 0 and _left_of(demo.folder) == []


def test_a_taken_port_is_named(processes: Processes, tmp_path: Path) -> None:
    port = _two_ports()
    processes.start(
        "other", "python", "-m", "http.server", str(port + 1), "--bind", "127.0.0.1", port=port + 1
    )

    tried = processes.start("demo", "miniapp", "demo", "--port", str(port), "--data", str(tmp_path / "data"))

    assert tried.wait(seconds=30) == 2 and f"端口 {port} 已被占用" in tried.said


def _menu_page(demo: Demo, person: str) -> str:
    """Where 我的 → 发票 leads, once the worker has put the menu."""
    path = f"/phone/api/menu?person={person}"
    menu = _until(lambda: demo.sandbox(path), lambda found: found != [])
    return str(menu[0]["children"][0]["url"])


def _text(shown: dict[str, Any]) -> str:
    if shown["kind"] == "text":
        return "".join(text for text, _ in shown["parts"])
    return json.dumps(shown, ensure_ascii=False)


def _until(look: Callable[[], Any], right: Callable[[Any], bool], *, seconds: float = 60) -> Any:
    end = time.monotonic() + seconds
    while not right(found := look()):
        assert time.monotonic() < end, found
        time.sleep(0.3)
    return found


def _two_ports() -> int:
    """A free port whose next one is free too."""
    while True:
        port = free_port()
        try:
            requests.get(f"http://127.0.0.1:{port + 1}", timeout=1)
        except requests.ConnectionError:
            return port


def _left_of(folder: Path) -> list[str]:
    """Processes whose command line or settings name the folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in words:
            found.append(words[:200].replace(b"\0", b" ").decode("utf-8", "replace"))
    return found
