"""requestBillingNew: what is accepted becomes a row of the ledger at once, and walks 20 → 21 → 2 from there."""

from __future__ import annotations

import json
import secrets
from typing import Any

from miniapp.sandbox.channels import nuonuo_notices, nuonuo_walk
from miniapp.sandbox.channels.nuonuo_answers import Call, check_seller
from miniapp.sandbox.channels.nuonuo_rules import Refusal, checked, totals
from miniapp.sandbox.doors import fault
from miniapp.sandbox.store import Row
from miniapp.sandbox.world import World, opened, stamp

# A buyer of this name makes the order end so, for people who play without switches.
MAGIC = {"开票失败": "fails", "签章失败": "sign_fails", "一直开票中": "stays", "两张发票": "two_numbers"}
FATES = tuple(MAGIC.values())


def request_billing(call: Call) -> dict[str, str]:
    """Answers `invoiceSerialNum`. Refuses by the field tables, E9301, E9302, and E9106 for a number seen before."""
    order = call.body.get("order")
    lines = checked(order)
    if not isinstance(order, dict):
        raise Refusal("E4000", "order不能为空")
    check_seller(call, order["salerTaxNum"])
    clerk = call.entry.get("clerk")
    if clerk and order["clerk"] != clerk:
        raise Refusal("E4000", "开票员与数电账号登录人不一致")
    with call.world.store.writing():
        if deduplicates(call.world, call.entry) and _seen_before(call.world, order):
            raise Refusal("E9106", "订单编号不能重复")
        issue = _accepted(call, order, {name: str(sum_) for name, sum_ in totals(lines).items()})
    taken = fault()
    if taken and taken.word == "callback_first":
        nuonuo_walk.finish(call.world, issue["id"])
        nuonuo_notices.send_all(call.world)
    return {"invoiceSerialNum": issue["channel_serial"]}


def sign_again(call: Call) -> dict[str, str]:
    """reInvoice `{fpqqlsh, orderno}`: signs what stands at 24; at most 20 a day and order (E9613)."""
    row = call.world.store.row(
        "SELECT * FROM issues WHERE channel = 'nuonuo' AND (channel_serial = ? OR serial = ?) ORDER BY id DESC",
        str(call.body.get("fpqqlsh", "")),
        str(call.body.get("orderno", "")),
    )
    if row is None:
        raise Refusal("E9500", "未查询到发票")
    extra = opened(row)["extra"]
    tries = int(extra.get("signed_again", 0)) + 1
    if tries > 20:
        raise Refusal("E9613", "重新开票次数超过20次")
    extra |= {"signed_again": tries, "fate": ""}
    call.world.store.update("issues", row["id"], extra=json.dumps(extra, ensure_ascii=False))
    return {"invoiceSerialNum": row["channel_serial"]}


METHODS = {"requestBillingNew": request_billing, "reInvoice": sign_again}


def deduplicates(world: World, entry: dict[str, Any]) -> bool:
    """False under the lasting switch `no_deduplication` on `nuonuo.orders`, or with `deduplicate = false`."""
    if world.faults.on("nuonuo.orders", "no_deduplication"):
        return False
    return bool(entry.get("deduplicate", True))


def _fate(order: dict[str, Any]) -> tuple[str, str]:
    """How the order shall end, and the cause if it fails: by switch, by its buyer's name, by the bureau's name check."""
    taken = fault()
    if taken and taken.word in FATES:
        return taken.word, taken.argument or "开票失败"
    for name, fate in MAGIC.items():
        if name in order["buyerName"]:
            return fate, "开票失败"
    checks_names = order.get("naturalPersonVerifyFlag") == "1" and order.get("naturalPersonFlag") != "1"
    if checks_names and len(order["buyerName"]) <= 4:
        return "fails", "购方名称不足5个字，请确认是否为自然人"
    return "", ""


def _seen_before(world: World, order: dict[str, Any]) -> bool:
    row = world.store.row(
        "SELECT 1 FROM issues WHERE channel = 'nuonuo' AND taxpayer_no = ? AND serial = ?",
        order["salerTaxNum"],
        order["orderNo"],
    )
    return row is not None


def _accepted(call: Call, order: dict[str, Any], sums: dict[str, str]) -> Row:
    fate, cause = _fate(order)
    extra = {
        **sums,
        "queries": 0,
        "fate": fate,
        "fail_cause": cause,
        "app_key": call.entry["app_key"],
        "base": call.base,
    }
    row_id = call.world.store.insert(
        "issues",
        channel="nuonuo",
        taxpayer_no=order["salerTaxNum"],
        serial=order["orderNo"],
        channel_serial=f"{call.world.beijing():%y%m%d%H%M%S}{secrets.randbelow(10**8):08d}",
        kind="blue",
        state="waiting",
        buyer_name=order["buyerName"],
        buyer_tax_no=order.get("buyerTaxNum") or "",
        total_fen=int(sums["included"].replace(".", "")),
        created_at=stamp(call.world.now()),
        request=json.dumps(order, ensure_ascii=False),
        extra=json.dumps(extra, ensure_ascii=False),
    )
    return nuonuo_walk.by_id(call.world, row_id)
