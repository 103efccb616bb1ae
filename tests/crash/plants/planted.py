"""Bugs on purpose, by name. Each takes one guard out of the running program; a campaign must find every one."""

from collections.abc import Callable
from typing import Any


def new_serial_on_retry() -> None:
    """A repeated issue order goes out under a new serial."""
    from dataclasses import replace

    from miniapp.core import codes
    from miniapp.invoices import issuing

    begin = issuing.begin

    def begin_anew(request_id: int, **more: Any) -> Any:
        begun = begin(request_id, **more)
        if begun is None:
            return None
        return replace(begun, order=replace(begun.order, serial=codes.serial()))

    issuing.begin = begin_anew


def no_query_before_repeat() -> None:
    """What may have gone out is sent once more instead of being asked about."""
    from miniapp.outbox.worker import Worker

    def attempt(self: Worker, job: Any, called: bool, task: Any) -> Any:
        return job.run(task) if hasattr(job, "run") else self._call(job, task)

    Worker._attempt = attempt  # type: ignore[method-assign]


def claim_without_limit() -> None:
    """Asking looks at nothing but the purchase: no live claim, no limit, no constraint on what is claimed."""
    from miniapp.invoices import rules
    from miniapp.payments import balances

    def no_refunds(_session: Any, _sale_id: int) -> list[Any]:
        return []

    balances.refunds_of = no_refunds
    rules.obstacle = lambda purchase, **_: None  # type: ignore[assignment]


def no_idempotent_report() -> None:
    """The same report again is another sale."""
    from dataclasses import replace

    from miniapp.core import codes
    from miniapp.payments import entries

    enter_sale = entries.enter_sale

    def enter_always(session: Any, till: Any, report: Any, *, source: str = "reported") -> Any:
        if source == "reported" and entries.find_sale(
            session, till.account(report.platform), report.out_trade_no
        ):
            report = replace(report, out_trade_no=f"{report.out_trade_no}-{codes.short_code(4)}")
        return enter_sale(session, till, report, source=source)

    entries.enter_sale = enter_always


def number_after_file() -> None:
    """The number is recorded only once, with the first answer, and a lost one is forgotten: done without a record."""
    from miniapp.invoices import issuing
    from miniapp.outbox.jobs import Done

    settle = issuing.settle

    def settle_and_forget(order_id: int, answer: Any) -> Any:
        settle(order_id, answer)
        return Done("forgotten")

    issuing.settle = settle_and_forget


def print_again() -> None:
    """A print whose end nobody saw is simply sent again."""
    from miniapp.outbox.jobs import NeverArrived
    from miniapp.printing import spool

    look = spool._file_look

    def look_and_repeat(copy: Any, answer: Any) -> Any:
        from miniapp import db

        with db.transaction() as session:
            job = spool._get(session, copy.job_id)
            if job.state == "sending":
                spool._move(session, job, "prove_unprinted")
                return NeverArrived("again")
        return look(copy, answer)

    spool._file_look = look_and_repeat


PLANTS: dict[str, Callable[[], None]] = {
    name: plant
    for name, plant in list(globals().items())
    if callable(plant) and getattr(plant, "__module__", "") == __name__
}
