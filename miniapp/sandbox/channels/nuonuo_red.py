"""Red letters: saveInvoiceRedConfirm, queryInvoiceRedConfirm, fastInvoiceRed, over states 01 to 10."""

from __future__ import annotations

import json
import secrets
from datetime import timedelta
from decimal import Decimal
from typing import Any

from miniapp.sandbox.channels import nuonuo_walk
from miniapp.sandbox.channels.nuonuo_answers import Call, check_seller
from miniapp.sandbox.channels.nuonuo_rules import Refusal
from miniapp.sandbox.doors import fault
from miniapp.sandbox.store import Row
from miniapp.sandbox.world import opened, stamp, unstamp

SCHEMA = """
CREATE TABLE IF NOT EXISTS nuonuo_red_bills (
    id INTEGER PRIMARY KEY, bill_id TEXT NOT NULL UNIQUE, bill_no TEXT NOT NULL, bill_uuid TEXT NOT NULL,
    taxpayer_no TEXT NOT NULL, blue_number TEXT NOT NULL, status TEXT NOT NULL, reason TEXT NOT NULL,
    red_number TEXT NOT NULL DEFAULT '', created_at TEXT NOT NULL);
"""
GO, OVER = ("01", "04"), ("05", "06", "07", "08", "09", "10")
REASONS = ("1", "2", "3", "4")
UNCONFIRMED = timedelta(hours=72)


def save_confirm(call: Call) -> dict[str, str]:
    """saveInvoiceRedConfirm for the whole of one blue invoice; `state:NN` as fault chooses the first state (01)."""
    body = {name: str(value) for name, value in call.body.items() if isinstance(value, str | int)}
    for name in ("billId", "blueElecInvoiceNumber", "sellerTaxNo", "redReason", "applySource"):
        if not body.get(name):
            raise Refusal("E4000", f"{name}不能为空")
    check_seller(call, body["sellerTaxNo"])
    if len(body["billId"]) > 32 or body["redReason"] not in REASONS:
        raise Refusal("E4000", "billId过长或redReason不支持")
    taken = fault()
    with call.world.store.writing():
        if call.world.store.row("SELECT 1 FROM nuonuo_red_bills WHERE bill_id = ?", body["billId"]):
            raise Refusal("E9106", "申请单号不能重复")
        _blue(call, body["blueElecInvoiceNumber"], body["sellerTaxNo"])
        if _open_bill(call, body["blueElecInvoiceNumber"]):
            raise Refusal("E9103", "该发票已存在红字确认单")
        call.world.store.insert(
            "nuonuo_red_bills",
            bill_id=body["billId"],
            bill_no=f"{call.world.beijing():%Y%m%d}{secrets.randbelow(10**12):012d}",
            bill_uuid=secrets.token_hex(16),
            taxpayer_no=body["sellerTaxNo"],
            blue_number=body["blueElecInvoiceNumber"],
            status=taken.argument if taken and taken.word == "state" else "01",
            reason=body["redReason"],
            created_at=stamp(call.world.now()),
        )
    return {"billId": body["billId"]}


def query_confirm(call: Call) -> dict[str, Any]:
    """queryInvoiceRedConfirm by billId, billNo or billUuid."""
    rows = [row for row in (_bill(call),) if row]
    return {"total": len(rows), "list": [_bill_answer(row) for row in rows]}


def fast_red(call: Call) -> dict[str, str]:
    """fastInvoiceRed: issues the red invoice of a bill at 01 or 04, or of a blue number without a bill."""
    order_no = str(call.body.get("orderNo") or "")
    if not order_no:
        raise Refusal("E4000", "orderNo不能为空")
    seller = str(call.body.get("taxNum") or call.entry.get("taxpayer_no", ""))
    check_seller(call, seller)
    with call.world.store.writing():
        if call.world.store.row("SELECT 1 FROM issues WHERE channel = 'nuonuo' AND serial = ?", order_no):
            raise Refusal("E9106", "订单编号不能重复")
        bill = _bill(call)
        if bill and bill["status"] not in GO:
            raise Refusal("E4000", f"红字确认单状态为{bill['status']}，不能开具红票")
        number = bill["blue_number"] if bill else str(call.body.get("elecInvoiceNumber", ""))
        red = _red_issue(call, _blue(call, number, seller), order_no)
        if bill:
            call.world.store.update("nuonuo_red_bills", bill["id"], red_number=red["invoice_no"])
    return {"invoiceSerialNum": red["channel_serial"]}


