"""``miniapp demo``: the whole program on one machine, with the sandbox as the other side of every wire."""

import json
import signal
from argparse import Namespace
from pathlib import Path
from types import FrameType

from miniapp.commands import demo_cast, demo_setting_up
from miniapp.commands.demo_cast import Addresses
from miniapp.commands.demo_folder import DemoFolder
from miniapp.commands.demo_processes import Children, is_free
from miniapp.commands.refusing import Refusal
from miniapp.core.text import say

PLACES = ("index", "customer_a", "customer_b", "cashier_a", "cashier_b", "till", "printer", "console")


def demo(arguments: Namespace) -> int:
    """Prepare what is missing, start both processes, say where to look; ends with Ctrl-C or SIGTERM. Raises Refusal."""
    # SIGINT too: a shell that starts us in the background has it ignored, and Python then keeps it so.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    at = Addresses(arguments.port)
    with DemoFolder(arguments.data.absolute(), reset=arguments.reset) as folder:
        for port in (at.port, at.sandbox_port):
            if not is_free(port):
                raise Refusal({"code": "PORT", "message": say("demo.port_taken", port=at.port), "hint": ""})
        return _run(folder, at)


def _run(folder: DemoFolder, at: Addresses) -> int:
    children = Children(folder.path / "logs")
    try:
        _tell(say("demo.preparing" if folder.is_new else "demo.starting"))
        folder.make_keys()
        sandbox = children.start("sandbox", *_sandbox(folder, at))
        passwords = demo_setting_up.settings_and_database(folder, at)
        program = children.start("program", "-m", "miniapp.cli", "serve", "--with-worker")
        children.wait_for(sandbox, at.sandbox_port)
        children.wait_for(program, at.port)
        folder.finish()
        _show(at, passwords)
        children.watch()
    except KeyboardInterrupt:
        return 0
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        _tell(say("demo.stopping"))
        children.stop()
        _tell(say("demo.stopped", folder=_short(folder.path)))
    return 0


def _sandbox(folder: DemoFolder, at: Addresses) -> list[str]:
    """Its command line, once its configuration and the places that its first page names are written."""
    data = folder.path / "sandbox"
    data.mkdir(mode=0o700, exist_ok=True)
    (data / "pages.json").write_text(json.dumps(demo_cast.pages(at), ensure_ascii=False), "utf-8")
    config = folder.write("sandbox.json", json.dumps(demo_cast.sandbox(folder, at), ensure_ascii=False))
    command = ["-m", "miniapp.sandbox.run", "--port", str(at.sandbox_port), "--data", str(data)]
    return [*command, "--clock-file", str(folder.clock), "--config", str(config)]


def _show(at: Addresses, passwords: dict[str, str]) -> None:
    _tell(say("demo.ready", address=at.of("index")) + "\n")
    for place in PLACES[1:]:
        _tell(
            say(
                "demo.place",
                name=say(f"demo.name.{place}"),
                address=at.of(place),
                note=say(f"demo.note.{place}"),
            )
        )
    if passwords:
        _tell(say("demo.passwords"))
        for person in demo_cast.STAFF:
            name = person.name.ljust(4, "\u3000")
            _tell(
                say("demo.password", name=name, login=person.login.ljust(9), password=passwords[person.code])
            )
    else:
        _tell(say("demo.passwords_seen"))
    _tell(say("demo.end"))


def _tell(text: str) -> None:
    print(text, flush=True)


def _short(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _end(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
