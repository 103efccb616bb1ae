"""Keys once a run; breakers and tokens anew for each test."""

from collections.abc import Iterator

import pytest

from miniapp.platforms import tokens
from miniapp.platforms.breaker import Breaker
from tests.platforms.peers import Keys, keys


@pytest.fixture(scope="session")
def our_keys() -> Keys:
    return keys()


@pytest.fixture(scope="session")
def platform_keys() -> Keys:
    return keys()


@pytest.fixture(autouse=True)
def fresh_wires() -> Iterator[None]:
    Breaker.forget_all()
    tokens.use(tokens.InMemory())
    yield
    Breaker.forget_all()
    tokens.use(tokens.InMemory())
