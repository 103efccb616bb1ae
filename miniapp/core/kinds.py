"""The kinds of a family: one file in the family's folder is one kind, named like the file.

Every file says ``KIND = <its class>``; one that does not, or that does not import, stops the start. Allowed for
gateways, channels, drivers, logins, senders, lookups and bill layouts only; all else is written out by name.
"""

import importlib
import pkgutil
from dataclasses import dataclass
from functools import cache
from typing import Any


@dataclass(frozen=True)
class Setting:
    """One value that a kind needs; its form and its check are drawn from it."""

    name: str
    secret: bool = False
    required: bool = True
    default: str = ""


@cache
def find(family: str) -> dict[str, Any]:
    """Kind name -> class, for the package ``family`` (``miniapp.payments.gateways``). Raises LookupError."""
    package = importlib.import_module(family)
    found: dict[str, Any] = {}
    for entry in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{family}.{entry.name}")
        if not hasattr(module, "KIND"):
            raise LookupError(f"{family}.{entry.name} has no KIND")
        found[entry.name] = module.KIND
    return found


def one(family: str, kind: str) -> Any:
    """The class of one kind. Raises LookupError that names the kinds there are."""
    kinds = find(family)
    if kind not in kinds:
        raise LookupError(f"no kind {kind!r} in {family}; there are {', '.join(sorted(kinds))}")
    return kinds[kind]
