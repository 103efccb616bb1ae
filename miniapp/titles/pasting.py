"""A pasted block of text, split into the fields of a title: 「名称：…　税号：…」 and its many relatives."""

import re

from miniapp.titles import cleaning

LONGEST = 2000
"""Characters read of a pasted text; what people copy from a licence or a mail is shorter."""

_LABELS = {
    "address_phone": ("地址及电话", "地址电话", "地址、电话", "地址/电话"),
    "bank_account": (
        "开户行及账号",
        "开户银行及账号",
        "开户行账号",
        "开户行、账号",
        "开户行/账号",
        "银行及账号",
    ),
    "taxpayer_no": (
        "统一社会信用代码/纳税人识别号",
        "纳税人识别号/统一社会信用代码",
        "统一社会信用代码",
        "社会信用代码",
        "纳税人识别号",
        "纳税识别号",
        "信用代码",
        "识别号",
        "税务登记号",
        "公司税号",
        "企业税号",
        "单位税号",
        "税号",
    ),
    "name": (
        "购买方名称",
        "发票抬头",
        "抬头名称",
        "开票名称",
        "公司名称",
        "单位名称",
        "企业名称",
        "公司抬头",
        "名称",
        "抬头",
    ),
    "bank": ("基本户开户行", "开户行名称", "开户银行", "开户行", "银行名称"),
    "account": ("银行账号", "银行帐号", "银行账户", "开户账号", "账号", "帐号", "账户"),
    "address": ("公司地址", "单位地址", "企业地址", "注册地址", "开票地址", "地址"),
    "phone": ("公司电话", "单位电话", "企业电话", "注册电话", "联系电话", "开票电话", "固定电话", "电话"),
    "mobile": ("手机号码", "手机号", "手机"),
    "email": ("电子邮箱", "电子邮件", "接收邮箱", "邮箱", "email", "e-mail"),
    "remark": ("备注",),
}
_FIELD_OF = {label: field for field, labels in _LABELS.items() for label in labels}


def _any_label() -> str:
    """All labels, longer ones first so that 注册地址 is not read as 地址."""
    return "|".join(_pattern(label) for label in sorted(_FIELD_OF, key=len, reverse=True))


def _pattern(label: str) -> str:
    if label[:2] in ("公司", "单位", "企业"):
        return rf"\b{label}"  # in 某某有限公司税号：… the first two belong to the name
    return r"[ \u3000]*".join(label) if len(label) == 2 else re.escape(label)  # 名　称 may be spaced out


# A label ends with a colon, or stands at the beginning of a line before a space.
_LABEL = re.compile(
    rf"(?P<before_colon>{_any_label()})\s*[:：=]|^[ \u3000]*(?P<alone>{_any_label()})[ \t\u3000]+",
    re.MULTILINE | re.IGNORECASE,
)
_NUMBER = re.compile(r"(?<![0-9A-Za-z])(?:[0-9A-Za-z]{20}|[0-9A-Za-z]{17,18}|[0-9A-Za-z]{15})(?![0-9A-Za-z])")
_ADDRESS_AND_PHONE = re.compile(r"(?P<head>.*?)[\s,，;；、]*(?P<tail>[+0-9(（][0-9()（） \-－]{5,}[0-9])")
_BANK_AND_ACCOUNT = re.compile(r"(?P<head>.*?)[\s,，;；、]*(?P<tail>[0-9][0-9 \-]{6,}[0-9])")
_EDGES = " \t\u3000,，;；。|、"


def split_block(text: str) -> dict[str, str]:
    """The fields found in a pasted text, cleaned but not checked; nothing is guessed that is not there.

    With labels in any order, on lines or in one; without labels, a name with a number behind or below it.
    """
    text = text[:LONGEST]
    labels = list(_LABEL.finditer(text))
    ends = [*(label.start() for label in labels), len(text)]
    found = {"name": text[: ends[0]]}
    for label, end in zip(labels, ends[1:], strict=True):
        words = re.sub(r"\s", "", label["before_colon"] or label["alone"]).lower()
        value = _first_line(text[label.end() : end])
        found.update({field: part for field, part in _parts(_FIELD_OF[words], value).items() if part})
    if "taxpayer_no" not in found:
        _take_number_out_of_name(found)
    found["taxpayer_no"] = cleaning.number(found.get("taxpayer_no", ""))
    found["name"] = _first_line(found["name"])
    return {field: cleaning.clean(value) for field, value in found.items() if cleaning.clean(value)}


def _first_line(text: str) -> str:
    lines = (line.strip(_EDGES) for line in text.splitlines())
    return next((line for line in lines if line), "")


def _parts(field: str, value: str) -> dict[str, str]:
    """One labelled value as fields: two labels in one, such as 地址、电话, are taken apart."""
    pairs = {
        "address_phone": (_ADDRESS_AND_PHONE, "address", "phone"),
        "bank_account": (_BANK_AND_ACCOUNT, "bank", "account"),
    }
    if field not in pairs:
        return {field: value}
    pattern, first, second = pairs[field]
    match = pattern.fullmatch(value)
    return {first: match["head"], second: match["tail"]} if match else {first: value}


def _take_number_out_of_name(found: dict[str, str]) -> None:
    """Without a label for it: the first word that is as long as a number and not all letters."""
    for match in _NUMBER.finditer(found["name"]):
        if not match[0].isalpha():
            found["taxpayer_no"] = match[0]
            found["name"] = found["name"].replace(match[0], "")
            return
