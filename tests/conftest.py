"""Fixtures for all tests: both databases, the clock, a closed network, processes, windows, a printer."""

from importlib.util import find_spec

pytest_plugins = [
    "tests.network",
    "tests.clocks",
    "tests.processes",
    "tests.databases",
    "tests.installations",
    "tests.browser",
    "tests.printers",
]
if find_spec("tests.people"):
    try:
        import tests.people  # noqa: F401
    except ImportError as fault:  # while rooms are still being built their tests run without the cast
        print(f"tests.people: {fault}")
    else:
        pytest_plugins.append("tests.people")
