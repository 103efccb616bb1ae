"""Titles: what is kept, what is refused, and what hostile input meets."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniapp.titles.rules import FIELDS, TYPES, InvalidTitle, check, dedup_key

NUMBER = "91310104084123648T"
IDENTITY = "11010519491231002X"
COMPANY = {"type": "company", "name": "上海示例商贸有限公司", "taxpayer_no": NUMBER}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def faults_of(data, **how):
    with pytest.raises(InvalidTitle) as caught:
        check(data, **how)
    return [(fault["field"], fault["code"]) for fault in caught.value.as_json()["fields"]]


def test_a_good_title_comes_back_as_it_was():
    assert check(COMPANY) == {**COMPANY, "warnings": []}


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("上海示例(集团)有限公司", "上海示例（集团）有限公司"),
        ("  上海\u3000\u3000示例 \u00a0公司 ", "上海 示例 公司"),
        ("上海\u200b示\ufeff例\u202e公\u2066司", "上海示例公司"),
        ("上海\r\n示\t例\x00公\x85司\u2028", "上海示例公司"),
        ("示例．，（）①公司", "示例．，（）①公司"),
        ("Cafe\u0301示例", "Café示例"),
        ("葛\U000e0100示例\ufe0f", "葛示例"),
        ("李㛃䶮", "李㛃䶮"),
    ],
)
def test_names_lose_only_what_nobody_sees(typed, kept):
    assert check({**COMPANY, "name": typed})["name"] == kept


def test_brackets_of_a_person_stay_as_typed():
    assert check({"type": "personal", "name": "顾客甲(先生)"})["name"] == "顾客甲(先生)"


@pytest.mark.parametrize(
    "typed",
    [
        " 9131 0104-0841 23648t ",
        "９１３１０１０４０８４１２３６４８Ｔ",
        "91310104\u200b084123648T\n",
        "91310104－084123648T",
    ],
)
def test_numbers_are_written_one_way(typed):
    assert check({**COMPANY, "taxpayer_no": typed})["taxpayer_no"] == NUMBER


@pytest.mark.parametrize(("letter", "code"), [("ß", "NUMBER_CHARACTER"), ("ı", "NUMBER_CHARACTER")])
def test_upper_case_makes_no_new_letters(letter, code):
    assert faults_of({**COMPANY, "taxpayer_no": NUMBER[:-1] + letter}) == [("taxpayer_no", code)]


def test_other_fields_are_made_narrow():
    title = check(
        {
            **COMPANY,
            "address": " 上海市示例路１号 ",
            "phone": "（０２１）５５５５ ００００",
            "account": "６２２２　００００",
            "email": "Name＠example.com",
            "mobile": "+86 138-0013-8000",
            "bank": None,
        }
    )
    assert title["address"] == "上海市示例路１号"
    assert title["phone"] == "(021)5555 0000"
    assert title["account"] == "6222 0000"
    assert title["email"] == "Name@example.com"
    assert title["mobile"] == "13800138000"
    assert title["bank"] == ""


@pytest.mark.parametrize("name", [None, "", " \u200b\n", "\u3164"])
def test_a_personal_title_without_a_name_is_called_geren(name):
    assert check({"type": "personal", "name": name})["name"] == "个人"
    assert check({"type": "personal"}) == {"type": "personal", "name": "个人", "warnings": []}


@pytest.mark.parametrize(
    ("data", "faults"),
    [
        ({**COMPANY, "name": " \u200b "}, [("name", "REQUIRED")]),
        ({"type": "company"}, [("name", "REQUIRED"), ("taxpayer_no", "REQUIRED")]),
        ({"type": "government", "name": "示例局"}, None),
        ({"type": "government", "name": "示例局", "taxpayer_no": "1"}, [("taxpayer_no", "NUMBER_LENGTH")]),
        ({"type": "other", "name": "Example GmbH"}, None),
        ({"type": "other"}, [("name", "REQUIRED")]),
        (
            {"type": "personal", "name": "顾客甲", "taxpayer_no": NUMBER},
            [("taxpayer_no", "NUMBER_NOT_ALLOWED")],
        ),
        ({"type": "personal", "name": "顾客甲", "taxpayer_no": " - "}, None),
        ({"type": "natural_person", "name": "顾客甲", "taxpayer_no": IDENTITY.lower()}, None),
        ({"type": "natural_person", "name": "顾客甲"}, [("taxpayer_no", "REQUIRED")]),
        (
            {"type": "natural_person", "name": "顾客甲", "taxpayer_no": NUMBER},
            [("taxpayer_no", "IDENTITY_FORM")],
        ),
        ({**COMPANY, "taxpayer_no": IDENTITY}, None),
        ({**COMPANY, "taxpayer_no": NUMBER[:-1]}, [("taxpayer_no", "LOST_CHARACTER")]),
        ({**COMPANY, "name": "示例<b>公司"}, [("name", "BAD_CHARACTER")]),
        ({**COMPANY, "name": "示例😀公司"}, [("name", "BAD_CHARACTER")]),
        ({**COMPANY, "name": "示例❤️公司"}, [("name", "BAD_CHARACTER")]),
        ({**COMPANY, "name": "示例\ue000公司"}, [("name", "BAD_CHARACTER")]),
        ({**COMPANY, "name": "示例\ud800公司"}, [("name", "BAD_CHARACTER")]),
        ({**COMPANY, "name": "示例\uffff公司"}, [("name", "BAD_CHARACTER")]),
        ({**COMPANY, "name": "中" * 100}, None),
        ({**COMPANY, "name": "中" * 101}, [("name", "TOO_LONG")]),
        ({**COMPANY, "address": "路" * 81}, [("address", "TOO_LONG")]),
        ({**COMPANY, "address": "路" * 80, "phone": "0" * 21}, [("address", "TOO_LONG_TOGETHER")]),
        ({**COMPANY, "bank": "行" * 60, "account": "0" * 41}, [("bank", "TOO_LONG_TOGETHER")]),
        (
            {**COMPANY, "remark": "注" * 201, "email": "a@b", "mobile": "12"},
            [("email", "BAD_EMAIL"), ("mobile", "BAD_MOBILE"), ("remark", "TOO_LONG")],
        ),
        ({**COMPANY, "email": "a@example.com\r\nBcc: x@example.com"}, [("email", "BAD_EMAIL")]),
        ({**COMPANY, "email": "a..b@example.com"}, [("email", "BAD_EMAIL")]),
        ({**COMPANY, "phone": "无"}, [("phone", "BAD_PHONE")]),
        ({**COMPANY, "account": "账号"}, [("account", "BAD_ACCOUNT")]),
        ({**COMPANY, "type": "firm"}, [("type", "UNKNOWN_TYPE")]),
        ({"name": "示例"}, [("type", "REQUIRED")]),
        ({**COMPANY, "type": ["company"]}, [("type", "NOT_A_TEXT")]),
        (
            {**COMPANY, "name": 1, "phone": True, "address": {}},
            [("name", "NOT_A_TEXT"), ("address", "NOT_A_TEXT"), ("phone", "NOT_A_TEXT")],
        ),
        ({**COMPANY, "confirmed": "true"}, [("confirmed", "NOT_A_BOOLEAN")]),
        ({**COMPANY, "nmae": "x"}, [("nmae", "UNKNOWN_FIELD")]),
        ([], [("type", "NOT_AN_OBJECT")]),
        (None, [("type", "NOT_AN_OBJECT")]),
    ],
)
def test_every_field_at_fault_is_named(data, faults):
    if faults is None:
        assert check(data)["warnings"] == []
    else:
        assert faults_of(data) == faults


def test_a_wrong_check_character_passes_only_when_confirmed():
    doubtful = {**COMPANY, "taxpayer_no": "91310000717855097N"}
    with pytest.raises(InvalidTitle) as caught:
        check(doubtful)
    (entry,) = caught.value.as_json()["fields"]
    assert entry["code"] == "CHECK_CHARACTER"
    assert entry["confirmable"] is True

    title = check({**doubtful, "confirmed": True})
    assert [(warning["field"], warning["code"]) for warning in title["warnings"]] == [
        ("taxpayer_no", "CHECK_CHARACTER")
    ]
    assert faults_of({**doubtful, "confirmed": False}) == [("taxpayer_no", "CHECK_CHARACTER")]


def test_confirming_helps_no_other_fault():
    assert faults_of({**COMPANY, "taxpayer_no": NUMBER[:-1], "confirmed": True}) == [
        ("taxpayer_no", "LOST_CHARACTER")
    ]
    with pytest.raises(InvalidTitle) as caught:
        check({**COMPANY, "taxpayer_no": "91310104O84123648T"})
    (entry,) = caught.value.as_json()["fields"]
    assert "confirmable" not in entry
    assert NUMBER in entry["message"]


@pytest.mark.parametrize("number", ["339902999999789113", "9" * 15, "A" * 17, "0" * 20])
def test_a_test_environment_checks_only_characters_and_length(number):
    assert check({**COMPANY, "taxpayer_no": number}, verify_numbers=False)["warnings"] == []
    assert faults_of({**COMPANY, "taxpayer_no": number + "?"}, verify_numbers=False)
    assert faults_of({**COMPANY, "taxpayer_no": "1234"}, verify_numbers=False)


def test_doubts_are_warnings():
    title = check({**COMPANY, "name": "𠮷野家示例", "taxpayer_no": "91330106MA2B2ABCDN"})
    assert {(w["field"], w["code"]) for w in title["warnings"]} == {
        ("name", "RARE_CHARACTER"),
        ("taxpayer_no", "ORGANISATION_DIGIT"),
    }
    assert check({**COMPANY, "taxpayer_no": "310104084123640"})["warnings"][0]["code"] == "ORGANISATION_DIGIT"


def test_the_same_title_is_found_again_however_it_was_typed():
    keys = {
        dedup_key("company", name=name, taxpayer_no=number)
        for name, number in [
            ("上海示例（集团）有限公司 ABC", NUMBER),
            ("上海示例(集团)有限公司abc", "9131 0104 0841 23648t"),
            ("上海示例集团有限公司ＡＢＣ", NUMBER),
        ]
    }
    assert len(keys) == 1
    assert dedup_key("personal", name="个人", taxpayer_no="") != dedup_key(
        "other", name="个人", taxpayer_no=""
    )


@given(
    st.fixed_dictionaries(
        {"type": st.sampled_from(TYPES), "name": st.text(min_size=1)},
        optional={
            "taxpayer_no": st.sampled_from(["", NUMBER, NUMBER.lower(), IDENTITY, "91310000717855097N"]),
            "address": st.text(max_size=60),
            "bank": st.text(max_size=60),
            "remark": st.text(max_size=60),
            "confirmed": st.booleans(),
        },
    )
)
def test_a_kept_title_is_kept_unchanged(data):
    try:
        title = check(data)
    except InvalidTitle:
        return
    assert check(title) == title
    for field in FIELDS:
        text = title.get(field, "")
        assert unicodedata.is_normalized("NFC", text)
        assert text == text.strip()
        assert not any(
            unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") for character in text
        )


@given(JSON | st.dictionaries(st.sampled_from([*FIELDS, "confirmed", "x"]), JSON))
def test_anything_gets_an_answer_that_can_be_printed(data):
    try:
        answer = check(data)
    except InvalidTitle as refusal:
        answer = refusal.as_json()
        assert answer["fields"]
    json.dumps(answer, ensure_ascii=False).encode("utf-8")
