"""Bill and ledger files as the platforms and a till write them: made here, row by row, with a trailer that agrees."""

import hashlib
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

WECHAT_ALL = (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,"
    "微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注"
)
WECHAT_TRAILER = (
    "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额"
)
ALIPAY = (
    "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,订单金额（元）,商家实收（元）,"
    "支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）,券名称,商家红包消费金额（元）,卡消费金额（元）,"
    "退款批次号/请求号,服务费（元）,分润（元）,备注"
)
LEDGER = "out_trade_no,out_refund_no,occurred_at,store,terminal,platform,kind,amount_fen,status"
ZM_WIDTHS = (
    *(
        3,
        11,
        11,
        6,
        10,
        19,
        12,
        4,
        2,
        21,
        2,
        32,
        2,
        6,
        10,
        13,
        13,
        4,
        15,
        2,
        2,
        6,
        2,
        4,
        32,
        1,
        21,
        15,
        1,
        15,
        32,
    ),
    *(13, 13, 8, 32, 13, 13, 12, 2, 1, 32, 98),
)


@dataclass(frozen=True)
class Row:
    """One row of a bill. ``kind``: sale, refund, revocation; ``state``: WeChat's 退款状态; ``fee`` in 0.00001 yuan."""

    kind: str
    order: str
    fen: int
    refund: str = ""
    day: str = "2026-11-23"
    time: str = "10:00:00"
    state: str = "SUCCESS"
    coupon: int = 0
    fee: int = 0
    account: str = "1900000109"
    goods: str = "92号汽油"


def yuan(fen: int) -> str:
    return f"{'-' if fen < 0 else ''}{abs(fen) // 100}.{abs(fen) % 100:02d}"


def fee_yuan(fee: int) -> str:
    return f"{'-' if fee < 0 else ''}{abs(fee) // 100000}.{abs(fee) % 100000:05d}"


def wechat(rows: Iterable[Row], *, end: str = "\r\n") -> str:
    """An ALL bill of 27 columns."""
    rows = list(rows)
    lines = [WECHAT_ALL, *(_wechat_row(row) for row in rows), WECHAT_TRAILER]
    sales = [row for row in rows if row.kind == "sale"]
    backs = [row for row in rows if row.kind != "sale"]
    fee = sum(row.fee for row in sales) - sum(row.fee for row in backs)
    totals = [
        str(len(rows)),
        yuan(sum(row.fen - row.coupon for row in sales)),
        yuan(sum(row.fen - row.coupon for row in backs)),
        "0.00",
        fee_yuan(fee),
        yuan(sum(row.fen for row in sales)),
        yuan(sum(row.fen for row in backs)),
    ]
    return end.join([*lines, "`" + ",`".join(totals), ""])


def _wechat_row(row: Row) -> str:
    sale = row.kind == "sale"
    state = {"sale": "SUCCESS", "refund": "REFUND", "revocation": "REVOKED"}[row.kind]
    full, settled = (row.fen, row.fen - row.coupon)
    cells = [
        *(
            f"{row.day} {row.time}",
            "wx8888888888888888",
            row.account,
            "0",
            "S001-P03",
            f"42{_digits(row.order, 26)}",
        ),
        *(row.order, "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o", "MICROPAY", state, "CFT", "CNY"),
        *(yuan(settled) if sale else "0.00", "0.00", "0" if sale else "5030010246"),
        *(row.refund or "0", "0.00" if sale else yuan(settled), "0.00"),
        *(("", "") if sale else ("ORIGINAL", row.state)),
        *(row.goods, "S001|P03", fee_yuan(row.fee if sale else -row.fee), "0.60%"),
        *(yuan(full) if sale else "0.00", "0.00" if sale else yuan(full), ""),
    ]
    return "`" + ",`".join(cells)


def alipay(rows: Iterable[Row], *, account: str = "20881021962563300156", first: str = "2026-11-23") -> str:
    """A 业务明细, with tabs after its long numbers as Alipay writes them."""
    rows = list(rows)
    year, month, day = first.split("-")
    sales = [row for row in rows if row.kind == "sale"]
    backs = [row for row in rows if row.kind != "sale"]
    net = [sum(row.fen - row.coupon for row in some) for some in (sales, backs)]
    lines = [
        "#支付宝业务明细查询",
        f"#账号：[{account}]",
        f"#起始日期：[{year}年{month}月{day}日 00:00:00]   终止日期：[{year}年{month}月{int(day) + 1:02d}日 00:00:00]",
        "#-----------------------------------------业务明细列表----------------------------------------",
        ALIPAY,
        *(_alipay_row(row) for row in rows),
        "#-----------------------------------------业务明细列表结束------------------------------------",
        f"#交易合计：{len(sales)}笔，商家实收共{yuan(net[0])}元，商家优惠共{yuan(sum(row.coupon for row in sales))}元",
        f"#退款合计：{len(backs)}笔，商家实收退款共{yuan(-net[1])}元，商家优惠退款共{yuan(-sum(row.coupon for row in backs))}元",
        "#导出时间：[2026年11月24日 05:46:49]",
        "",
    ]
    return "\r\n".join(lines)


