"""The console over a database of its own, with people who sign in by its form."""

from pathlib import Path

import pytest

from miniapp.config import Config
from tests.clocks import Clock
from tests.databases import Database
from tests.handlers.console.shop import House, open_house


@pytest.fixture
def house(database: Database, clock: Clock, tmp_path: Path) -> House:
    return open_house(
        Config(
            env="test",
            database_url=database.url,
            data_dir=tmp_path / "data",
            public_base="http://127.0.0.1:8000",
            trusted_hosts="localhost,127.0.0.1",
            master_key="5a" * 32,
        )
    )
