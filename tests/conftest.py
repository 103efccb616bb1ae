"""Fixtures for all tests: both databases, the clock, a closed network, processes, windows, a printer."""

from importlib.util import find_spec

pytest_plugins = [
    "tests.network",
    "tests.clocks",
    "tests.processes",
    "tests.databases",
    "tests.installations",
    "tests.browser",
    *(name for name in ("tests.printers", "tests.people") if find_spec(name)),
]
