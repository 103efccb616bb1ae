"""``miniapp setup``: the only way in for companies, stores, accounts, terminals and staff."""

from argparse import Namespace
from dataclasses import asdict

from miniapp.commands import opening
from miniapp.commands.output import show
from miniapp.commands.refusing import Refusal
from miniapp.core.text import say
from miniapp.invoices import channels
from miniapp.payments import gateways
from miniapp.printing import drivers
from miniapp.stores import registering
from miniapp.stores import setup as document


def setup(arguments: Namespace) -> int:
    """Read, check and write one document."""
    try:
        text = arguments.file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Refusal(
            {"code": "NO_FILE", "message": say("commands.no_file"), "file": str(arguments.file), "hint": ""}
        ) from error
    opening.open_system()
    try:
        read = document.read(text, kinds=kind_fields(), folder=arguments.file.parent)
        counts = document.apply(read, registering.write)
    except document.SetupRefused as refused:
        faults = [asdict(fault) for fault in refused.faults]
        lines = [
            {"message": " ".join(filter(None, (f"[[{f['table']}]]", f["code"], f["key"], f["message"])))}
            for f in faults
        ]
        raise Refusal(
            {"code": refused.code, "message": refused.message, "hint": "", "faults": faults, "fields": lines}
            if not arguments.json
            else {"code": refused.code, "message": refused.message, "hint": "", "faults": faults}
        ) from refused
    if arguments.json:
        show({"changed": counts})
    else:
        summary = "、".join(f"{table} {count}" for table, count in counts.items()) or "0"
        print(say("setup.done", summary=summary))
    return 0


def kind_fields() -> document.KindFields:
    """Which settings each kind declares, for the document's check."""
    return {
        "channel": {
            kind: frozenset(setting.name for setting in found.SETTINGS)
            for kind, found in channels.all_kinds().items()
        },
        "driver": {
            kind: frozenset(setting.name for setting in found.SETTINGS)
            for kind, found in drivers.all_kinds().items()
        },
        "gateway": {
            kind: frozenset(setting.name for setting in found.SETTINGS)
            for kind, found in gateways.all_kinds().items()
        },
    }
