"""A short campaign on each database; the long one is run by hand (``python -m tests.crash.campaign``)."""

import os

import pytest

from tests.crash.campaign import play
from tests.databases import KINDS

OPERATIONS, KILLS = (
    int(os.environ.get("CAMPAIGN_OPERATIONS", "60")),
    int(os.environ.get("CAMPAIGN_KILLS", "6")),
)
SEED = int(os.environ.get("CAMPAIGN_SEED", "20261124"))


@pytest.mark.parametrize("engine", KINDS)
def test_nothing_is_double_lost_or_stuck(engine: str) -> None:
    verdict = play(engine, operations=OPERATIONS, kills=KILLS, seed=SEED)
    assert verdict.is_clean, str(verdict)
    assert verdict.counts["kills"] == KILLS
