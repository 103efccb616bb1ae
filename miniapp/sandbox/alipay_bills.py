"""Alipay's bill interface: a download address good for 30 seconds, and the zip behind it.

Lasting switches on door `alipay.bills` (`times` null; `match` may name `bill_date`): `late`, `empty_not_exist`,
`missing_row`, `extra_row`, `off_by_a_fen`, `duplicate_row`, `cut`, `foreign`, `lf`, `summary_first`, `wrong_footer`.
"""

from __future__ import annotations

import secrets
from datetime import date, datetime, time, timedelta
from typing import Any

from flask import Blueprint, Response, request

from miniapp.sandbox import alipay_amounts as money
from miniapp.sandbox import alipay_bill_file as bill
from miniapp.sandbox import alipay_people as people
from miniapp.sandbox.alipay_answers import failed
from miniapp.sandbox.alipay_gateway import Call, Method
from miniapp.sandbox.alipay_trade import divided, parts_of
from miniapp.sandbox.doors import door
from miniapp.sandbox.store import Row
from miniapp.sandbox.world import BEIJING, World, opened, stamp, unstamp

SCHEMA = """
CREATE TABLE IF NOT EXISTS alipay_bill_links (
    token TEXT PRIMARY KEY, app_id TEXT NOT NULL, bill_date TEXT NOT NULL, issued_at TEXT NOT NULL);
"""
LINK_LIFE = timedelta(seconds=30)
READY = time(9, 0)
SWITCHES = "alipay.bills"


def blueprint(world: World) -> Blueprint:
    """`/alipay-bills/downloadBillFile.resource`."""
    bp = Blueprint("alipay_bills", __name__)

    @bp.get("/alipay-bills/downloadBillFile.resource")
    @door(world, "alipay.bills.download")
    def download() -> Response:
        return _download(world, request.args.get("token", ""))

    return bp


def download_url(call: Call) -> dict[str, Any]:
    """alipay.data.dataservice.bill.downloadurl.query of bill_type trade; signcustomer never exists here."""
    if call.text("bill_type") not in ("trade", "signcustomer"):
        raise failed("INVAILID_ARGUMENTS", "bill_type不支持")
    if call.text("bill_type") != "trade":
        raise failed("BILL_NOT_EXIST")
    first, last = period(call.text("bill_date"))
    today = call.world.beijing().date()
    if last >= today or first < date(2016, 1, 1):
        raise failed("INVAILID_ARGUMENTS", "bill_date不合法")
    ready = datetime.combine(last + timedelta(days=1), READY, tzinfo=BEIJING)
    if call.world.now() < ready or switched(call.world, "late", call.text("bill_date")):
        raise failed("BILL_NOT_EXIST")
    rows = rows_of(call.world, str(call.app["pid"]), first, last)
    if not rows and switched(call.world, "empty_not_exist", call.text("bill_date")):
        raise failed("BILL_NOT_EXIST")
    token = secrets.token_hex(16)
    call.world.store.insert(
        "alipay_bill_links",
        token=token,
        app_id=call.app["app_id"],
        bill_date=call.text("bill_date"),
        issued_at=stamp(call.world.now()),
    )
    node = {"bill_download_url": _address(call, token)}
    if not rows:
        node["bill_file_code"] = "EMPTY_DATA_WITH_BILL_FILE"
    return node


METHODS: dict[str, Method] = {"alipay.data.dataservice.bill.downloadurl.query": download_url}


def period(text: str) -> tuple[date, date]:
    """First and last day of `yyyy-MM-dd` or `yyyy-MM`. Raises INVAILID_ARGUMENTS."""
    try:
        if len(text) == 10:
            day = date.fromisoformat(text)
            return day, day
        if len(text) == 7:
            first = date.fromisoformat(f"{text}-01")
            following = (first + timedelta(days=32)).replace(day=1)
            return first, following - timedelta(days=1)
    except ValueError:
        pass
    raise failed("INVAILID_ARGUMENTS", "bill_date格式不正确")


def rows_of(world: World, pid: str, first: date, last: date) -> list[bill.BillRow]:
    """True rows of the period, by time of completion in Beijing: sales, refunds, cancels of paid trades."""
    start = stamp(datetime.combine(first, time(), tzinfo=BEIJING))
    end = stamp(datetime.combine(last + timedelta(days=1), time(), tzinfo=BEIJING))
    sales = world.store.rows(
        "SELECT * FROM payments WHERE platform = 'alipay' AND merchant = ? AND paid_at >= ? AND paid_at < ?",
        pid,
        start,
        end,
    )
    refunds = world.store.rows(
        "SELECT r.* FROM refunds r JOIN payments p ON p.id = r.payment_id WHERE p.platform = 'alipay'"
        " AND p.merchant = ? AND r.state = 'success' AND r.done_at >= ? AND r.done_at < ?",
        pid,
        start,
        end,
    )
    rows = [_sale_row(world, opened(row)) for row in sales]
    for refunded in refunds:
        payment = world.store.row("SELECT * FROM payments WHERE id = ?", refunded["payment_id"])
        rows.append(_refund_row(world, opened(payment or {}), opened(refunded)))
    return sorted(rows, key=lambda row: (row.finished_at, row.trade_no, row.kind))


