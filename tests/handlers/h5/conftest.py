"""The pages of a retailer whose platforms are the sandbox."""

from collections.abc import Callable

import pytest

from miniapp.app import create_app
from tests.handlers.h5.site import Site
from tests.people import Opened

Opening = Callable[..., Site]


@pytest.fixture
def open_site(open_retailer: Opened) -> Opening:
    """A site with the store's manner: ``policy``, ``channel``."""

    def opened(**manner: str) -> Site:
        retailer = open_retailer(**manner)
        return Site(create_app(retailer.config), retailer)

    return opened


@pytest.fixture
def site(open_site: Opening) -> Site:
    """A store that asks no cashier; specimen invoices."""
    return open_site(channel="yp")


@pytest.fixture
def asking_site(open_site: Opening) -> Site:
    """A store where a cashier confirms every request; specimen invoices."""
    return open_site(policy='{ confirm = "always" }', channel="yp")
