"""The routes of ``/terminal/v1``: read, one verb, answer."""

from dataclasses import asdict
from typing import Any

from flask import Response, g, request
from pydantic import ValidationError

from miniapp.core.clock import now
from miniapp.core.errors import Missing
from miniapp.core.text import say
from miniapp.handlers.terminal import reading, strict_json
from miniapp.handlers.terminal.answering import Answer, once, plain
from miniapp.handlers.terminal.bodies import (
    ChargeBody,
    HeartbeatBody,
    RefundBody,
    TransactionBody,
    TransactionsBody,
)
from miniapp.payments import charging, door, feed, ledger, refunding, slips
from miniapp.payments.charging import ChargeView
from miniapp.payments.reports import Report, Result

RETRY_AFTER = "2"
PAGE = 100


def charge() -> Response:
    """``POST charges``"""
    body = reading.model(ChargeBody, _body())

    def work() -> Answer:
        return _charge_answer(charging.charge(g.terminal.id, body.asked()))

    return once("charges", work)


def charge_state(out_trade_no: str) -> Response:
    """``GET charges/<out_trade_no>``"""
    return plain(_charge_answer(charging.view(g.terminal.id, out_trade_no)))


def refund() -> Response:
    """``POST refunds``"""
    body = reading.model(RefundBody, _body())

    def work() -> Answer:
        view = refunding.refund(g.terminal.id, body.asked())
        return _open_or_settled(
            asdict(view), is_settled=view.is_settled, is_waiting=view.state == "refunding"
        )

    return once("refunds", work)


def report() -> Response:
    """``POST transactions``"""
    body = reading.model(TransactionsBody, _body())
    rows = [reading.own(g.terminal, row) for row in body.transactions]

    def work() -> Answer:
        return Answer({"results": _recorded(rows)})

    return once("transactions", work)


def transactions() -> Response:
    """``GET transactions?since=CURSOR``: this terminal's rows in the order of their recording."""
    page = feed.since(g.terminal.id, request.args.get("since", ""), limit=PAGE)
    return plain(Answer({"transactions": [_row(row) for row in page.rows], "next": page.cursor}))


def slip(out_trade_no: str) -> Response:
    """``GET slips/<out_trade_no>``"""
    sale_id = feed.sale_id_of_number(g.terminal.store_id, out_trade_no)
    if sale_id is None:
        raise Missing("payments.no_such_sale")
    return plain(Answer(slips.slip_of(sale_id)))


def heartbeat() -> Response:
    """``POST heartbeat``"""
    body = reading.model(HeartbeatBody, _body())
    door.beat(g.terminal.id, body.model_dump(mode="json", exclude_none=True))
    return plain(Answer({"server_time": now().isoformat(timespec="seconds")}))


def _body() -> dict[str, Any]:
    return reading.own(g.terminal, strict_json.parse(request.get_data()))


def _charge_answer(view: ChargeView) -> Answer:
    values = asdict(view)
    sale_id = values.pop("transaction_id")
    values["slip"] = slips.slip_of(sale_id) if sale_id is not None else None
    return _open_or_settled(values, is_settled=view.is_settled, is_waiting=view.state == "paying")


def _open_or_settled(values: dict[str, Any], *, is_settled: bool, is_waiting: bool) -> Answer:
    if is_waiting:
        return Answer(values, 202, is_settled=False, headers={"Retry-After": RETRY_AFTER})
    return Answer(values, is_settled=is_settled)


def _recorded(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Results in the order sent: a row that cannot be read is refused, the others are recorded."""
    read: list[Report | str] = []
    for row in rows:
        try:
            read.append(TransactionBody.model_validate(row).report())
        except ValidationError as error:
            read.append(reading.faults(error))
    recorded = iter(ledger.record_report(g.terminal.id, [one for one in read if isinstance(one, Report)]))
    return [
        _result(next(recorded)) if isinstance(one, Report) else _refused(row, one)
        for row, one in zip(rows, read, strict=True)
    ]


def _result(result: Result) -> dict[str, Any]:
    has_slip = result.is_sale and result.transaction_id is not None and result.result in ("recorded", "known")
    return {
        "out_trade_no": result.out_trade_no,
        "result": result.result,
        "message": result.message,
        "slip": slips.slip_of(result.transaction_id) if has_slip and result.transaction_id else None,
    }


def _refused(row: dict[str, Any], faults: str) -> dict[str, Any]:
    number = row.get("out_trade_no")
    return {
        "out_trade_no": number if isinstance(number, str) and len(number) <= 64 else "",
        "result": "refused",
        "message": say("terminal.row_refused", faults=faults),
        "slip": None,
    }


def _row(row: feed.LedgerRow) -> dict[str, Any]:
    values = asdict(row)
    values["occurred_at"] = row.occurred_at.isoformat()
    values.pop("id")
    return values
