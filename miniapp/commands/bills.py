"""Commands over bill files, with and without the system."""

from argparse import Namespace
from datetime import date
from pathlib import Path

from miniapp.commands.output import show
from miniapp.commands.refusing import Refusal
from miniapp.core.errors import Failure
from miniapp.core.money import show as show_yuan
from miniapp.core.text import say


def inspect_bill(arguments: Namespace) -> int:
    """What a file is, whether it is whole, what it adds up to."""
    from miniapp.reconcile import intake
    from miniapp.reconcile.refusing import BillRefused

    _needs(arguments.file)
    try:
        found = intake.inspect(arguments.file, check_trailer=not arguments.no_trailer_check)
    except BillRefused as refused:
        raise Refusal({"file": str(arguments.file), **refused.as_json()}) from refused
    if arguments.json:
        show(found)
        return 0
    sale, refund = found["totals"]["sale"], found["totals"]["refund"]
    print(f"{found['layout']}  {found['rows']} 行  {', '.join(found['business_dates'])}")
    print(
        f"收款 {sale['count']} 笔 {show_yuan(sale['amount_fen'])}；退款 {refund['count']} 笔 {show_yuan(refund['amount_fen'])}"
    )
    print(f"表尾：{found['trailer']}  SHA-256：{found['sha256']}")
    return 0


def compare(arguments: Namespace) -> int:
    """Files in, differences out, without a database."""
    from miniapp.reconcile import comparing
    from miniapp.reconcile.refusing import BillRefused

    for file in (arguments.ledger, *arguments.bill):
        _needs(file)
    try:
        result = comparing.compare(
            arguments.ledger,
            arguments.bill,
            date=_day(arguments.date),
            previous=arguments.previous,
            carry_days=arguments.carry_days,
            out=arguments.out,
        )
    except BillRefused as refused:
        raise Refusal(refused.as_json()) from refused
    if arguments.json:
        show(result)
    else:
        for one in result["differences"]:
            print(f"{one['platform']} {one['kind']} {one['key']} {'、'.join(one['reasons'])} {one['state']}")
        print(f"差异 {len(result['differences'])} 条；结果在 {arguments.out}")
    return 1 if result["differences"] else 0


def import_bill(arguments: Namespace) -> int:
    """Take a bill into the system."""
    from miniapp.commands import opening
    from miniapp.reconcile import importing
    from miniapp.reconcile.refusing import BillRefused

    _needs(arguments.file)
    opening.open_system()
    try:
        answer = importing.import_file(arguments.file, account=arguments.account, by="cli")
    except BillRefused as refused:
        raise Refusal({"file": str(arguments.file), **refused.as_json()}) from refused
    except Failure as failure:
        raise Refusal.of(failure) from failure
    if arguments.json:
        show(answer)
    else:
        print(answer.get("message", answer))
    return 0


def reconcile(arguments: Namespace) -> int:
    """Fetch, match, report one bill date in the system."""
    from miniapp.commands import opening
    from miniapp.reconcile import running as reconciling

    day = _day(arguments.date)
    opening.open_system()
    try:
        answer = reconciling.run(day, account=arguments.account)
    except Failure as failure:
        raise Refusal.of(failure) from failure
    if arguments.json:
        show(answer)
    else:
        print(answer.get("message", answer))
    return int(answer.get("exit", 0))


def _needs(file: Path) -> None:
    if not file.is_file():
        raise Refusal(
            {
                "code": "NO_FILE",
                "message": say("commands.no_file"),
                "file": str(file),
                "hint": say("commands.no_file_hint"),
            }
        )


def _day(text: str) -> date:
    try:
        if len(text) != 10:
            raise ValueError(text)
        return date.fromisoformat(text)
    except ValueError as error:
        raise Refusal({"code": "BAD_DATE", "message": say("commands.bad_date"), "hint": ""}) from error
