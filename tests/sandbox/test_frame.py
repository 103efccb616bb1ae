"""The frame: start and end, what is kept, what is refused, and that nothing of the program is inside."""

import ast
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

import miniapp.sandbox
from tests.sandbox.conftest import Sandbox


def start(data: Path, *more: str) -> tuple[subprocess.Popen, str]:
    command = [sys.executable, "-m", "miniapp.sandbox.run", "--port", "0", "--data", str(data), *more]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    return process, re.search(r"http://\S+", process.stdout.readline())[0]


def test_configuration_and_ledger_outlive_the_process(tmp_path: Path):
    config = tmp_path / "sandbox.toml"
    config.write_text('[[people]]\ncode = "customer_a"\nname = "顾客甲"\n', encoding="utf-8")
    process, base = start(tmp_path / "data", "--config", str(config))
    requests.post(f"{base}/control/clock", json={"advance": 3600}, timeout=9)
    message = {
        "platform": "wechat",
        "account": "main",
        "person": "customer_a",
        "direction": "in",
        "kind": "text",
    }
    requests.post(f"{base}/control/messages", json={**message, "body": {"content": "在"}}, timeout=9)
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 0

    process, base = start(tmp_path / "data")
    assert requests.get(f"{base}/control/people", timeout=9).json()[0]["name"] == "顾客甲"
    assert requests.get(f"{base}/control/clock", timeout=9).json()["offset"] == 3600
    assert requests.get(f"{base}/control/ledger", timeout=9).json()["messages"][0]["body"] == {
        "content": "在"
    }
    process.terminate()
    assert process.wait(10) == 0


def test_mistakes_at_the_control_doors_are_told(sandbox: Sandbox):
    url = f"{sandbox.base}/control"
    assert requests.post(f"{url}/config", json={"nonsense": []}, timeout=9).status_code == 400
    assert requests.post(f"{url}/faults", json={"door": "x"}, timeout=9).status_code == 400
    assert requests.get(f"{url}/payment_code?person=nobody", timeout=9).status_code == 400
    assert requests.post(f"{url}/clock", data={"offset": "1"}, timeout=9).status_code == 415


def test_a_fault_is_taken_so_many_times_and_only_where_it_fits(sandbox: Sandbox):
    sandbox.fault("wechat.token", "http_500", times=2, match={"appid": "wxmine"})
    url = f"{sandbox.base}/wechat-api/cgi-bin/token"
    seen = [
        requests.get(url, params={"appid": app}, timeout=9).status_code
        for app in ("wxmine", "x", "wxmine", "wxmine")
    ]
    assert seen == [500, 200, 500, 200]
    assert sandbox.get("/control/requests", door="wechat.token")[-1]["path"] == "/wechat-api/cgi-bin/token"


def test_the_sandbox_imports_nothing_of_the_program():
    folder = Path(miniapp.sandbox.__file__).parent
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            ours = [name for name in names if name.split(".")[0] == "miniapp"]
            assert all(name.startswith("miniapp.sandbox") for name in ours), path


def test_a_caller_can_be_killed_in_its_call(sandbox: Sandbox, tmp_path: Path):
    url = f"{sandbox.base}/wechat-api/cgi-bin/token"
    script = tmp_path / "miniapp_caller.py"
    script.write_text(f"import requests; input(); requests.get({url!r}, timeout=30)")
    caller = subprocess.Popen([sys.executable, str(script)], stdin=subprocess.PIPE)
    sandbox.fault("wechat.token", f"kill_after:{caller.pid}")
    caller.communicate(b"\n", timeout=20)
    assert caller.returncode == -signal.SIGKILL


def test_no_other_process_can_be_killed(sandbox: Sandbox):
    bystander = subprocess.Popen(["sleep", "30"])
    sandbox.fault("wechat.token", f"kill_before:{bystander.pid}")
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{sandbox.base}/wechat-api/cgi-bin/token", timeout=9)
    assert bystander.poll() is None
    bystander.terminate()
    bystander.wait(10)
