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
        is_repeat = issuing.order_of(request_id) is not None
        begun = begin(request_id, **more)
        if begun is None or not is_repeat:
            return begun
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


PLANTS: dict[str, Callable[[], None]] = {
    name: plant
    for name, plant in list(globals().items())
    if callable(plant) and getattr(plant, "__module__", "") == __name__
}
