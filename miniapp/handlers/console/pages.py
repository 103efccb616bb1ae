"""What a page of the console is: a title, a place in the menu, and its routes."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, TypeVar

from flask import Blueprint

from miniapp.core.errors import Forbidden
from miniapp.handlers.guards import may, person
from miniapp.stores.rules import Person, widest

Handler = TypeVar("Handler", bound=Callable[..., Any])


@dataclass
class Page:
    """One page. ``menu`` is its group: a word, "" for a line of its own, None for no line; ``order`` sorts both."""

    title: str
    menu: str | None = None
    order: int = 0
    is_central: bool = False
    routes: list[tuple[str, str, Callable[..., Any]]] = field(default_factory=list)

    def get(self, rule: str) -> Callable[[Handler], Handler]:
        """Show something; changes nothing."""
        return self._route(rule, "GET")

    def post(self, rule: str) -> Callable[[Handler], Handler]:
        """Change something, then redirect with 303."""
        return self._route(rule, "POST")

    def blueprint(self, name: str) -> Blueprint:
        """Its routes under ``/<name>``."""
        made = Blueprint(name, __name__, url_prefix=f"/{name}")
        for rule, method, handler in self.routes:
            made.add_url_rule(rule, handler.__name__, handler, methods=[method])
        return made

    @property
    def arguments(self) -> frozenset[str]:
        """Names that stand in the paths of its routes."""
        return frozenset(re.findall(r"<(?:\w+:)?(\w+)>", " ".join(rule for rule, _, _ in self.routes)))

    def is_open_to(self, who: Person) -> bool:
        """Does the menu show it to this person?"""
        ability = next((h.ability for _, _, h in self.routes if h.__name__ == "index"), None)  # type: ignore[attr-defined]
        if self.menu is None or ability is None:
            return False
        scopes = who.scopes(ability)
        return widest(scopes) if self.is_central else bool(scopes)

    def _route(self, rule: str, method: str) -> Callable[[Handler], Handler]:
        def add(handler: Handler) -> Handler:
            if not hasattr(handler, "ability"):
                raise LookupError(f"{handler.__module__}.{handler.__name__} does not say who may")
            self.routes.append((rule, method, handler))
            return handler

        return add


def may_everywhere(ability: str) -> Callable[[Handler], Handler]:
    """Like ``may``, for what belongs to the whole retailer: the role must hold everywhere."""

    def decorate(handler: Handler) -> Handler:
        @wraps(handler)
        def checked(*args: Any, **kwargs: Any) -> Any:
            if not widest(person().scopes(ability)):
                raise Forbidden("console.central")
            return handler(*args, **kwargs)

        return may(ability)(checked)  # type: ignore[return-value]

    return decorate
