"""Writes Alipay's business bill (业务明细 and its summary) as the platform exports it: GBK, TABs, a zip with GBK names."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from miniapp.sandbox.alipay_amounts import yuan

DETAIL_COLUMNS = (
    "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,"
    "订单金额（元）,商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）,券名称,"
    "商家红包消费金额（元）,卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注"
)
SUMMARY_COLUMNS = (
    "门店编号,门店名称,交易订单总笔数,退款订单总笔数,订单金额（元）,商家实收（元）,支付宝优惠（元）,商家优惠（元）,"
    "卡消费金额（元）,服务费（元）,分润（元）,实收净额（元）"
)
FEE_PER_100_000 = 380
FIRST_ROW = 5  # counted from 0: four headings and the columns stand before it
TRADE, REFUND = "交易", "退款"


@dataclass(frozen=True)
class BillRow:
    """One row of 业务明细. Money is fen, negative on refunds; times are the store's wall clock."""

    trade_no: str
    out_trade_no: str
    kind: str
    subject: str
    created_at: datetime
    finished_at: datetime
    order_fen: int
    receipt_fen: int
    store_no: str = ""
    store_name: str = ""
    operator: str = ""
    terminal: str = ""
    buyer: str = ""
    red_packet_fen: int = 0
    point_fen: int = 0
    platform_fen: int = 0
    merchant_fen: int = 0
    voucher_fen: int = 0
    voucher_name: str = ""
    merchant_red_fen: int = 0
    card_fen: int = 0
    request_no: str = ""
    fee_fen: int = 0
    share_fen: int = 0
    remark: str = ""


@dataclass(frozen=True)
class Heading:
    """Whose bill, of which day or month, and when it was written."""

    account: str
    first_day: date
    last_day: date
    exported_at: datetime
    label: str
    """`20260605`, or `202606` of a monthly file."""


def fee_fen(receipt_fen: int) -> int:
    """Fee of a sale, half up: negative where the merchant pays, positive where a refund gives it back."""
    fee = (abs(receipt_fen) * FEE_PER_100_000 + 50_000) // 100_000
    return -fee if receipt_fen > 0 else fee


def archive(
    rows: list[BillRow], heading: Heading, *, crlf: bool, summary_first: bool, footer_off: bool = False
) -> bytes:
    """The zip as downloaded: two entries, names in GBK bytes without the flag for UTF-8.

    `footer_off`: the detail's totals were counted before its first row was taken out.
    """
    lines = detail(rows, heading)
    if footer_off:
        del lines[FIRST_ROW : FIRST_ROW + min(1, len(rows))]
    entries = [
        (f"{heading.account}_{heading.label}_业务明细.csv", lines),
        (f"{heading.account}_{heading.label}_业务明细(汇总).csv", summary(rows, heading)),
    ]
    if summary_first:
        entries.reverse()
    end = "\r\n" if crlf else "\n"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for name, lines in entries:
            entry = _GbkName(name, heading.exported_at.timetuple()[:6])
            entry.compress_type = zipfile.ZIP_DEFLATED
            file.writestr(entry, "".join(line + end for line in lines).encode("gb18030"))
    return packed.getvalue()


def detail(rows: Iterable[BillRow], heading: Heading) -> list[str]:
    """Lines of 业务明细: four headings, the columns, the rows, the totals."""
    rows = list(rows)
    sales = [row for row in rows if row.kind == TRADE]
    refunds = [row for row in rows if row.kind != TRADE]
    return [
        *_opening("业务明细", heading),
        DETAIL_COLUMNS,
        *(_detail_line(row) for row in rows),
        _rule("业务明细列表结束"),
        f"#交易合计：{len(sales)}笔，商家实收共{_total(sales, 'receipt_fen')}元，"
        f"商家优惠共{_total(sales, 'merchant_fen')}元",
        f"#退款合计：{len(refunds)}笔，商家实收退款共{_total(refunds, 'receipt_fen')}元，"
        f"商家优惠退款共{_total(refunds, 'merchant_fen')}元",
        _exported(heading),
    ]


def summary(rows: Iterable[BillRow], heading: Heading) -> list[str]:
    """Lines of 业务汇总: one row a store, 合计 last."""
    rows = list(rows)
    stores = sorted({(row.store_no, row.store_name) for row in rows})
    lines = [
        _summary_line(number, name, [row for row in rows if (row.store_no, row.store_name) == (number, name)])
        for number, name in stores
    ]
    return [
        *_opening("业务汇总", heading),
        SUMMARY_COLUMNS,
        *lines,
        _summary_line("合计", "", rows),
        _rule("业务汇总列表结束"),
        _exported(heading),
    ]