METHODS = {
    "saveInvoiceRedConfirm": save_confirm,
    "queryInvoiceRedConfirm": query_confirm,
    "fastInvoiceRed": fast_red,
}


def _blue(call: Call, number: str, seller: str) -> Row:
    row = call.world.store.row(
        "SELECT * FROM issues WHERE channel = 'nuonuo' AND kind = 'blue' AND invoice_no = ? AND taxpayer_no = ?"
        " AND state = 'issued'",
        number,
        seller,
    )
    if row is None:
        raise Refusal("E9500", "未查询到蓝票")
    red = call.world.store.rows(
        "SELECT extra FROM issues WHERE channel = 'nuonuo' AND kind = 'red' AND taxpayer_no = ?", seller
    )
    if any(json.loads(other["extra"]).get("blue_number") == number for other in red):
        raise Refusal("E9103", "该发票已红冲")
    return opened(row)


def _open_bill(call: Call, number: str) -> bool:
    rows = call.world.store.rows("SELECT status FROM nuonuo_red_bills WHERE blue_number = ?", number)
    return any(row["status"] not in OVER for row in rows)


def _bill(call: Call) -> Row | None:
    for column, name in (("bill_id", "billId"), ("bill_no", "billNo"), ("bill_uuid", "billUuid")):
        value = call.body.get(name)
        if value:
            row = call.world.store.row(
                f"SELECT * FROM nuonuo_red_bills WHERE {column} = ?",  # noqa: S608
                str(value),
            )
            return _timed_out(call, row) if row else None
    return None


def _timed_out(call: Call, row: Row) -> Row:
    waits = row["status"] in ("02", "03")
    if waits and unstamp(row["created_at"]) < call.world.now() - UNCONFIRMED:
        call.world.store.update("nuonuo_red_bills", row["id"], status="07")
        return {**row, "status": "07"}
    return row


def _bill_answer(row: Row) -> dict[str, str]:
    return {
        "billId": row["bill_id"],
        "billNo": row["bill_no"],
        "billUuid": row["bill_uuid"],
        "billStatus": row["status"],
        "openStatus": "1" if row["red_number"] else "0",
        "blueElecInvoiceNumber": row["blue_number"],
        "redInvoiceNumber": row["red_number"],
    }


def _red_issue(call: Call, blue: Row, order_no: str) -> Row:
    sums = {name: str(-Decimal(blue["extra"][name])) for name in ("included", "excluded", "tax")}
    extra = {**blue["extra"], **sums, "queries": 0, "fate": "", "blue_number": blue["invoice_no"]}
    request = {
        **blue["request"],
        "orderNo": order_no,
        "callBackUrl": str(call.body.get("callBackUrl") or ""),
        "remark": f"被红冲蓝字数电票号码：{blue['invoice_no']}",
    }
    row_id = call.world.store.insert(
        "issues",
        channel="nuonuo",
        taxpayer_no=blue["taxpayer_no"],
        serial=order_no,
        channel_serial=f"{call.world.beijing():%y%m%d%H%M%S}{secrets.randbelow(10**8):08d}",
        kind="red",
        state="waiting",
        buyer_name=blue["buyer_name"],
        buyer_tax_no=blue["buyer_tax_no"],
        total_fen=-blue["total_fen"],
        created_at=stamp(call.world.now()),
        request=json.dumps(request, ensure_ascii=False),
        extra=json.dumps(extra, ensure_ascii=False),
    )
    return nuonuo_walk.finish(call.world, row_id)
