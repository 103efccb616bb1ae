"""What the worker may call in this room."""

from datetime import timedelta

from miniapp.outbox.jobs import Job, Outside
from miniapp.printing import spool

JOBS: dict[str, Job] = {
    "printing.print": Outside(
        call=spool.send,
        query=spool.look,
        max_attempts=200,
        first_delay=timedelta(seconds=1),
        longest_delay=timedelta(seconds=30),
    ),
}
