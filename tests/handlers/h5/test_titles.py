"""C0 and C5: the title book without scripts."""

import pytest

from miniapp.titles import service as titles
from tests.handlers.h5.site import Seen, Site

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
RIGHT, WRONG = "91440300708461136T", "91310000717855097N"
NAME = "北京示例科技有限公司"


def fill(site: Site, **fields: str) -> Seen:
    phone = site.phone()
    changes = {name.replace("__", "."): value for name, value in fields.items()}
    return phone.press(phone.open("/c/titles/new"), "保存", **changes)


def test_e24a_a_new_person_adds_edits_deletes_and_changes_the_default(site: Site) -> None:
    phone = site.phone()
    book = fill(site, company__name=NAME, company__taxpayer_no=RIGHT)
    assert book.path == "/c/titles" and NAME in book.text and "默认" in book.text
    assert RIGHT not in book.text and "914403********136T" in book.text
    book = fill(site, type="personal", personal__name="顾客甲")
    assert book.text.index(NAME) < book.text.index("顾客甲")

    book = phone.press(book, "设为默认")
    assert book.text.index("顾客甲") < book.text.index(NAME)
    edited = phone.press(
        phone.open(book.link(f"修改{NAME}")), "保存", **{"company.name": "北京示例贸易有限公司"}
    )
    assert "北京示例贸易有限公司" in edited.text and NAME not in edited.text
    left = phone.press(edited, "删除「北京示例贸易有限公司」")
    assert "北京示例贸易有限公司" not in left.text


def test_e9_blanks_and_small_letters_of_a_number_are_mended(site: Site) -> None:
    fill(site, company__name=NAME, company__taxpayer_no="9144 0300 7084 6113 6t")
    (view,) = titles.book(site.retailer.customer())
    assert view.taxpayer_no == RIGHT


def test_e10_a_number_that_fails_its_check_can_be_used_all_the_same(site: Site) -> None:
    page = fill(site, company__name=NAME, company__taxpayer_no=WRONG)
    assert page.status == 422 and page.title.startswith("错误：")
    assert 'role="alert"' in page.html and "data-focus" in page.html
    assert any(address == "#company-taxpayer_no" for _, address in page.links)
    assert "仍然使用" in page.text
    assert page.values("company.name") == [NAME] and page.values("company.taxpayer_no") == [WRONG]
    saved = site.phone().press(page, "保存", confirmed="1")
    assert saved.path == "/c/titles" and NAME in saved.text


def test_e11_a_personal_title_has_no_number_and_both_drafts_stay(site: Site) -> None:
    page = fill(
        site, type="personal", personal__name="x" * 200, company__name=NAME, company__taxpayer_no=RIGHT
    )
    assert page.status == 422
    assert page.values("company.name") == [NAME] and page.values("company.taxpayer_no") == [RIGHT]
    saved = site.phone().press(page, "保存", **{"personal.name": ""})
    assert saved.path == "/c/titles"
    (view,) = titles.book(site.retailer.customer())
    assert (view.type, view.name, view.taxpayer_no) == ("personal", "个人", "")


def test_e11_the_other_kinds_draft_survives_a_browser_that_sends_one_kind(site: Site) -> None:
    phone = site.phone()
    page = phone.open("/c/titles/new")
    token = page.values("csrf_token")[0]
    options = {"base_url": site.retailer.config.public_base}
    kept = phone.client.post(
        "/c/titles/draft", data={"csrf_token": token, "type": "company", "company.name": NAME}, **options
    )
    assert kept.status_code == 204
    phone.client.post(
        "/c/titles/draft", data={"csrf_token": token, "type": "personal", "personal.name": "甲"}, **options
    )
    again = phone.open("/c/titles/new")
    assert again.values("company.name") == [NAME] and again.values("personal.name") == ["甲"]
    site.retailer.clock.forward(hours=25)
    assert phone.open("/c/titles/new").values("company.name") == [""]


def test_e12_an_empty_name_shows_the_same_words_without_scripts(site: Site) -> None:
    page = fill(site, company__name="", company__taxpayer_no=RIGHT, company__email="a@example.com")
    assert page.status == 422 and "请填写名称" in page.text
    assert page.text.count("请填写名称") == 2
    assert page.values("company.email") == ["a@example.com"]


def test_a_pasted_block_is_split_and_kept_for_a_look(site: Site) -> None:
    phone = site.phone()
    page = phone.press(
        phone.open("/c/titles/new"),
        "识别",
        pasted=f"名称：{NAME}\n税号：{RIGHT}\n开户行：示例银行\n账号：6222000011112222",
    )
    assert page.status == 200 and "已识别" in page.text
    assert page.values("company.name") == [NAME] and page.values("company.taxpayer_no") == [RIGHT]
    assert not titles.book(site.retailer.customer())
    nothing = phone.press(phone.open("/c/titles/new"), "识别", pasted="")
    assert "没有认出抬头" in nothing.text


def test_a_bank_account_is_never_shown_whole_again(site: Site) -> None:
    phone = site.phone()
    number = "6222000011112222"
    book = fill(site, company__name=NAME, company__taxpayer_no=RIGHT, company__account=number)
    edit = phone.open(book.link("修改"))
    assert number not in book.html and number not in edit.html and "2222" in edit.text
    phone.press(edit, "保存", **{"company.phone": "021-55550000"})
    (view,) = titles.book(site.retailer.customer())
    assert titles.one(site.retailer.customer(), view.public_id)["account"] == number
    phone.press(phone.open(book.link("修改")), "保存", drop_account="1")
    assert titles.one(site.retailer.customer(), view.public_id)["account"] == ""


def test_another_persons_title_is_not_there(site: Site) -> None:
    mine = site.retailer.title(site.retailer.customer("顾客甲"))
    phone = site.phone("顾客乙")
    assert phone.open(f"/c/titles/{mine}").status == 404
    page = phone.open("/c/titles/new")
    answer = phone.client.post(
        f"/c/titles/{mine}/delete",
        data={"csrf_token": page.values("csrf_token")[0]},
        base_url=site.retailer.config.public_base,
    )
    assert answer.status_code == 404
    assert len(titles.book(site.retailer.customer("顾客甲"))) == 1


def test_a_form_without_its_token_changes_nothing(site: Site) -> None:
    phone = site.phone()
    page = phone.press(phone.open("/c/titles/new"), "保存", csrf_token=None, **{"company.name": NAME})
    assert page.status == 400 and "内容已保留" in page.text
    assert not titles.book(site.retailer.customer())


def test_an_unknown_field_is_not_taken_over(site: Site) -> None:
    fill(
        site, company__name=NAME, company__taxpayer_no=RIGHT, customer_id="99", company__mobile="13800000000"
    )
    (view,) = titles.book(site.retailer.customer())
    assert view.mobile == ""


def test_forgetting_removes_titles_links_and_the_session(site: Site) -> None:
    fill(site, company__name=NAME, company__taxpayer_no=RIGHT)
    phone = site.phone()
    first = site.retailer.customer()
    page = phone.press(phone.open("/c/privacy"), "忘记我")
    assert "已经忘记您" in page.text
    assert not titles.book(first)
    assert phone.get("/c/titles").status_code == 302
    assert site.retailer.customer() != first


def test_the_book_can_be_emptied(site: Site) -> None:
    fill(site, company__name=NAME, company__taxpayer_no=RIGHT)
    phone = site.phone()
    page = phone.press(phone.open("/c/privacy"), "删除全部抬头")
    assert page.path == "/c/titles" and "还没有抬头" in page.text