def _alipay_row(row: Row) -> str:
    sign = 1 if row.kind == "sale" else -1
    cells = [
        *(
            f"20261123220014{_digits(row.order, 14)}\t",
            f"{row.order}\t",
            "交易\t" if sign > 0 else "退款\t",
        ),
        *(
            row.goods,
            f"{row.day} 00:00:01",
            f"{row.day} {row.time}",
            "S031\t",
            "城北加油站\t",
            "OP07\t",
            "D9296400\t",
        ),
        *(
            "**甲(156******89)\t",
            yuan(sign * row.fen),
            yuan(sign * (row.fen - row.coupon)),
            "0.00",
            "0.00",
            "0.00",
        ),
        *(
            yuan(sign * row.coupon),
            "0.00",
            "",
            "0.00\t",
            "0.00",
            row.refund or "\t",
            fee_yuan(-sign * row.fee)[:-3],
        ),
        *("0.00", ""),
    ]
    return ",".join(cells)


def zm(rows: Iterable[Row], *, length: int = 607) -> bytes:
    """UnionPay records of 475, 508 or 607 bytes, the shop's short name in GBK."""
    count = {475: 40, 508: 41, 607: 42}[length]
    lines = []
    for number, row in enumerate(rows, 1):
        kind = {"sale": "01", "refund": "04", "revocation": "31"}[row.kind]
        own = row.order if row.kind == "sale" else row.refund
        back = row.kind != "sale"
        stamp = row.day[5:7] + row.day[8:] + row.time.replace(":", "")
        values = {
            **{
                1: "S22",
                2: "01020000",
                3: "00010000",
                4: f"{number:06d}",
                5: stamp,
                6: "621799****1234",
                7: f"{row.fen:012d}",
            },
            **{
                8: "5541",
                9: "08",
                10: _query(own),
                11: "01",
                12: own,
                13: "01",
                16: f"{'C' if back else 'D'}{row.fee // 1000:012d}",
            },
            **{
                17: f"{'D' if back else 'C'}{row.fen - row.fee // 1000:012d}",
                18: "0001",
                20: kind,
                21: "01",
                22: "000201",
            },
            **{
                27: _query(row.order) if back else "",
                28: "898310055410001",
                31: "城北加油站",
                34: "D9296400",
            },
            **{36: "C" + "0" * 12, 37: f"{'D' if back else 'C'}{row.fen:012d}", 38: "C" + "0" * 11, 40: "1"},
            41: row.order if back else "",
        }
        fields = [
            values.get(n, "").encode("gbk").ljust(width) for n, width in enumerate(ZM_WIDTHS[:count], 1)
        ]
        lines.append(b" ".join(fields))
    return b"\r\n".join([*lines, b""])


def _query(number: str) -> str:
    return _digits(number, 21)


@dataclass(frozen=True)
class Sale:
    """One ledger row. ``kind`` refund has a ``refund`` number."""

    order: str
    fen: int
    refund: str = ""
    kind: str = "sale"
    platform: str = "wechat"
    status: str = "success"
    day: str = "2026-11-23"


def ledger(rows: Iterable[Sale]) -> str:
    lines = [
        f"{row.order},{row.refund},{row.day} 10:00:00,S001,P03,{row.platform},{row.kind},{row.fen},{row.status}"
        for row in rows
    ]
    return "\n".join([LEDGER, *lines, ""])


class _GbkName(zipfile.ZipInfo):
    """Alipay's zips: names in GBK bytes, without the flag that says UTF-8."""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:
        return self.filename.encode("gbk"), self.flag_bits & ~0x800


def gbk_zip(path: Path, members: dict[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            data = content.encode("gb18030") if isinstance(content, str) else content
            archive.writestr(_GbkName(name), data, zipfile.ZIP_DEFLATED)
    return path


def put(path: Path, content: str | bytes, encoding: str = "utf-8") -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def _digits(text: str, count: int) -> str:
    """A number made of a text, always the same."""
    return str(int.from_bytes(hashlib.sha256(text.encode()).digest()))[:count]
