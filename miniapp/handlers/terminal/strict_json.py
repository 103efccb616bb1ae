"""JSON as this door takes it: UTF-8, an object, each key once, no NaN, no floats where whole numbers belong, not deep."""

import json
from typing import Any

from miniapp.core.errors import Invalid

DEPTH = 8
ELEMENTS = 20_000


def parse(body: bytes) -> dict[str, Any]:
    """The object of a body. Raises Invalid."""
    try:
        value = json.loads(body.decode("utf-8"), object_pairs_hook=_once, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise Invalid("terminal.not_json") from error
    if not isinstance(value, dict):
        raise Invalid("terminal.not_json")
    if not _is_small(value):
        raise Invalid("terminal.too_deep")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is repeated")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _is_small(value: Any) -> bool:
    level, count = [value], 0
    for _ in range(DEPTH):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        count += len(level)
        if not level:
            return count <= ELEMENTS
    return False
