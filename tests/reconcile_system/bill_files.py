"""Bills of the tests, written from the platforms' own descriptions: WeChat ALL, SUCCESS, REFUND and Alipay's detail."""

from dataclasses import dataclass

from tests.reconcile_system.books import ALIPAY_NO, WECHAT_NO

_ALL_HEADER = (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,"
    "应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,"
    "手续费,费率,订单金额,申请退款金额,费率备注"
)
_ALL = _ALL_HEADER.split(",")

_OF_REFUNDS = (
    "微信退款单号",
    "商户退款单号",
    "退款金额",
    "充值券退款金额",
    "退款类型",
    "退款状态",
    "申请退款金额",
)
_SUCCESS = [name for name in _ALL if name not in _OF_REFUNDS]
_REFUND = [*_ALL[:14], "退款申请时间", "退款成功时间", *_ALL[14:]]
_TOTALS = {
    "应结订单总金额": "应结订单金额",
    "退款总金额": "退款金额",
    "充值券退款总金额": "充值券退款金额",
    "手续费总金额": "手续费",
    "订单总金额": "订单金额",
    "申请退款总金额": "申请退款金额",
}


@dataclass(frozen=True)
class Row:
    """One line of a bill; ``number`` is the order, ``refund`` the refund number. ``coupon_fen`` lowers what is settled."""

    number: str
    fen: int
    at: str = "12:00:00"
    kind: str = "sale"
    refund: str = ""
    coupon_fen: int = 0
    fee: str | None = None
    refund_state: str = "SUCCESS"


def sale(number: str, fen: int, **more: object) -> Row:
    """A payment."""
    return Row(number, fen, **more)  # type: ignore[arg-type]


def refund(refund_no: str, number: str, fen: int, **more: object) -> Row:
    """A refund of an order."""
    return Row(number, fen, kind="refund", refund=refund_no, **more)  # type: ignore[arg-type]


def revoked(number: str, fen: int) -> Row:
    """The line that takes a payment back."""
    return Row(number, fen, kind="revoked")


def wechat(day: str, *rows: Row, form: str = "ALL", merchant_no: str = WECHAT_NO) -> bytes:
    """WeChat's bill of a day: ALL (27 columns), SUCCESS (20) or REFUND (29)."""
    columns = {"ALL": _ALL, "SUCCESS": _SUCCESS, "REFUND": _REFUND}[form]
    cells = [_wechat_cells(day, row, merchant_no) for row in rows]
    lines = [",".join(columns)]
    lines += [",".join(f"`{one[name]}" for name in columns) for one in cells]
    totals = {name: column for name, column in _TOTALS.items() if column in columns or form == "SUCCESS"}
    lines.append(",".join(["总交易单数", *totals]))
    places = {"手续费": 5}
    sums = [
        f"{sum(float(one.get(column, 0) or 0) for one in cells if column in columns):.{places.get(column, 2)}f}"
        for column in totals.values()
    ]
    lines.append(",".join(f"`{value}" for value in [str(len(rows)), *sums]))
    return ("\r\n".join(lines) + "\r\n").encode()


def _wechat_cells(day: str, row: Row, merchant_no: str) -> dict[str, str]:
    paid, back = row.kind == "sale", row.kind != "sale"
    fee = row.fee if row.fee is not None else f"{(row.fen if paid else -row.fen) * 6 / 100000:.5f}"
    return {
        "交易时间": f"{day} {row.at}",
        "公众账号ID": "wx8888888888888888",
        "商户号": merchant_no,
        "特约商户号": "0",
        "设备号": "t1",
        "微信订单号": f"4200{row.number}",
        "商户订单号": row.number,
        "用户标识": "oUpF8uMuAJO",
        "交易类型": "MICROPAY",
        "交易状态": {"sale": "SUCCESS", "refund": "REFUND", "revoked": "REVOKED"}[row.kind],
        "付款银行": "OTHERS",
        "货币种类": "CNY",
        "应结订单金额": _yuan(row.fen - row.coupon_fen) if paid else "0.00",
        "代金券金额": _yuan(row.coupon_fen) if paid else "0.00",
        "退款申请时间": f"{day} {row.at}",
        "退款成功时间": f"{day} {row.at}",
        "微信退款单号": f"5030{row.refund}" if row.refund else "0",
        "商户退款单号": row.refund or "0",
        "退款金额": _yuan(row.fen - row.coupon_fen) if back else "0.00",
        "充值券退款金额": "0.00",
        "退款类型": "ORIGINAL" if back else "",
        "退款状态": row.refund_state if back else "",
        "商品名称": "示例商品",
        "商户数据包": "",
        "手续费": fee,
        "费率": "0.60%",
        "订单金额": _yuan(row.fen) if paid else "0.00",
        "申请退款金额": _yuan(row.fen) if back else "0.00",
        "费率备注": "",
    }


_ALIPAY_HEADER = (
    "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,"
    "订单金额（元）,商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）,券名称,"
    "商家红包消费金额（元）,卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注"
)
_ALIPAY = _ALIPAY_HEADER.split(",")


def alipay(day: str, *rows: Row) -> bytes:
    """Alipay's 业务明细 of a day, GBK."""
    year, month, date = day.split("-")
    sales = [row for row in rows if row.kind == "sale"]
    backs = [row for row in rows if row.kind != "sale"]
    lines = [
        "#支付宝业务明细查询",
        f"#账号：[{ALIPAY_NO}0156]",
        f"#起始日期：[{year}年{month}月{date}日 00:00:00]   终止日期：[{year}年{month}月{int(date):02d}日 23:59:59]",
        "#-----------------------------------------业务明细列表----------------------------------------",
        ",".join(_ALIPAY),
        *(_alipay_line(day, row) for row in rows),
        "#-----------------------------------------业务明细列表结束------------------------------------",
        f"#交易合计：{len(sales)}笔，商家实收共{_yuan(sum(r.fen - r.coupon_fen for r in sales))}元，"
        f"商家优惠共{_yuan(sum(r.coupon_fen for r in sales))}元",
        f"#退款合计：{len(backs)}笔，商家实收退款共{_yuan(-sum(r.fen for r in backs))}元，商家优惠退款共0.00元",
        f"#导出时间：[{year}年{month}月{date}日 09:00:00]",
    ]
    return ("\n".join(lines) + "\n").encode("gb18030")


def _alipay_line(day: str, row: Row) -> str:
    sign = 1 if row.kind == "sale" else -1
    cells = {
        "支付宝交易号": f"2026{row.number}\t",
        "商户订单号": f"{row.number}\t",
        "业务类型": "交易" if sign > 0 else "退款",
        "商品名称": "示例商品",
        "创建时间": f"{day} {row.at}",
        "完成时间": f"{day} {row.at}",
        "订单金额（元）": _yuan(sign * row.fen),
        "商家实收（元）": _yuan(sign * (row.fen - row.coupon_fen)),
        "商家优惠（元）": _yuan(sign * row.coupon_fen),
        "退款批次号/请求号": f"{row.refund}\t",
        "终端号": "t1",
        "服务费（元）": row.fee or "0.00",
    }
    return ",".join(cells.get(name, "0.00" if name.endswith("（元）") else "") for name in _ALIPAY)


def _yuan(fen: int) -> str:
    return f"{'-' if fen < 0 else ''}{abs(fen) // 100}.{abs(fen) % 100:02d}"
