"""What requestBillingNew refuses and with which code: the field tables of the order and the rules of its lines."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

MAX_LINES = 2000
TAX_TOLERANCE = Decimal("0.06")
CENT = Decimal("0.01")
RATES = {Decimal(rate) for rate in ("0", "0.01", "0.015", "0.03", "0.05", "0.06", "0.09", "0.13")}
OIL_UNITS = ("升", "吨")

# field: (longest, required)
ORDER_FIELDS: dict[str, tuple[int, bool]] = {
    "buyerName": (100, True),
    "buyerTaxNum": (20, False),
    "buyerTel": (50, False),
    "buyerAddress": (80, False),
    "buyerAccount": (100, False),
    "salerTaxNum": (20, True),
    "salerTel": (20, False),
    "salerAddress": (80, False),
    "salerAccount": (100, False),
    "showBankAccountType": (1, False),
    "orderNo": (64, True),
    "invoiceDate": (19, True),
    "clerk": (20, True),
    "checker": (20, False),
    "payee": (20, False),
    "remark": (200, False),
    "listFlag": (1, False),
    "pushMode": (2, False),
    "buyerPhone": (20, False),
    "invoiceType": (1, True),
    "invoiceLine": (2, True),
    "specificFactor": (2, False),
    "callBackUrl": (1000, False),
    "extensionNumber": (5, False),
    "terminalNumber": (4, False),
    "machineCode": (12, False),
    "departmentId": (32, False),
    "clerkId": (32, False),
    "buyerManagerName": (16, False),
    "managerCardNo": (20, False),
    "naturalPersonFlag": (1, False),
    "naturalPersonVerifyFlag": (1, False),
    "taxNumVerifyFlag": (1, False),
    "surveyAnswerType": (1, False),
}
LINE_FIELDS: dict[str, tuple[int, bool]] = {
    "goodsName": (90, True),
    "withTaxFlag": (1, True),
    "taxRate": (10, True),
    "unit": (20, False),
    "specType": (40, False),
    "selfCode": (16, False),
    "price": (16, False),
    "num": (16, False),
    "invoiceLineProperty": (1, False),
    "favouredPolicyFlag": (2, False),
    "favouredPolicyName": (50, False),
    "zeroRateFlag": (1, False),
}
CHOICES = {
    "invoiceLine": ("pc", "bs"),
    "invoiceType": ("1",),
    "showBankAccountType": ("0", "1", "2", "3"),
    "listFlag": ("0",),
    "pushMode": ("-1", "0", "1", "2"),
    "naturalPersonFlag": ("0", "1"),
    "naturalPersonVerifyFlag": ("0", "1"),
    "taxNumVerifyFlag": ("0", "1"),
}
MONEY = re.compile(r"-?\d{1,12}(\.\d{1,2})?")
EIGHT_PLACES = re.compile(r"-?\d{1,12}(\.\d{1,8})?")
RATE = re.compile(r"0|0\.\d{1,4}|1|1\.0+")


class Refusal(Exception):
    """An answer other than E0000. `code` is the channel's, `describe` its words."""

    def __init__(self, code: str, describe: str) -> None:
        super().__init__(f"{code} {describe}")
        self.code = code
        self.describe = describe


@dataclass(frozen=True)
class Line:
    """One line as it will stand on the invoice; amounts with two places, negative on a discount row."""

    name: str
    goods_code: str
    rate: Decimal
    included: Decimal
    excluded: Decimal
    tax: Decimal
    quantity: Decimal | None
    price: Decimal | None
    unit: str
    spec: str
    row: str
    """0 normal, 1 discount, 2 discounted."""
    policy: str


def checked(order: object) -> list[Line]:
    """The lines of a good order. Raises Refusal with the channel's code at the first fault, in table order."""
    if not isinstance(order, dict):
        raise Refusal("E4000", "order不能为空")
    _check_fields(order, ORDER_FIELDS, where="")
    _check_email(order)
    _check_choices(order)
    _check_buyer(order)
    _check_date(order["invoiceDate"])
    details = order.get("invoiceDetail")
    if not isinstance(details, list) or not details:
        raise Refusal("E9122", "发票明细不能为空")
    if len(details) > MAX_LINES:
        raise Refusal("E4000", f"发票明细不能超过{MAX_LINES}行")
    lines = [_line(detail, place) for place, detail in enumerate(details, start=1)]
    _check_discount_rows(lines)
    _check_oil(order, lines)
    if sum(line.included for line in lines) <= 0:
        raise Refusal("E4000", "价税合计必须大于0")
    return lines


