"""Writes the parts of docs/ that are drawn from the code; with ``--check`` only says which of them are old."""

import importlib
import pkgutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import miniapp
from miniapp.config import PREFIX, Config
from miniapp.core.states import States

DOCS = Path(__file__).parent.parent / "docs"
NOTICE = "<!-- 由代码生成：make docs。请改代码，不要改这里。 -->\n\n"


def states() -> str:
    """Every state machine as a diagram, with who acts next in each state."""
    parts = ["# 状态\n"]
    for room, machine in _machines():
        waits = [f"| `{state}` | {machine.waits_for.get(state, '')} |" for state in machine.all]
        parts.append(f"## {machine.name}（`{room}`）\n\n```mermaid\n{machine.mermaid()}\n```\n")
        parts.append("\n".join(["| 状态 | 等谁 |", "|---|---|", *waits]) + "\n")
    return "\n".join(parts)


def settings() -> str:
    """Every setting with its default and its sentence."""
    rows = [
        f"| `{PREFIX}{name.upper()}` | {_default(field.get_default(call_default_factory=True))} | {field.description} |"
        for name, field in Config.model_fields.items()
    ]
    head = "# 设置\n\n环境变量优先；`MINIAPP_CONFIG` 指出的 TOML 文件里用同名的小写。\n"
    return "\n".join([head, "| 设置 | 默认 | 说明 |", "|---|---|---|", *rows]) + "\n"


PAGES: dict[str, Callable[[], str]] = {"states.md": states, "settings.md": settings}


def main(arguments: list[str]) -> int:
    """Write, or with ``--check`` compare; 1 when something is old."""
    old = [name for name, draw in PAGES.items() if _text(DOCS / name) != NOTICE + draw()]
    if arguments == ["--check"]:
        print("".join(f"docs/{name} is old: make docs\n" for name in old), end="")
        return 1 if old else 0
    for name in old:
        (DOCS / name).write_text(NOTICE + PAGES[name](), "utf-8")
    return 0


def _machines() -> Iterator[tuple[str, States]]:
    for module in sorted(m.name for m in pkgutil.walk_packages(miniapp.__path__, "miniapp.")):
        if module.endswith(".states") and module != States.__module__:
            found = vars(importlib.import_module(module)).values()
            yield from ((module.split(".")[1], value) for value in found if isinstance(value, States))


def _default(value: object) -> str:
    text = str(getattr(value, "get_secret_value", lambda: value)())
    return f"`{text}`" if text and value is not None else ""


def _text(path: Path) -> str:
    return path.read_text("utf-8") if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
