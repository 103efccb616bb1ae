"""The frame around every page: finds the pages of this folder, draws the menu of the person who looks."""

import importlib
import pkgutil
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from flask import Blueprint, Response, g, redirect, request, url_for

from miniapp.core.errors import Invalid, Missing
from miniapp.handlers import browsers
from miniapp.handlers.console import showing
from miniapp.handlers.console.pages import Page
from miniapp.handlers.guards import may
from miniapp.stores.rules import Person

NO_PAGES = {"pages", "frame", "showing", "listing"}
"""Files of this folder that hold the frame; every other one must have a PAGE."""


CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True)
class Entry:
    """A line of the menu."""

    title: str
    endpoint: str
    is_here: bool


@dataclass(frozen=True)
class Group:
    """Lines under one word; a line without a group has an empty word."""

    word: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Frame:
    """What ``_frame.html`` draws around a page."""

    person: Person | None
    groups: tuple[Group, ...]
    title: str
    home: str
    idle_minutes: int


@cache
def find() -> dict[str, Page]:
    """Page name → page. A file that holds none stops the start."""
    package = importlib.import_module(__package__ or "")
    found = {}
    for entry in pkgutil.iter_modules(package.__path__):
        if entry.name in NO_PAGES:
            continue
        module = importlib.import_module(f"{package.__name__}.{entry.name}")
        if not isinstance(getattr(module, "PAGE", None), Page):
            raise LookupError(f"{module.__name__} has no PAGE")
        found[entry.name] = module.PAGE
    return dict(sorted(found.items(), key=lambda item: item[1].order))


def blueprint() -> Blueprint:
    """All pages under ``/console``."""
    console = Blueprint("console", __name__, url_prefix="/console")
    console.add_url_rule("/", "home", home)
    for name, page in find().items():
        console.register_blueprint(page.blueprint(name))
    console.before_request(_check_words)
    console.context_processor(_values)
    return console


@may("see_console")
def home() -> Response:
    """The board is the first page."""
    return redirect(url_for("console.today.index"), 303)  # type: ignore[return-value]


def groups_for(who: Person, here: str) -> tuple[Group, ...]:
    """The menu of one person, by what their roles let them see; ``here`` is the page's name."""
    groups: dict[str, list[Entry]] = {}
    for name, page in find().items():
        if page.is_open_to(who):
            entry = Entry(page.title, f"console.{name}.index", name == here)
            groups.setdefault(page.menu or "", []).append(entry)
    return tuple(Group(word, tuple(entries)) for word, entries in groups.items())


def _check_words() -> None:
    """No control characters in what is sent: PostgreSQL refuses NUL, and a list would break at the others. A page repeats its filter in the addresses that it builds: there a name of a path, or one of ``url_for``'s own
    words (``_scheme``), would be taken for something else."""
    sent = (*request.args.values(), *request.form.values(), *(request.view_args or {}).values())
    if any(CONTROL.search(str(value)) for value in sent):
        raise Invalid("core.bad_text")
    page = find().get((request.blueprint or "").partition(".")[2])
    arguments = page.arguments if page else frozenset()
    if any(name.startswith("_") or name in arguments for name in request.args):
        raise Missing("core.not_found")


def _values() -> dict[str, Any]:
    name = (request.blueprint or "").partition(".")[2]
    page = find().get(name)
    who: Person | None = g.get("person")
    frame = Frame(
        person=who,
        groups=groups_for(who, name) if who else (),
        title=page.title if page else "",
        home=url_for(f"console.{name}.index" if page and who and page.is_open_to(who) else "console.home"),
        idle_minutes=browsers.config().session_idle_minutes,
    )
    return {"frame": frame, "show": showing}
