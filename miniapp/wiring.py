"""What follows what, on one page: job → function, event → jobs; and the few values that lower rooms are given.

Only the worker reads ``AFTER``: a web or command-line process need not know who listens.
"""

from datetime import timedelta

from miniapp.chat import jobs as chat_jobs
from miniapp.config import Config
from miniapp.core import clock, failpoints, files, logs, vault
from miniapp.invoices import jobs as invoice_jobs
from miniapp.invoices import steps as invoice_steps
from miniapp.outbox import schedule
from miniapp.outbox.jobs import Done, Job, Local
from miniapp.outbox.schedule import Every
from miniapp.outbox.worker import Worker
from miniapp.payments import balances, composition, entries
from miniapp.payments import jobs as payment_jobs
from miniapp.payments.composition import Composition
from miniapp.platforms import shared_tokens
from miniapp.printing import jobs as printing_jobs
from miniapp.reconcile import jobs as reconcile_jobs
from miniapp.reconcile import steps as reconcile_steps
from miniapp.stores import passwords

AFTER: dict[str, tuple[str, ...]] = {
    "Vouched": ("invoices.reconsider_sale",),
    "BatchReconciled": ("invoices.reconsider_batch",),
    "DifferenceFound": ("invoices.reconsider_sales",),
    "DifferenceSettled": ("invoices.reconsider_sales",),
    "DayClosed": ("invoices.reconsider_day",),
    "DayReopened": ("invoices.reconsider_day",),
    "ConfirmationNeeded": ("chat.ask_cashiers",),
    "RequestChanged": ("chat.tell_outcome",),
    "InvoiceIssued": ("invoices.fetch_documents",),
    "DocumentReady": ("chat.tell_issued", "invoices.to_printer"),
    "PrintJobChanged": ("invoices.printed",),
    "DeliveryChanged": ("chat.tell_delivery",),
}


EVERY = (
    Every("reconcile.plan_fetches", timedelta(minutes=10)),
    Every("invoices.expire", timedelta(minutes=5)),
    Every("payments.forget_door", timedelta(minutes=10)),
    Every("chat.forget_old", timedelta(days=1)),
    Every("outbox.forget_clockwork", timedelta(days=1)),
)


def jobs(config: Config) -> dict[str, Job]:
    """Every job by name."""
    return {
        **payment_jobs.JOBS,
        **reconcile_jobs.JOBS,
        **printing_jobs.JOBS,
        **invoice_jobs.jobs(
            public_base=config.public_base, expire_after=timedelta(hours=config.request_expire_hours)
        ),
        **chat_jobs.jobs(config),
        "outbox.forget_clockwork": Local(lambda _task: Done(str(schedule.forget_done(EVERY)))),
    }


def connect(config: Config) -> None:
    """Give this process what its rooms need; called once by every way in, before anything else."""
    logs.configure(config.log_level)
    clock.use_offset_file(config.clock_file)
    failpoints.arm(config.failpoints, environment=config.env, seed=config.failpoints_seed)
    vault.use_master(config.master_secret)
    if config.env == "test":
        passwords.be_cheap()
    files.use_folder(config.data_dir / "files")
    shared_tokens.use_database()
    balances.listen(invoice_steps.ClaimKeeper())
    entries.listen(reconcile_steps.on_recorded)
    composition.use(
        Composition(
            public_base=config.public_base,
            slip_days=config.slip_days,
            charge_threads=config.charge_threads,
            web_threads=config.threads,
        )
    )


def worker(config: Config) -> Worker:
    """A worker over all jobs."""
    return Worker(
        jobs(config),
        AFTER,
        schedule=EVERY,
        lease=timedelta(seconds=config.lease_seconds),
        threads=config.worker_threads,
    )
