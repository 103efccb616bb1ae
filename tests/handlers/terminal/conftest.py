"""The terminal door over the shop of the tests of payments, alone or with its platforms."""

from pathlib import Path

import pytest
from flask import Flask

from miniapp.handlers import errors, terminal
from tests.clocks import Clock
from tests.databases import Database
from tests.handlers.terminal.tills import TillClient
from tests.payments.platforms import Till
from tests.payments.platforms import sandbox as sandbox
from tests.payments.platforms import till as till
from tests.payments.shop import Shop, open_shop


def _client() -> TillClient:
    app = Flask("door")
    for blueprint in terminal.blueprints():
        app.register_blueprint(blueprint)
    errors.register(app)
    return TillClient(app.test_client())


@pytest.fixture
def shop(database: Database, clock: Clock, tmp_path: Path) -> Shop:
    return open_shop(tmp_path)


@pytest.fixture
def door(shop: Shop) -> TillClient:
    return _client()


@pytest.fixture
def paying_door(till: Till) -> TillClient:
    return _client()
