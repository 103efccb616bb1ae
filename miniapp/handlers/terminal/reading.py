"""From a body to a model: the foreign terminal first, then the fields, each fault by name."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from miniapp.core.errors import Forbidden, Invalid
from miniapp.core.text import say
from miniapp.handlers.terminal.bodies import Body
from miniapp.stores.service import TerminalView

Model = TypeVar("Model", bound=Body)
SHOWN_FAULTS = 5

_MESSAGES = {
    "missing": "terminal.field_missing",
    "extra_forbidden": "terminal.field_unknown",
}


class Unreadable(Invalid):
    """The body is not as the contract says; ``hint`` names each field at fault."""

    status = 400

    def __init__(self, hint: str) -> None:
        super().__init__("terminal.bad_request")
        self.hint = hint


def model(kind: type[Model], values: Mapping[str, Any]) -> Model:
    """A model of a body. Raises Unreadable."""
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        raise Unreadable(faults(error)) from None


def faults(error: ValidationError) -> str:
    """Each field at fault with what is wrong; never what was sent (a payment code may stand there)."""
    found = [
        say(
            _MESSAGES.get(fault["type"], "terminal.field_wrong"),
            field=".".join(str(part) for part in fault["loc"]) or "body",
        )
        for fault in error.errors(include_input=False, include_url=False, include_context=False)
    ]
    return "；".join(found[:SHOWN_FAULTS])


def own(terminal: TerminalView, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values without the names of terminal and store, which come from the key. Raises Forbidden for others'."""
    ours = {"terminal": terminal.code, "store": terminal.store_code}
    for name, code in ours.items():
        if name in values and values[name] != code:
            raise Forbidden("terminal.foreign_terminal")
    return {name: value for name, value in values.items() if name not in ours}
