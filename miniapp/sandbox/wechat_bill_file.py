"""WeChat's trade bill as bytes: the rows of one Beijing day in the platform's own grammar."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from miniapp.sandbox import wechat_amounts
from miniapp.sandbox.store import Row
from miniapp.sandbox.wechat_amounts import Share
from miniapp.sandbox.wechat_parties import Merchant
from miniapp.sandbox.world import BEIJING, World, opened, stamp, unstamp

HEAD = [
    "交易时间",
    "公众账号ID",
    "商户号",
    "特约商户号",
    "设备号",
    "微信订单号",
    "商户订单号",
    "用户标识",
    "交易类型",
    "交易状态",
    "付款银行",
    "货币种类",
    "应结订单金额",
    "代金券金额",
]
REFUND_TIMES = ["退款申请时间", "退款成功时间"]
REFUND = ["微信退款单号", "商户退款单号", "退款金额", "充值券退款金额", "退款类型", "退款状态"]
TEXTS = ["商品名称", "商户数据包", "手续费", "费率"]
COLUMNS = {
    "ALL": [*HEAD, *REFUND, *TEXTS, "订单金额", "申请退款金额", "费率备注"],
    "SUCCESS": [*HEAD, *TEXTS, "订单金额", "费率备注"],
    "REFUND": [*HEAD, *REFUND_TIMES, *REFUND, *TEXTS, "订单金额", "申请退款金额", "费率备注"],
}
SUMMARY = [
    "总交易单数",
    "应结订单总金额",
    "退款总金额",
    "充值券退款总金额",
    "手续费总金额",
    "订单总金额",
    "申请退款总金额",
]
SUCCESS_SUMMARY = ["总交易单数", "应结订单总金额", "手续费总金额", "订单总金额"]
STATUS = {"success": "SUCCESS", "processing": "PROCESSING", "closed": "FAIL"}


@dataclass
class BillRow:
    """One row before it is text: amounts in fen, `status` SUCCESS, REFUND or REVOKED."""

    at: datetime
    payment: Row
    status: str
    share: Share
    fee_fen: int
    rate: str
    refund: Row | None = None
    changed: dict[str, str] = field(default_factory=dict)  # columns that a switch has falsified

    def copy(self) -> BillRow:
        """The same row again."""
        return BillRow(
            self.at,
            dict(self.payment),
            self.status,
            self.share,
            self.fee_fen,
            self.rate,
            self.refund,
            dict(self.changed),
        )


def rows_of(world: World, merchant: Merchant, day: date) -> list[BillRow]:
    """What happened on that Beijing day, by time: payments when paid, refunds and reversals when made."""
    start = datetime.combine(day, time(), tzinfo=BEIJING)
    window = (merchant.mch_id, stamp(start), stamp(start + timedelta(days=1)))
    paid = world.store.rows(
        "SELECT * FROM payments WHERE platform = 'wechat' AND merchant = ? AND paid_at >= ? AND paid_at < ?",
        *window,
    )
    back = world.store.rows(
        "SELECT refunds.* FROM refunds JOIN payments ON payments.id = payment_id WHERE platform = 'wechat'"
        " AND merchant = ? AND refunds.created_at >= ? AND refunds.created_at < ?",
        *window,
    )
    rows = [_payment_row(opened(payment), merchant) for payment in paid]
    rows += [_refund_row(world, opened(refund), merchant) for refund in back]
    return sorted(rows, key=lambda row: (row.at, row.status != "SUCCESS"))


def render(rows: list[BillRow], bill_type: str, *, newline: str = "\r\n") -> bytes:
    """The file: header, rows with backticks, summary header, summary."""
    kept = [
        row for row in rows if bill_type == "ALL" or (row.status == "SUCCESS") == (bill_type == "SUCCESS")
    ]
    columns = COLUMNS[bill_type]
    lines = [",".join(columns)]
    for row in kept:
        cells = _cells(row)
        lines.append(",".join("`" + cells[name] for name in columns))
    totals = _totals(kept)
    names = SUCCESS_SUMMARY if bill_type == "SUCCESS" else SUMMARY
    lines += [",".join(names), ",".join("`" + totals[name] for name in names)]
    return (newline.join(lines) + newline).encode()


def yuan(fen: int, places: int = 2) -> str:
    """Fen as yuan text."""
    sign = "-" if fen < 0 else ""
    return f"{sign}{abs(fen) // 100}.{abs(fen) % 100:02d}" + "0" * (places - 2)


def _payment_row(payment: Row, merchant: Merchant) -> BillRow:
    share = wechat_amounts.paid(payment)
    fee = wechat_amounts.fee_fen(share.settlement, merchant.fee_rate)
    return BillRow(unstamp(payment["paid_at"]), payment, "SUCCESS", share, fee, merchant.fee_rate)


def _refund_row(world: World, refund: Row, merchant: Merchant) -> BillRow:
    found = world.store.row("SELECT * FROM payments WHERE id = ?", refund["payment_id"]) or {}
    payment = opened(found)
    siblings = world.store.rows("SELECT * FROM refunds WHERE payment_id = ?", payment["id"])
    share = wechat_amounts.given_back(payment, siblings)[refund["id"]]
    fee = -wechat_amounts.fee_fen(share.settlement, merchant.fee_rate)
    status = "REVOKED" if refund["kind"] == "cancel" else "REFUND"
    return BillRow(unstamp(refund["created_at"]), payment, status, share, fee, merchant.fee_rate, refund)


def _cells(row: BillRow) -> dict[str, str]:
    payment, back = row.payment, row.refund
    cells = {
        "交易时间": _clock(row.at),
        "公众账号ID": payment["app_id"],
        "商户号": payment["merchant"],
        "特约商户号": "0",
        "设备号": payment["device"],
        "微信订单号": payment["trade_no"],
        "商户订单号": payment["out_trade_no"],
        "用户标识": payment["payer"],
        "交易类型": "MICROPAY",
        "交易状态": row.status,
        "付款银行": payment["bank"] or "OTHERS",
        "货币种类": "CNY",
        "应结订单金额": yuan(0 if back else row.share.settlement),
        "代金券金额": yuan(0 if back else row.share.prefunded),
        "微信退款单号": back["platform_refund_no"] if back else "0",
        "商户退款单号": (back["refund_no"] or "0") if back else "0",
        "退款金额": yuan(row.share.settlement if back else 0),
        "充值券退款金额": yuan(row.share.prefunded if back else 0),
        "退款类型": "ORIGINAL" if back else "",
        "退款状态": STATUS[back["state"]] if back else "",
        "退款申请时间": _clock(row.at) if back else "",
        "退款成功时间": _clock(unstamp(back["done_at"])) if back and back["done_at"] else "",
        "商品名称": _plain(payment["subject"]),
        "商户数据包": _plain(payment["attach"]),
        "手续费": yuan(row.fee_fen, 5),
        "费率": f"{row.rate}%",
        "订单金额": yuan(0 if back else row.share.gross),
        "申请退款金额": yuan(row.share.gross if back else 0),
        "费率备注": "",
    }
    return cells | row.changed


def _totals(rows: list[BillRow]) -> dict[str, str]:
    paid = [row.share for row in rows if row.refund is None]
    back = [row.share for row in rows if row.refund is not None]
    return {
        "总交易单数": str(len(rows)),
        "应结订单总金额": yuan(sum(share.settlement for share in paid)),
        "退款总金额": yuan(sum(share.settlement for share in back)),
        "充值券退款总金额": yuan(sum(share.prefunded for share in back)),
        "手续费总金额": yuan(sum(row.fee_fen for row in rows), 5),
        "订单总金额": yuan(sum(share.gross for share in paid)),
        "申请退款总金额": yuan(sum(share.gross for share in back)),
    }


def _clock(at: datetime) -> str:
    return f"{at.astimezone(BEIJING):%Y-%m-%d %H:%M:%S}"


def _plain(text: str) -> str:
    """Merchant text: the platform takes out line breaks and U+0001, never commas."""
    return text.replace("\r", " ").replace("\n", " ").replace("\x01", " ")
