"""The shop of the tests of payments, alone or with its platforms."""

from pathlib import Path

import pytest

from tests.clocks import Clock
from tests.databases import Database
from tests.payments.platforms import sandbox as sandbox
from tests.payments.platforms import till as till
from tests.payments.shop import Shop, open_shop


@pytest.fixture
def shop(database: Database, clock: Clock, tmp_path: Path) -> Shop:
    return open_shop(tmp_path)
