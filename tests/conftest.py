"""Fixtures for all tests: both databases, the clock, a closed network, processes, windows, a printer, the cast."""

from importlib.util import find_spec

pytest_plugins = [
    "tests.network",
    "tests.clocks",
    "tests.processes",
    "tests.databases",
    "tests.installations",
    "tests.browser",
    "tests.printers",
    *(name for name in ("tests.people",) if find_spec(name)),
]