def switched(world: World, word: str, bill_date: str) -> bool:
    """Whether a lasting switch of the bills is on for that date."""
    fault = world.faults.on(SWITCHES, word)
    return fault is not None and fault.match.get("bill_date", bill_date) == bill_date


def _download(world: World, token: str) -> Response:
    row = world.store.row("SELECT * FROM alipay_bill_links WHERE token = ?", token)
    if row is None or row["issued_at"] < stamp(world.now() - LINK_LIFE):
        return Response("下载链接已过期", 403, content_type="text/plain;charset=utf-8")
    app = world.entry("alipay_apps", row["app_id"]) or {}
    first, last = period(row["bill_date"])
    rows = rows_of(world, str(app["pid"]), first, last)
    rows = _damaged(world, rows, row["bill_date"], first)
    account = f"{app['pid']}0156"
    if switched(world, "foreign", row["bill_date"]):
        account = "20880000000000000156"
    label = row["bill_date"].replace("-", "")
    exported = world.beijing().replace(tzinfo=None)
    heading = bill.Heading(account, first, last, exported, label)
    packed = bill.archive(
        rows,
        heading,
        crlf=not switched(world, "lf", row["bill_date"]),
        summary_first=switched(world, "summary_first", row["bill_date"]),
        footer_off=switched(world, "wrong_footer", row["bill_date"]),
    )
    if switched(world, "cut", row["bill_date"]):
        packed = packed[: len(packed) * 2 // 3]
    headers = {"Content-Disposition": f"attachment; filename={account}_{label}.zip"}
    return Response(packed, content_type="application/octet-stream", headers=headers)


def _damaged(world: World, rows: list[bill.BillRow], bill_date: str, day: date) -> list[bill.BillRow]:
    if switched(world, "off_by_a_fen", bill_date):
        rows = bill.off_by_a_fen(rows)
    if switched(world, "duplicate_row", bill_date):
        rows = bill.with_a_duplicate(rows)
    if switched(world, "missing_row", bill_date):
        rows = bill.without_one(rows)
    if switched(world, "extra_row", bill_date):
        rows = bill.with_a_stranger(rows, day=day)
    return rows


def _address(call: Call, token: str) -> str:
    base = call.world.base_url or request.host_url.rstrip("/")
    day = call.text("bill_date").replace("-", "")
    return (
        f"{base}/alipay-bills/downloadBillFile.resource?bizType={call.text('bill_type')}"
        f"&userId={call.app['pid']}0156&fileType=csv.zip&bizDates={day}"
        f"&downloadFileName={call.app['pid']}0156_{day}.zip&fileId=%2Ftrade%2F{day}.csv.zip"
        f"&timestamp={int(call.world.now().timestamp() * 1000)}&token={token}"
    )


def _sale_row(world: World, payment: Row) -> bill.BillRow:
    return _row(world, payment, divided(payment), sign=1, kind=bill.TRADE, at=payment["paid_at"])


def _refund_row(world: World, payment: Row, refunded: Row) -> bill.BillRow:
    parts = parts_of(refunded)
    request_no = refunded["refund_no"] if refunded["kind"] == "refund" else ""
    return _row(
        world, payment, parts, sign=-1, kind=bill.REFUND, at=refunded["done_at"], request_no=request_no
    )


def _row(
    world: World,
    payment: Row,
    parts: list[money.Part],
    *,
    sign: int,
    kind: str,
    at: str,
    request_no: str = "",
) -> bill.BillRow:
    found = money.amounts(parts)
    receipt = sign * found["receipt_amount"]
    vouchers = [part.name for part in parts if part.name and part.channel in money.VOUCHER_TYPES]
    return bill.BillRow(
        trade_no=payment["trade_no"],
        out_trade_no=payment["out_trade_no"],
        kind=kind,
        subject=payment["subject"],
        created_at=_local(payment["created_at"]),
        finished_at=_local(at),
        order_fen=sign * found["total_amount"],
        receipt_fen=receipt,
        store_no=payment["store"],
        store_name=payment["extra"].get("store_name", ""),
        operator=payment["operator"],
        terminal=payment["device"],
        buyer=f"*甲({people.logon_id(world, payment['person'])})",
        red_packet_fen=sign * money.sum_of(parts, ("COUPON",)),
        point_fen=sign * money.sum_of(parts, ("POINT",)),
        platform_fen=sign * money.sum_of(parts, ("DISCOUNT",)),
        merchant_fen=sign * money.sum_of(parts, ("MDISCOUNT",)),
        voucher_name=";".join(vouchers),
        merchant_red_fen=sign * money.sum_of(parts, ("MCOUPON",)),
        card_fen=sign * money.sum_of(parts, ("MCARD", "PCARD")),
        request_no=request_no,
        fee_fen=bill.fee_fen(receipt),
    )


def _local(text: str) -> datetime:
    return unstamp(text).astimezone(BEIJING).replace(tzinfo=None)
