"""A closed network: a test that talks to anything but this machine fails, even where the program forgives it."""

from collections.abc import Iterator

import pytest

from tests.guards import network_guard

network_guard.close()


@pytest.fixture(autouse=True)
def closed_network() -> Iterator[list[str]]:
    """Hosts outside this machine that the test has called; there must be none at its end."""
    network_guard.attempts.clear()
    yield network_guard.attempts
    assert not network_guard.attempts, f"called outside this machine: {network_guard.attempts}"
