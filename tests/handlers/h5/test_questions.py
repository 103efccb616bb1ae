"""How often the pages ask the database: at most twelve statements a page, whatever is in the lists."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event

from miniapp import db
from tests.handlers.h5.site import Site, issued

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
MOST = 12


@contextmanager
def statements() -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.lstrip().upper().startswith(("SELECT", "INSERT", "UPDATE", "DELETE")):
            seen.append(statement)

    event.listen(db.engine(), "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(db.engine(), "before_cursor_execute", note)


def test_a_page_asks_at_most_twelve_times(site: Site) -> None:
    retailer = site.retailer
    request, invoice = issued(site)
    for _ in range(3):
        retailer.ask(retailer.sale(6600, at_platform=False))
    left = [retailer.sale(3300, at_platform=False) for _ in range(4)]
    phone = site.phone()
    phone.open("/c/")
    picked = "&".join(f"p={retailer.public_id(number)}" for number in left)
    for address in (
        "/c/",
        "/c/purchases",
        f"/c/requests/new?{picked}",
        f"/c/requests/title?{picked}",
        f"/c/requests/{request}",
        f"/c/requests/{request}/progress",
        f"/c/invoices/{invoice}",
        "/c/titles",
        "/c/find",
    ):
        with statements() as seen:
            assert phone.get(address).status_code == 200, address
        assert len(seen) <= MOST, (address, len(seen), seen)
