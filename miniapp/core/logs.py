"""Structured logs: one JSON object a line, fields from a list. What is not on the list is left out, so no secret slips in."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

ALLOWED = frozenset(
    {
        "event",
        "level",
        "timestamp",
        "exception",
        "error",
        "reference",
        "path",
        "method",
        "status",
        "duration_ms",
        "job",
        "work_id",
        "attempts",
        "request_id",
        "invoice_id",
        "transaction_id",
        "charge_id",
        "account",
        "terminal",
        "store",
        "bill_date",
        "outcome",
        "reason",
        "code",
        "logger",
        "host",
        "port",
        "worker",
        "count",
        "target",
    }
)


def configure(level: str) -> None:
    """To standard error, ours and the libraries' alike."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        allow_listed,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(ensure_ascii=False)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                allow_listed,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(logging.getLevelName(level), logging.WARNING))


def allow_listed(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Keep the listed fields only; internal fields of structlog pass to its own processors."""
    return {key: value for key, value in event.items() if key in ALLOWED or key.startswith("_")}