def totals(lines: list[Line]) -> dict[str, Decimal]:
    """`included`, `excluded`, `tax` of the whole invoice."""
    return {
        "included": sum((line.included for line in lines), Decimal("0.00")),
        "excluded": sum((line.excluded for line in lines), Decimal("0.00")),
        "tax": sum((line.tax for line in lines), Decimal("0.00")),
    }


def rounded(value: Decimal) -> Decimal:
    """Two places, half up."""
    return value.quantize(CENT, rounding=ROUND_HALF_UP)


def _check_fields(record: Mapping[str, object], table: dict[str, tuple[int, bool]], *, where: str) -> None:
    for name, (longest, required) in table.items():
        value = record.get(name)
        if value is None or value == "":
            if required:
                raise Refusal("E4000", f"{where}{name}不能为空")
            continue
        if not isinstance(value, str):
            raise Refusal("E4000", f"{where}{name}必须是字符串")
        if len(value) > longest:
            raise Refusal("E4000", f"{where}{name}长度不能超过{longest}")


def _check_email(order: Mapping[str, object]) -> None:
    email = order.get("email")
    if email in (None, ""):
        return
    if not isinstance(email, str) or len(email) > 50:
        raise Refusal("E9104", "邮箱长度不能超过50")


def _check_choices(order: Mapping[str, str]) -> None:
    for name, allowed in CHOICES.items():
        value = order.get(name)
        if value not in (None, "") and value not in allowed:
            raise Refusal("E4000", f"{name}不支持：{value}")
    # The channel's own default is a text message to the buyer, which then needs a number.
    push = order.get("pushMode") or "1"
    if push in ("1", "2") and not order.get("buyerPhone"):
        raise Refusal("E4000", "推送方式为手机时buyerPhone不能为空")
    if push in ("0", "2") and not order.get("email"):
        raise Refusal("E4000", "推送方式为邮箱时email不能为空")


def _check_buyer(order: Mapping[str, str]) -> None:
    number = order.get("buyerTaxNum") or ""
    if order["invoiceLine"] == "bs" and not number:
        raise Refusal("E4000", "专票购方税号不能为空")
    if number and not re.fullmatch(r"[0-9A-Z]{15,20}", number):
        raise Refusal("E4000", "购方税号格式不正确")
    if len(order.get("buyerTel") or "") + len(order.get("buyerAddress") or "") > 100:
        raise Refusal("E4000", "购方地址、电话合计不能超过100")


