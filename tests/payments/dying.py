"""A till's program that dies at a fail point: ``python -m tests.payments.dying DATABASE_URL FOLDER FAILPOINTS VERB JSON``."""

import json
import sys
from datetime import datetime
from pathlib import Path

from miniapp import db
from miniapp.core import clock, failpoints, files, vault
from miniapp.outbox.worker import Worker
from miniapp.payments import balances, charging, refunding
from miniapp.payments.charging import ChargeAsked
from miniapp.payments.jobs import JOBS
from miniapp.payments.refunding import RefundAsked
from tests.payments.shop import MASTER, Claims


def main() -> None:
    """Do one verb; where the fail point is reached the process is gone."""
    url, folder, points, moment, verb, values = sys.argv[1:]
    db.configure(url)
    vault.use_master(MASTER)
    files.use_folder(Path(folder) / "files")
    balances.listen(Claims())
    clock.set_clock(lambda: datetime.fromisoformat(moment))
    failpoints.arm(points, environment="test")
    terminal_id, fields = json.loads(values)
    if verb == "charge":
        charging.charge(terminal_id, ChargeAsked(**fields), wait_seconds=20)
    elif verb == "refund":
        refunding.refund(terminal_id, RefundAsked(**fields), wait_seconds=0)
        Worker(JOBS, {}).drain()
    else:
        Worker(JOBS, {}).drain()


if __name__ == "__main__":
    main()
