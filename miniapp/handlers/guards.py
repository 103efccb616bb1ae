"""Who is it, may they: sessions of both sides, abilities, and the address of the visitor."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from flask import Response, g, redirect, request, url_for

from miniapp.core.errors import Forbidden, Unsigned
from miniapp.handlers import browsers
from miniapp.handlers.visitors import Visitor
from miniapp.stores.rules import Person, known_abilities

Handler = TypeVar("Handler", bound=Callable[..., Any])


def may(ability: str) -> Callable[[Handler], Handler]:
    """Only staff who have this ability somewhere; where exactly is checked by the verb. Others get 403, nobody the login."""
    if ability not in known_abilities():
        raise ValueError(f"no role has the ability {ability}")

    def decorate(handler: Handler) -> Handler:
        @wraps(handler)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            who = browsers.staff()
            if who is None:
                return to_login()
            if not who.may(ability):
                raise Forbidden("core.forbidden")
            g.person = who
            return handler(*args, **kwargs)

        guarded.ability = ability  # type: ignore[attr-defined]
        return guarded  # type: ignore[return-value]

    return decorate


def customer_only(handler: Handler) -> Handler:
    """Only a customer who came through the platform's login; others are sent there and come back."""

    @wraps(handler)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        visitor = browsers.customer()
        if visitor is None and request.method != "GET":
            raise Unsigned("h5.session_ended")  # a form may not be sent on to another host
        if visitor is None:
            return browsers.to_platform_login()
        if visitor.is_snapshot and request.method != "GET":
            raise Forbidden("h5.snapshot")
        g.visitor = visitor
        return handler(*args, **kwargs)

    guarded.ability = "customer"  # type: ignore[attr-defined]
    return guarded  # type: ignore[return-value]


def public(handler: Handler) -> Handler:
    """Open to anybody, on purpose: login pages, gateways with signatures of their own, health."""
    handler.ability = "public"  # type: ignore[attr-defined]
    return handler


def to_login() -> Response:
    """Staff log in first and come back to the page by its route name."""
    return redirect(url_for("console.login.form", next=request.endpoint or ""), 303)  # type: ignore[return-value]


def person() -> Person:
    """The staff member of this request."""
    who: Person = g.person
    return who


def visitor() -> Visitor:
    """The customer of this request."""
    who: Visitor = g.visitor
    return who


def address() -> str:
    """Where the visitor comes from, as the configured proxies say."""
    return request.remote_addr or ""
