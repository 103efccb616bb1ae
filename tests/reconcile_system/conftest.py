"""Fixtures of the tests of reconciliation inside the system."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from miniapp.core import files
from miniapp.payments import entries
from miniapp.reconcile import steps
from tests.clocks import Clock
from tests.databases import Database
from tests.reconcile_system.books import Books


@pytest.fixture
def books(database: Database, clock: Clock, tmp_path: Path) -> Iterator[Books]:
    """A retailer on each kind of database, on the morning of 2026-11-24, its ledger listened to as in the program."""
    files.use_folder(tmp_path / "files")
    entries.listen(steps.on_recorded)
    try:
        yield Books()
    finally:
        entries.listen(None)
