"""queryInvoiceResult, the files it points at, and the seller's session and credit.

Faults for one call on `nuonuo.queryInvoiceResult`: `not_found`, `foreign_answer`, `without_files`, `status:CODE`,
`empty`; on `nuonuo.file`: `wrong_file`, `not_a_pdf`, beside those of all doors (`http_404`, `delay:MS`, `cut_reply:K`).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from flask import Response

from miniapp.sandbox.channels import nuonuo_files as files
from miniapp.sandbox.channels import nuonuo_walk
from miniapp.sandbox.channels.nuonuo_answers import Call, taxpayers
from miniapp.sandbox.channels.nuonuo_rules import Refusal, checked
from miniapp.sandbox.doors import fault, fault_word
from miniapp.sandbox.store import Row
from miniapp.sandbox.world import BEIJING, World, opened, unstamp

MOST = 50
STATUS_WORDS = {
    "20": "开票中",
    "21": "开票成功签章中",
    "2": "开票完成",
    "22": "开票失败",
    "24": "开票成功签章失败",
}
KINDS = {"pc": "电子发票(普通发票)", "bs": "电子发票(增值税专用发票)"}
FILE_TYPES = {"pdf": "application/pdf", "ofd": "application/octet-stream", "xml": "application/xml"}


def query_result(call: Call) -> list[dict[str, Any]]:
    """Answers for serialNos (which win) or orderNos, at most 50; E9601 without either, E9500 where none is known."""
    by, numbers = _asked(call)
    taken = fault()
    word = taken.word if taken else ""
    if word == "not_found":
        raise Refusal("E9500", "未查询到发票")
    if word == "empty":
        return []
    marks = ", ".join("?" for _ in numbers)
    sellers = taxpayers(call.entry)
    seller_marks = ", ".join("?" for _ in sellers)
    rows = call.world.store.rows(
        f"SELECT * FROM issues WHERE channel = 'nuonuo' AND {by} IN ({marks})"  # noqa: S608
        f" AND taxpayer_no IN ({seller_marks}) ORDER BY id",
        *numbers,
        *sellers,
    )
    if not rows:
        raise Refusal("E9500", "未查询到发票")
    found = [nuonuo_walk.seen(call.world, opened(row)) for row in rows]
    if word == "foreign_answer":
        found = [_stranger(issue) for issue in found]
    answers = [_answer(call, issue) for issue in found]
    for answer in answers:
        if word == "without_files":
            answer |= {"pdfUrl": "", "ofdUrl": "", "xmlUrl": "", "pictureUrl": ""}
        if word == "status":
            answer["status"] = taken.argument if taken else ""
    return answers


def credit_line(call: Call) -> dict[str, str]:
    """getCreditLine → availableCreditLine, yuan; 0 under the switch `credit_exhausted`."""
    left = nuonuo_walk.credit_left_fen(call.world, call.entry["app_key"])
    if call.world.faults.on("nuonuo.queue", "credit_exhausted"):
        left = 0
    fen = 999_999_999_99 if left is None else max(0, left)
    return {"availableCreditLine": f"{fen // 100}.{fen % 100:02d}"}


def certification_status(call: Call) -> dict[str, str]:
    """getCertificationStatus: queryType 2 login (0 lost, 1 there), 1 identity (1 confirmed)."""
    lost = bool(call.world.faults.on("nuonuo.queue", "login_lost"))
    return {"status": "0" if lost and str(call.body.get("queryType", "2")) == "2" else "1"}


METHODS = {
    "queryInvoiceResult": query_result,
    "getCreditLine": credit_line,
    "getCertificationStatus": certification_status,
}


def file(world: World, channel_serial: str, name: str) -> Response:
    """The PDF, OFD or XML of one number."""
    number, _, kind = name.rpartition(".")
    row = world.store.row(
        "SELECT * FROM issues WHERE channel_serial = ? AND invoice_no = ? AND state = 'issued'",
        channel_serial,
        number,
    )
    if row is None or kind not in FILE_TYPES:
        return Response("文件不存在", 404, content_type="text/plain;charset=utf-8")
    if fault_word() == "not_a_pdf":
        return Response("<!doctype html><p>文件生成中</p>", content_type="text/html;charset=utf-8")
    issue = opened(row)
    face = face_of(world, _stranger(issue) if fault_word() == "wrong_file" else issue)
    drawn = {"pdf": files.pdf, "ofd": files.ofd, "xml": files.xml}[kind](face)
    headers = {"Content-Disposition": f"attachment; filename=dzfp_{number}.{kind}"}
    return Response(drawn, content_type=FILE_TYPES[kind], headers=headers)


def face_of(world: World, issue: Row) -> files.Face:
    """What is printed of an issued row."""
    order = issue["request"]
    entry = world.entry("nuonuo", issue["extra"].get("app_key", "")) or {}
    return files.Face(
        number=issue["invoice_no"],
        line_kind=order["invoiceLine"],
        issued_at=unstamp(issue["issued_at"]).astimezone(BEIJING),
        buyer_name=issue["buyer_name"],
        buyer_tax_no=issue["buyer_tax_no"],
        seller_name=str(entry.get("seller_name", "沙箱销售方")),
        seller_tax_no=issue["taxpayer_no"],
        included=Decimal(issue["extra"]["included"]),
        excluded=Decimal(issue["extra"]["excluded"]),
        tax=Decimal(issue["extra"]["tax"]),
        clerk=order["clerk"],
        remark=order.get("remark") or "",
        lines=tuple(checked(order)) if issue["kind"] == "blue" else (),
    )


def status(issue: Row) -> str:
    """Nuonuo's number for the state."""
    if nuonuo_walk.signing_failed(issue):
        return "24"
    return {"waiting": "20", "signing": "21", "issued": "2", "failed": "22"}[issue["state"]]


