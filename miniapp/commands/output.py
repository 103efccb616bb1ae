"""What a command prints."""

import json
import sys
from typing import Any

from miniapp.commands.refusing import Refusal
from miniapp.core.text import say


def show(document: Any) -> None:
    """One JSON document on standard output."""
    print(json.dumps(document, ensure_ascii=False, indent=None if not sys.stdout.isatty() else 2))


def read_json() -> Any:
    """The JSON document on standard input. Raises Refusal."""
    try:
        return json.loads(sys.stdin.buffer.read().decode("utf-8-sig"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Refusal(
            {"code": "NOT_JSON", "message": say("commands.not_json"), "hint": say("commands.not_json_hint")}
        ) from error


def _no_constant(name: str) -> None:
    raise ValueError(name)
