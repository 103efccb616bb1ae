"""Call-backs of Nuonuo: unsigned form posts to the order's callBackUrl, sent by the channel's thread.

Faults on door `nuonuo.callback`, taken when a notice is planned (`match`: `orderNo`): `lost`, `double`, `late:SECONDS`,
`camel` (the other spelling of the fields), `foreign` (names another order).
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from miniapp.sandbox.outgoing import post
from miniapp.sandbox.store import Row
from miniapp.sandbox.world import World, stamp, unstamp

SCHEMA = """
CREATE TABLE IF NOT EXISTS nuonuo_notices (
    id INTEGER PRIMARY KEY, issue_id INTEGER NOT NULL, url TEXT NOT NULL, body TEXT NOT NULL,
    due_at TEXT NOT NULL, tries INTEGER NOT NULL DEFAULT 0, done_at TEXT, outcome TEXT NOT NULL DEFAULT '');
"""
# The real schedule is not known; three tries are enough to see that a receiver bears repeats.
RETRY_SECONDS = (2, 10)
CAMEL = {
    "c_status": "cStatus",
    "c_orderno": "cOrderno",
    "c_fpqqlsh": "cFpqqlsh",
    "c_fphm": "cFphm",
    "c_fpdm": "cFpdm",
    "c_kprq": "cKprq",
    "c_url": "cUrl",
    "c_ofd_url": "cOfdUrl",
    "c_hjje": "cHjje",
    "c_bhsje": "cBhsje",
    "c_hjse": "cHjse",
    "c_saletaxnum": "cSaletaxnum",
    "c_errorMessage": "cErrorMessage",
}


def plan(world: World, issue: Row) -> None:
    """Records what shall be posted about an issue that reached its end (or 24), inside the caller's transaction."""
    url = issue["request"].get("callBackUrl")
    if not url:
        return
    taken = world.faults.take("nuonuo.callback", {"orderNo": issue["serial"]})
    word = taken.word if taken else ""
    if word == "lost":
        return
    late = timedelta(seconds=taken.number(60) if taken and word == "late" else 0)
    content = _content(issue, foreign=word == "foreign")
    if word == "camel":
        content = {CAMEL.get(name, name): value for name, value in content.items()}
    order_no = content.get("c_orderno") or content.get("cOrderno")
    form = {
        "operater": "callback",
        "orderno": order_no,
        "content": json.dumps(content, ensure_ascii=False),
    }
    for _ in range(2 if word == "double" else 1):
        world.store.insert(
            "nuonuo_notices",
            issue_id=issue["id"],
            url=url,
            body=urlencode(form),
            due_at=stamp(world.now() + late),
        )


def send_all(world: World) -> None:
    """Posts what is due now, one after the other; the answer must be JSON with status 0000."""
    rows = world.store.rows(
        "SELECT * FROM nuonuo_notices WHERE done_at IS NULL AND due_at <= ? ORDER BY id", stamp(world.now())
    )
    for row in rows:
        # Taken before it is sent: the thread and a door may both be here.
        with world.store.writing() as db:
            taken = db.execute(
                "UPDATE nuonuo_notices SET tries = tries + 1, due_at = ? WHERE id = ? AND tries = ?",
                (stamp(world.now() + timedelta(days=1)), row["id"], row["tries"]),
            )
        if taken.rowcount == 1:
            _send(world, {**row, "tries": row["tries"] + 1})


def _send(world: World, row: Row) -> None:
    answer = post(
        row["url"], row["body"].encode(), content_type="application/x-www-form-urlencoded; charset=UTF-8"
    )
    outcome = answer.problem or str(answer.status)
    if answer.status == 200:
        outcome = "ok" if _accepted(answer.body) else "no status 0000"
    world.log("nuonuo.callback", row["url"].rpartition("/")[0], outcome)
    ended = outcome == "ok" or row["tries"] > len(RETRY_SECONDS)
    world.store.update(
        "nuonuo_notices",
        row["id"],
        outcome=outcome,
        done_at=stamp(world.now()) if ended else None,
        due_at=stamp(world.now() + timedelta(seconds=0 if ended else RETRY_SECONDS[row["tries"] - 1])),
    )


def _accepted(body: bytes) -> bool:
    try:
        return bool(json.loads(body).get("status") == "0000")
    except (ValueError, AttributeError):
        return False


def _content(issue: Row, *, foreign: bool) -> dict[str, Any]:
    failed = issue["state"] == "failed"
    status = "2" if failed else ("3" if issue["state"] == "signing" else "1")
    serial = f"{issue['serial'][:-1]}0X" if foreign else issue["serial"]
    base = f"{issue['extra'].get('base', '')}/nuonuo/files/{issue['channel_serial']}/{issue['invoice_no']}"
    content: dict[str, Any] = {
        "c_status": status,
        "c_orderno": serial,
        "c_fpqqlsh": issue["channel_serial"],
        "c_fphm": "",
        "c_fpdm": "",
        "c_hjje": issue["extra"].get("included", ""),
        "c_bhsje": issue["extra"].get("excluded", ""),
        "c_hjse": issue["extra"].get("tax", ""),
        "c_saletaxnum": issue["taxpayer_no"],
        "buyername": issue["buyer_name"],
        "taxnum": issue["buyer_tax_no"],
    }
    if failed:
        return {**content, "c_errorMessage": issue["extra"].get("fail_cause", "")}
    return {
        **content,
        "allElectronicInvoiceNumber": issue["invoice_no"],
        "c_kprq": int(unstamp(issue["issued_at"]).timestamp() * 1000),
        "c_url": f"{base}.pdf",
        "c_ofd_url": f"{base}.ofd",
    }
