"""The child of ``intake.read_in_child``: an order on standard input, one JSON answer on standard output."""

import json
import resource
import sys
from dataclasses import asdict
from pathlib import Path

from miniapp.reconcile import intake
from miniapp.reconcile.limits import Limits
from miniapp.reconcile.refusing import BillRefused


def main() -> None:
    """Take limits first, then read. Dying without an answer is an answer too: the parent refuses the file."""
    order = json.load(sys.stdin)
    limits = Limits(**order["limits"])
    resource.setrlimit(resource.RLIMIT_AS, (limits.child_memory_bytes, limits.child_memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.child_seconds, limits.child_seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        found = intake.read(
            Path(order["path"]),
            name=order["name"],
            rows_to=Path(order["rows_to"]),
            check_trailer=order["check_trailer"],
            limits=limits,
            folders=tuple(Path(folder) for folder in order["folders"]),
        )
        answer = {"read": {**asdict(found), "rows_path": None}}
    except BillRefused as refused:
        answer = {"refused": refused.as_wire()}
    json.dump(answer, sys.stdout, default=str)


if __name__ == "__main__":
    main()
