"""What the worker may call in this room."""

from datetime import timedelta
from functools import partial

from miniapp.invoices import delivering, documents, issuing, requesting
from miniapp.outbox.jobs import Done, Job, Local, Outcome, Outside, Task


def jobs(*, public_base: str, expire_after: timedelta) -> dict[str, Job]:
    """Job name → job."""
    return {
        "invoices.issue": Outside(
            call=partial(issuing.issue, public_base=public_base),
            query=partial(issuing.find, public_base=public_base),
        ),
        "invoices.ask_channel": Local(issuing.ask_channel),
        "invoices.fetch_documents": Outside(call=documents.fetch, query=documents.kept, max_attempts=40),
        "invoices.to_printer": Local(delivering.to_printer),
        "invoices.printed": Local(delivering.printed),
        "invoices.reconsider_sale": Local(reconsider_sale),
        "invoices.reconsider_sales": Local(reconsider_sales),
        "invoices.reconsider_batch": Local(reconsider_batch),
        "invoices.reconsider_day": Local(reconsider_day),
        "invoices.expire": Local(partial(expire, after=expire_after)),
    }


def reconsider_sale(task: Task) -> Outcome | None:
    """An order query has answered about a sale."""
    return _reconsider(requesting.touched_by(sale_ids=[task.payload["transaction_id"]]))


def reconsider_sales(task: Task) -> Outcome | None:
    """Differences were found or settled."""
    return _reconsider(requesting.touched_by(sale_ids=task.payload["transaction_ids"]))


def reconsider_batch(task: Task) -> Outcome | None:
    """An account's bill date was reconciled."""
    return _reconsider(
        requesting.touched_by(
            merchant_account_id=task.payload["merchant_account_id"], bill_date=task.payload["bill_date"]
        )
    )


def reconsider_day(task: Task) -> Outcome | None:
    """A company's bill date was closed or reopened."""
    return _reconsider(
        requesting.touched_by(company_id=task.payload["company_id"], bill_date=task.payload["bill_date"])
    )


def expire(task: Task, *, after: timedelta) -> Outcome | None:
    """Clock work: requests that waited too long."""
    return Done(str(requesting.expire_due(after=after)))


def _reconsider(request_ids: list[int]) -> Outcome:
    for request_id in request_ids:
        requesting.reconsider(request_id)
    return Done(str(len(request_ids)))
