"""Fixtures for all tests: both databases, the clock, a closed network, processes, windows, a printer, the cast."""

from hypothesis import settings

pytest_plugins = [
    "tests.network",
    "tests.clocks",
    "tests.processes",
    "tests.databases",
    "tests.installations",
    "tests.browser",
    "tests.printers",
    "tests.people",
]

settings.register_profile("calm", deadline=None)  # a busy machine is no fault of the code
settings.load_profile("calm")