def _asked(call: Call) -> tuple[str, list[str]]:
    for column, name in (("channel_serial", "serialNos"), ("serial", "orderNos")):
        numbers = call.body.get(name)
        if numbers is None:
            continue
        if not isinstance(numbers, list) or not numbers:
            raise Refusal("E9611", f"{name}不能为空")
        if len(numbers) > MOST:
            raise Refusal("E4000", f"{name}最多{MOST}个")
        return column, [str(number) for number in numbers]
    raise Refusal("E9601", "serialNos和orderNos不能同时为空")


def _stranger(issue: Row) -> Row:
    """The same row as if it were somebody else's order."""
    other = str((int(issue["invoice_no"] or "0") + 1) % 10**20).zfill(20) if issue["invoice_no"] else ""
    return {
        **issue,
        "serial": f"{issue['serial'][:-1]}0X",
        "invoice_no": other,
        "buyer_name": "别的购买方",
        "buyer_tax_no": "",
        "channel_serial": issue["channel_serial"][::-1],
    }


def _answer(call: Call, issue: Row) -> dict[str, Any]:
    order, state = issue["request"], status(issue)
    answer: dict[str, Any] = {
        "serialNo": issue["channel_serial"],
        "orderNo": issue["serial"],
        "status": state,
        "statusMsg": STATUS_WORDS[state],
        "failCause": issue["extra"].get("fail_cause", "") if state == "22" else "",
        "invoiceCode": "",
        "invoiceNo": "",
        "allElectronicInvoiceNumber": issue["invoice_no"],
        "exTaxAmount": issue["extra"]["excluded"],
        "taxAmount": issue["extra"]["tax"],
        "orderAmount": issue["extra"]["included"],
        "payerName": issue["buyer_name"],
        "payerTaxNo": issue["buyer_tax_no"],
        "salerTaxNum": issue["taxpayer_no"],
        "invoiceKind": KINDS[order["invoiceLine"]],
        "checkCode": "",
        "clerk": order["clerk"],
        "remark": order.get("remark") or "",
        "oldEleInvoiceNumber": issue["extra"].get("blue_number", ""),
    }
    if issue["issued_at"]:
        answer["invoiceTime"] = int(unstamp(issue["issued_at"]).timestamp() * 1000)
    if state == "2":
        base = f"{call.base}/nuonuo/files/{issue['channel_serial']}/{issue['invoice_no']}"
        answer |= {f"{kind}Url": f"{base}.{kind}" for kind in FILE_TYPES}
        answer["pictureUrl"] = ""
        answer["qrCode"] = files.qr_payload(face_of(call.world, issue))
    if str(call.body.get("isOfferInvoiceDetail", "0")) == "1":
        answer["invoiceItems"] = order.get("invoiceDetail", [])
    return answer