def without_one(rows: list[BillRow]) -> list[BillRow]:
    """The last row is missing: the other damages touch the first, so each can be told from the other."""
    return rows[:-1]


def with_a_stranger(rows: list[BillRow], *, day: date) -> list[BillRow]:
    """A sale that nobody made at our tills."""
    at = datetime(day.year, day.month, day.day, 12, 0, 1)  # noqa: DTZ001 - the bill prints wall clock
    stranger = BillRow(
        trade_no=f"{day:%Y%m%d}22001400000000009999",
        out_trade_no=f"STRANGER{day:%Y%m%d}",
        kind=TRADE,
        subject="来历不明",
        created_at=at,
        finished_at=at + timedelta(seconds=4),
        order_fen=777,
        receipt_fen=777,
        buyer="*甲(138****0000)",
        fee_fen=fee_fen(777),
    )
    return [*rows, stranger]


def off_by_a_fen(rows: list[BillRow]) -> list[BillRow]:
    """The first row says one fen more than was paid."""
    if not rows:
        return rows
    first = rows[0]
    changed = replace(first, order_fen=first.order_fen + 1, receipt_fen=first.receipt_fen + 1)
    return [changed, *rows[1:]]


def with_a_duplicate(rows: list[BillRow]) -> list[BillRow]:
    """The first row stands twice."""
    return [*rows[:1], *rows]


class _GbkName(zipfile.ZipInfo):
    """An entry whose name is written as GBK bytes with bit 11 unset, which zipfile itself never does."""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:
        return self.filename.encode("gb18030"), self.flag_bits & ~0x800


def _opening(title: str, heading: Heading) -> list[str]:
    end = heading.last_day + timedelta(days=1)
    return [
        f"#支付宝{title}查询",
        f"#账号：[{heading.account}]",
        f"#起始日期：[{heading.first_day:%Y年%m月%d日} 00:00:00]   终止日期：[{end:%Y年%m月%d日} 00:00:00]",
        _rule(f"{title}列表"),
    ]


def _rule(title: str) -> str:
    return f"#-----------------------------------------{title}----------------------------------------"


def _exported(heading: Heading) -> str:
    return f"#导出时间：[{heading.exported_at:%Y年%m月%d日 %H:%M:%S}]"


def _total(rows: Iterable[BillRow], field: str) -> str:
    return yuan(sum(getattr(row, field) for row in rows))


def _detail_line(row: BillRow) -> str:
    return ",".join(
        (
            f"{row.trade_no}\t",
            f"{row.out_trade_no}\t",
            f"{row.kind}\t",
            _quoted(row.subject),
            f"{row.created_at:%Y-%m-%d %H:%M:%S}",
            f"{row.finished_at:%Y-%m-%d %H:%M:%S}",
            f"{_quoted(row.store_no)}\t",
            f"{_quoted(row.store_name)}\t",
            f"{_quoted(row.operator)}\t",
            f"{_quoted(row.terminal)}\t",
            f"{_quoted(row.buyer)}\t",
            yuan(row.order_fen),
            yuan(row.receipt_fen),
            yuan(row.red_packet_fen),
            yuan(row.point_fen),
            yuan(row.platform_fen),
            yuan(row.merchant_fen),
            yuan(row.voucher_fen),
            _quoted(row.voucher_name),
            f"{yuan(row.merchant_red_fen)}\t",
            yuan(row.card_fen),
            # Real files put the TAB behind an empty request number only.
            row.request_no or "\t",
            yuan(row.fee_fen),
            yuan(row.share_fen),
            _quoted(row.remark),
        )
    )


def _summary_line(number: str, name: str, rows: list[BillRow]) -> str:
    sales = [row for row in rows if row.kind == TRADE]
    net = sum(row.receipt_fen + row.fee_fen + row.share_fen for row in rows)
    fields = ("order_fen", "receipt_fen", "platform_fen", "merchant_fen", "card_fen", "fee_fen", "share_fen")
    money = [_total(rows, field) for field in fields]
    return ",".join(
        [f"{number}\t", f"{name}\t", str(len(sales)), str(len(rows) - len(sales)), *money, yuan(net)]
    )


def _quoted(text: str) -> str:
    if any(mark in text for mark in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text
