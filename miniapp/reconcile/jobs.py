"""What the worker may call here: job name → job, for ``wiring``."""

from datetime import date, timedelta

from miniapp.outbox.jobs import Done, Job, Later, Local, NeverArrived, Outcome, Outside, Task
from miniapp.reconcile import fetching, running

WAIT = timedelta(minutes=30)


def run(task: Task) -> Outcome:
    """Match one account's day with the bills that are here. A bill that is not here yet brings its own run."""
    state = running.match_account(*_day_of(task))
    return Done(state)


def fetch(task: Task) -> Outcome:
    """Fetch one account's bill of a day; while it is being made, come back."""
    found = fetching.fetch(*_day_of(task))
    if found.is_final:
        return Done(found.outcome)
    if found.outcome in ("refused", "failed"):
        # Tomorrow's plan asks again; until then a person reads why, and may import the file by hand.
        return Done(f"{found.outcome}: {found.message}")
    wait = timedelta(seconds=found.wait_seconds) if found.wait_seconds else WAIT
    return Later(found.message, after=wait, counts=found.outcome != "not_yet")


def read_again(task: Task) -> Outcome:
    """A fetch whose end we did not see: it reads only, and the same bytes are the same file, so it may be done again."""
    return NeverArrived("reading changes nothing outside")


def plan(task: Task) -> Outcome:
    """Record the fetches that are due."""
    return Done(str(fetching.plan()))


def _day_of(task: Task) -> tuple[int, date]:
    return int(task.payload["merchant_account_id"]), date.fromisoformat(task.payload["bill_date"])


JOBS: dict[str, Job] = {
    "reconcile.run": Local(run),
    "reconcile.fetch": Outside(fetch, read_again),
    "reconcile.plan_fetches": Local(plan),
}
"""``reconcile.plan_fetches`` is clock work: every ten minutes is enough."""
