"""The commands. Output for people is Chinese; with ``--json`` one document on standard output, nothing else there."""

import argparse
import importlib
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from miniapp.commands.refusing import Refusal

EXIT_DONE, EXIT_FOUND, EXIT_REFUSED = 0, 1, 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; answers the exit status: 0 done, 1 found differences or failures, 2 refused."""
    arguments = _parser().parse_args(argv)
    try:
        status: int = arguments.run(arguments)
        return status
    except Refusal as refusal:
        if getattr(arguments, "json", False):
            print(json.dumps({"error": refusal.error}, ensure_ascii=False))
        else:
            print(refusal.as_text(), file=sys.stderr)
        return EXIT_REFUSED
    except BrokenPipeError:
        return EXIT_DONE
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="miniapp", description="自助开票与对账")
    groups = parser.add_subparsers(required=True, metavar="命令")
    demo = _add(groups, "demo", "一台机器上的完整演示", _late("demo", "demo"))
    demo.add_argument("--port", type=int, default=8000)
    demo.add_argument("--data", type=Path, default=Path("var/demo"))
    demo.add_argument("--reset", action="store_true", help="清空演示数据，重新开始")
    setup = _add(
        groups, "setup", "新建或修改公司、门店、账号、终端、员工", _late("organising", "setup"), has_json=True
    )
    setup.add_argument("file", type=Path)
    serve = _add(groups, "serve", "启动网页与接口", _late("running", "serve"))
    serve.add_argument("--with-worker", action="store_true", help="在同一进程内运行工作线程")
    _add(groups, "worker", "启动发件箱工作进程", _late("running", "worker"))
    _add(groups, "doctor", "检查每项设置、密钥、字体、打印机、平台", _late("doctor", "doctor"), has_json=True)
    database = groups.add_parser("db", help="数据库").add_subparsers(required=True, metavar="动作")
    _add(database, "upgrade", "升级数据库结构", _late("opening", "upgrade"))
    _bills(groups)
    _reconcile(groups)
    titles = groups.add_parser("titles", help="抬头").add_subparsers(required=True, metavar="动作")
    _add(titles, "check", "检查标准输入中的一个抬头", _late("forms", "check_title"), has_json=True)
    invoices = groups.add_parser("invoices", help="发票").add_subparsers(required=True, metavar="动作")
    _add(invoices, "amounts", "计算标准输入中一笔消费的发票行", _late("forms", "amounts"), has_json=True)
    render = _add(invoices, "render", "由 JSON 画出票面（样票）", _late("forms", "render"), has_json=True)
    render.add_argument("file", type=Path)
    render.add_argument("-o", "--out", type=Path, required=True)
    return parser


def _bills(groups: Any) -> None:
    bills = groups.add_parser("bills", help="账单文件").add_subparsers(required=True, metavar="动作")
    inspect = _add(
        bills, "inspect", "这是什么文件、是否完整、合计多少", _late("bills", "inspect_bill"), has_json=True
    )
    inspect.add_argument("file", type=Path)
    inspect.add_argument("--no-trailer-check", action="store_true")
    take = _add(bills, "import", "把账单文件收进系统", _late("bills", "import_bill"), has_json=True)
    take.add_argument("file", type=Path)
    take.add_argument("--account", required=True)


def _reconcile(groups: Any) -> None:
    reconcile = groups.add_parser("reconcile", help="对账").add_subparsers(required=True, metavar="动作")
    compare = _add(reconcile, "compare", "用文件对账，不用数据库", _late("bills", "compare"), has_json=True)
    compare.add_argument("--ledger", type=Path, required=True)
    compare.add_argument("--bill", type=Path, required=True, action="append")
    compare.add_argument("--date", required=True)
    compare.add_argument("--previous", type=Path)
    compare.add_argument("--carry-days", type=int, default=3)
    compare.add_argument("--out", type=Path, required=True)
    run = _add(reconcile, "run", "取账单、对账、出报告", _late("bills", "reconcile"), has_json=True)
    run.add_argument("--date", required=True)
    run.add_argument("--account")


def _late(module: str, name: str) -> Callable[[argparse.Namespace], int]:
    """A command's function, its module imported when the command runs: a title check loads no database engine."""

    def run(arguments: argparse.Namespace) -> int:
        command = getattr(importlib.import_module(f"miniapp.commands.{module}"), name)
        status: int = command(arguments)
        return status

    return run


def _add(
    groups: Any, name: str, text: str, run: Callable[[argparse.Namespace], int], *, has_json: bool = False
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = groups.add_parser(name, help=text, description=text)
    parser.set_defaults(run=run)
    if has_json:
        parser.add_argument("--json", action="store_true", help="输出一个 JSON 文档")
    return parser


if __name__ == "__main__":
    sys.exit(main())
