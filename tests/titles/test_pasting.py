"""Pasted blocks, as people copy them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniapp.titles.rules import FIELDS, split_block

NAME = "上海示例商贸有限公司"
NUMBER = "91310104084123648T"


@pytest.mark.parametrize(
    "text",
    [
        f"名称：{NAME} 税号：{NUMBER}",
        f"名称:{NAME};税号:{NUMBER}",
        f"{NAME}\n{NUMBER}",
        f"{NAME} {NUMBER.lower()}",
        f"{NUMBER}\n{NAME}",
        f"{NAME}税号：{NUMBER}",
        f"抬头：{NAME}\r\n统一社会信用代码/纳税人识别号：9131 0104 0841 23648T",
        f"名　称　{NAME}\n纳税人识别号 {NUMBER}",
        f"公司名称={NAME}\n\n识别号= {NUMBER}。",
        f"发票抬头：\n{NAME}\n税号：\n{NUMBER}",
    ],
)
def test_name_and_number(text):
    assert split_block(text) == {"name": NAME, "taxpayer_no": NUMBER}


def test_a_whole_block():
    block = f"""单位名称：{NAME}
税号：{NUMBER}
地址、电话：上海市示例路 1 号 021-55550000
开户行及账号：示例银行上海分行 6222 0000 1111
邮箱：name@example.com　手机：13800138000"""
    assert split_block(block) == {
        "name": NAME,
        "taxpayer_no": NUMBER,
        "address": "上海市示例路 1 号",
        "phone": "021-55550000",
        "bank": "示例银行上海分行",
        "account": "6222 0000 1111",
        "email": "name@example.com",
        "mobile": "13800138000",
    }


def test_separate_labels_and_missing_values():
    block = f"名称：{NAME}\n税号：{NUMBER}\n公司地址：\n电话：021-55550000\n开户银行：示例银行\n银行账号：62220000"
    assert split_block(block) == {
        "name": NAME,
        "taxpayer_no": NUMBER,
        "phone": "021-55550000",
        "bank": "示例银行",
        "account": "62220000",
    }


def test_plain_words_are_a_name():
    assert split_block("个人") == {"name": "个人"}
    assert split_block("") == {}
    assert split_block("ABCDEFGHIJKLMNO") == {"name": "ABCDEFGHIJKLMNO"}


@given(
    st.text()
    | st.lists(
        st.sampled_from(["名称", "税号：", "地址、电话：", "\n", " ", NUMBER, "开户行", "：", "1"])
    ).map("".join)
)
def test_any_text_is_split_into_known_fields(text):
    fields = split_block(text)
    assert set(fields) <= set(FIELDS)
    assert all(fields.values())
