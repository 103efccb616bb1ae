"""C8: the invoice belongs to its owner, and so do its files."""

import pytest

from tests.handlers.h5.site import Site, issued

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def test_the_owner_sees_number_sum_title_and_picture(site: Site) -> None:
    _, invoice = issued(site, 20000)
    phone = site.phone()
    page = phone.open(f"/c/invoices/{invoice}")
    assert page.status == 200
    assert "¥200.00" in page.text and "北京示例科技有限公司" in page.text and "样票" in page.text
    pdf = phone.get(page.link("打开 PDF"))
    assert pdf.status_code == 200 and pdf.data.startswith(b"%PDF-")
    assert pdf.headers["Cache-Control"] == "private, no-store"
    assert pdf.headers["X-Robots-Tag"] == "noindex"
    assert "filename*=UTF-8''" in pdf.headers["Content-Disposition"]
    assert pdf.headers["Content-Disposition"].isascii()


def test_e21_another_person_sees_no_data(site: Site) -> None:
    _, invoice = issued(site, 20000)
    link = site.phone().open(f"/c/invoices/{invoice}").link("打开 PDF")
    stranger = site.phone("顾客乙")
    for address in (f"/c/invoices/{invoice}", link):
        found = stranger.open(address)
        assert found.status == 404
        assert "示例科技" not in found.text and "200.00" not in found.text


def test_a_forwarded_link_is_nothing_without_the_owners_session(site: Site) -> None:
    _, invoice = issued(site)
    link = site.phone().open(f"/c/invoices/{invoice}").link("打开 PDF")
    answer = site.app.test_client().get(link, base_url=site.retailer.config.public_base)
    assert answer.status_code == 302 and "/connect/oauth2/" in answer.headers["Location"]


def test_e22_an_expired_link_leads_to_a_new_one(site: Site) -> None:
    _, invoice = issued(site)
    phone = site.phone()
    link = phone.open(f"/c/invoices/{invoice}").link("打开 PDF")
    site.retailer.clock.forward(minutes=16)
    old = phone.open(link)
    assert old.status == 410 and "链接已过期" in old.text
    fresh = phone.open(old.link("重新获取"))
    assert phone.get(fresh.link("打开 PDF")).status_code == 200


def test_an_altered_link_is_nothing(site: Site) -> None:
    _, invoice = issued(site)
    phone = site.phone()
    link = phone.open(f"/c/invoices/{invoice}").link("打开 PDF")
    head, until, signature = link.rsplit("/", 2)
    assert phone.get(f"{head}/{int(until) + 3600}/{signature}").status_code == 404
    assert phone.get(f"{head.replace('/pdf', '/png')}/{until}/{signature}").status_code == 404
    assert phone.get(f"{head}/abc/{signature}").status_code == 404


def test_without_a_printer_paper_is_not_offered(site: Site) -> None:
    _, invoice = issued(site)
    phone = site.phone()
    page = phone.open(f"/c/invoices/{invoice}")
    assert "店内打印" not in page.text