def _check_date(text: str) -> None:
    try:
        datetime.strptime(text, "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 - the wire carries wall clock
    except ValueError:
        raise Refusal("E4000", "invoiceDate格式应为yyyy-MM-dd HH:mm:ss") from None


def _line(detail: object, place: int) -> Line:
    where = f"第{place}行"
    if not isinstance(detail, dict):
        raise Refusal("E4000", f"{where}明细格式不正确")
    _check_fields(detail, LINE_FIELDS, where=where)
    code = detail.get("goodsCode") or ""
    if not code and not detail.get("selfCode"):
        raise Refusal("E9121", f"{where}商品编码不能为空")
    if code and not (isinstance(code, str) and re.fullmatch(r"\d{19}", code)):
        raise Refusal("E9138", f"{where}商品编码应为19位数字")
    rate = _rate(detail["taxRate"], where)
    price, quantity = _price_and_quantity(detail, where)
    included, excluded, tax = _line_amounts(detail, rate=rate, price=price, quantity=quantity, where=where)
    row = detail.get("invoiceLineProperty") or "0"
    if row not in ("0", "1", "2"):
        raise Refusal("E4000", f"{where}invoiceLineProperty不支持：{row}")
    return Line(
        name=detail["goodsName"],
        goods_code=code,
        rate=rate,
        included=included,
        excluded=excluded,
        tax=tax,
        quantity=quantity,
        price=price,
        unit=detail.get("unit") or "",
        spec=detail.get("specType") or "",
        row=row,
        policy=detail.get("favouredPolicyFlag") or "",
    )


def _rate(text: str, where: str) -> Decimal:
    if not RATE.fullmatch(text) or Decimal(text) not in RATES:
        raise Refusal("E9129", f"{where}税率不正确：{text}")
    return Decimal(text)


def _price_and_quantity(detail: Mapping[str, str], where: str) -> tuple[Decimal | None, Decimal | None]:
    price, quantity = detail.get("price") or "", detail.get("num") or ""
    if bool(price) != bool(quantity):
        raise Refusal("E4000", f"{where}单价和数量必须同时为空或同时不为空")
    if not price:
        return None, None
    if not EIGHT_PLACES.fullmatch(price) or Decimal(price) <= 0:
        raise Refusal("E9127", f"{where}单价格式不正确，最多8位小数")
    if not EIGHT_PLACES.fullmatch(quantity):
        raise Refusal("E9128", f"{where}数量格式不正确，最多8位小数")
    return Decimal(price), Decimal(quantity)


def _line_amounts(
    detail: Mapping[str, str], *, rate: Decimal, price: Decimal | None, quantity: Decimal | None, where: str
) -> tuple[Decimal, Decimal, Decimal]:
    given: list[Decimal | None] = []
    fields = (("taxIncludedAmount", "E9124"), ("taxExcludedAmount", "E9125"), ("tax", "E9126"))
    for name, code in fields:
        text = detail.get(name)
        if text in (None, ""):
            given.append(None)
        elif not isinstance(text, str) or not MONEY.fullmatch(text):
            raise Refusal(code, f"{where}{name}格式不正确，最多2位小数")
        else:
            given.append(Decimal(text))
    included, excluded, tax = given
    if included is None or excluded is None or tax is None:
        if price is None or quantity is None:
            raise Refusal("E9123", f"{where}单价为空时含税金额、不含税金额、税额必填")
        included, excluded, tax = _from_price(price * quantity, rate, with_tax=detail["withTaxFlag"] == "1")
    if included != excluded + tax:
        raise Refusal("E9130", f"{where}不含税金额+税额不等于含税金额")
    if abs(excluded * rate - tax) > TAX_TOLERANCE:
        raise Refusal("E9131", f"{where}税额误差超过0.06")
    if price is not None and quantity is not None:
        against = included if detail["withTaxFlag"] == "1" else excluded
        if abs(rounded(price * quantity) - against) > CENT:
            raise Refusal("E9127", f"{where}单价×数量与金额不符")
    return included, excluded, tax


def _from_price(amount: Decimal, rate: Decimal, *, with_tax: bool) -> tuple[Decimal, Decimal, Decimal]:
    if with_tax:
        included = rounded(amount)
        excluded = rounded(included / (1 + rate))
    else:
        excluded = rounded(amount)
        included = excluded + rounded(excluded * rate)
    return included, excluded, included - excluded


def _check_discount_rows(lines: list[Line]) -> None:
    for place, line in enumerate(lines, start=1):
        where = f"第{place}行"
        if line.row != "1":
            if line.included < 0 or line.excluded < 0:
                raise Refusal("E9114", f"{where}蓝票的商品行金额不能为负数")
            if line.row == "2" and (place == len(lines) or lines[place].row != "1"):
                raise Refusal("E9110", f"{where}被折扣行后面必须紧跟折扣行")
            continue
        if place == 1 or lines[place - 2].row != "2":
            raise Refusal("E9110", f"{where}折扣行必须紧跟被折扣行")
        _check_discount_row(line, lines[place - 2], where)


def _check_discount_row(line: Line, discounted: Line, where: str) -> None:
    if line.included >= 0:
        raise Refusal("E9114", f"{where}折扣行金额必须为负数")
    if line.name != discounted.name or line.goods_code != discounted.goods_code:
        raise Refusal("E9105", f"{where}折扣行与被折扣行的商品名称、编码必须一致")
    if -line.included > discounted.included or -line.excluded > discounted.excluded:
        raise Refusal("E9108", f"{where}折扣金额不能大于被折扣行金额")
    if line.quantity is not None and line.quantity >= 0:
        raise Refusal("E9111", f"{where}折扣行数量必须为负数")
    if line.rate != discounted.rate:
        raise Refusal("E9112", f"{where}折扣行与被折扣行的税率必须一致")


def _check_oil(order: Mapping[str, str], lines: list[Line]) -> None:
    is_oil = [line.goods_code.startswith("107010") for line in lines]
    marked = order.get("specificFactor") == "1"
    if not marked and not any(is_oil):
        return
    if not marked or not all(is_oil):
        raise Refusal("E4000", "成品油发票须标明specificFactor=1且只含成品油商品")
    for place, line in enumerate(lines, start=1):
        if line.row != "1" and (line.unit not in OIL_UNITS or not line.quantity):
            raise Refusal("E4000", f"第{place}行成品油必须有数量，单位为升或吨")
