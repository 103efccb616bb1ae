"""Fixtures of the tests of reconciliation inside the system."""

from pathlib import Path

import pytest

from miniapp.core import files
from tests.clocks import Clock
from tests.databases import Database
from tests.reconcile_system.books import Books


@pytest.fixture
def books(database: Database, clock: Clock, tmp_path: Path) -> Books:
    """A retailer on each kind of database, on the morning of 2026-11-24."""
    files.use_folder(tmp_path / "files")
    return Books()
