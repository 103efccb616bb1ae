"""Commands that read one JSON document and need no database: titles check, invoices amounts, invoices render."""

import json
import os
from argparse import Namespace

from miniapp.commands.output import read_json, show
from miniapp.commands.refusing import Refusal
from miniapp.core.errors import Failure
from miniapp.core.text import say


def check_title(arguments: Namespace) -> int:
    """One title, normalised, or every field at fault."""
    from miniapp.titles import rules

    verify = os.environ.get("MINIAPP_VERIFY_TAXPAYER_NUMBERS", "true").lower() not in ("0", "false", "no")
    try:
        title = rules.check(read_json(), verify_numbers=verify)
    except rules.InvalidTitle as refused:
        raise Refusal(refused.as_json()) from refused
    if arguments.json:
        show(title)
    else:
        print(say("commands.title_good", name=title["name"]))
        for warning in title["warnings"]:
            print(f"  · {warning['message']}")
    return 0


def amounts(arguments: Namespace) -> int:
    """The invoice lines that a purchase would carry."""
    from miniapp.core.money import show as show_yuan
    from miniapp.invoices.amounts import AmountsRefused
    from miniapp.invoices.amounts import amounts as compute

    try:
        answer = compute(read_json())
    except AmountsRefused as refused:
        raise Refusal.of(refused) from refused
    if arguments.json:
        show(answer)
        return 0
    for line in answer["lines"]:
        print(f"{line['name']}  {show_yuan(line['net_fen'])} + {show_yuan(line['tax_fen'])}")
    print(
        say("commands.amounts_total", total=show_yuan(answer["total_fen"]), tax=show_yuan(answer["tax_fen"]))
    )
    return 0


def render(arguments: Namespace) -> int:
    """Draw an invoice's face from JSON, marked as a specimen."""
    from miniapp.printing import sheet_json
    from miniapp.printing.invoice_pdf import draw

    try:
        data = json.loads(arguments.file.read_text("utf-8-sig"))
    except OSError as error:
        raise Refusal(_no_file(str(arguments.file))) from error
    except (ValueError, RecursionError) as error:
        raise Refusal(
            {"code": "NOT_JSON", "message": say("commands.not_json"), "file": str(arguments.file), "hint": ""}
        ) from error
    try:
        content = draw(sheet_json.sheet_from_json(data))
    except Failure as failure:
        raise Refusal.of(failure) from failure
    try:
        arguments.out.write_bytes(content)
    except OSError as error:
        raise Refusal(
            {
                "code": "NOT_WRITTEN",
                "message": say("commands.not_written"),
                "file": str(arguments.out),
                "hint": "",
            }
        ) from error
    if arguments.json:
        show({"file": str(arguments.out), "bytes": len(content)})
    else:
        print(say("commands.rendered", file=arguments.out))
    return 0


def _no_file(name: str) -> dict[str, str]:
    return {
        "code": "NO_FILE",
        "message": say("commands.no_file"),
        "file": name,
        "hint": say("commands.no_file_hint"),
    }
