"""What people read, by key. Catalogues are data: ``core/texts/<room>.toml``, one flat table a room.

A missing key is an error at the place that names it, never an empty line for the reader.
"""

import re
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent / "texts"


def say(key: str, /, **values: Any) -> str:
    """The sentence for a key, filled with values. Raises KeyError for an unknown key or a missing value."""
    return catalogue()[key].format(**values)


@lru_cache(maxsize=1)
def catalogue() -> dict[str, str]:
    """All sentences (zh-CN). Two rooms that use one key stop the start."""
    sentences: dict[str, str] = {}
    for file in sorted(_FOLDER.glob("*.toml")):
        for key, sentence in _flat(tomllib.loads(file.read_text("utf-8"))).items():
            if key in sentences:
                raise ValueError(f"{file.name}: key {key} is used twice")
            sentences[key] = sentence
    return sentences


def mask_name(name: str) -> str:
    """A person's or company's name with its middle hidden: 上海示例…公司 → 上海***公司."""
    if len(name) <= 2:
        return name[:1] + "*"
    if len(name) <= 4:
        return name[:1] + "*" * (len(name) - 2) + name[-1:]
    return f"{name[:2]}***{name[-2:]}"


def mask_number(number: str, *, head: int = 6, tail: int = 4) -> str:
    """A long number with its middle hidden: the first ``head`` and the last ``tail`` characters stay."""
    if len(number) <= head + tail:
        return number[:1] + "*" * max(0, len(number) - 1)
    return f"{number[:head]}{'*' * (len(number) - head - tail)}{number[-tail:]}"


def one_line(text: str, limit: int) -> str:
    """Free text for a chat message: one line, no angle brackets, cut by characters with an ellipsis."""
    clean = re.sub(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]+", " ", text)
    clean = clean.replace("<", "〈").replace(">", "〉").strip()
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def _flat(table: dict[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in table.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            flat.update(_flat(value, f"{name}."))
        else:
            flat[name] = value
    return flat
