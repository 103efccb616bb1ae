"""Bill layouts as data: one TOML file each, found by its folder. Nothing else in the program names a layout.

A layout says how a file is recognised (by its columns), which column gives which value, by which named transform
(``transforms.py``), and what its trailer adds up. An administrator may add a folder of further layouts.
"""

import tomllib
import unicodedata
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
FORMS = ("backtick", "notes", "table", "fixed")
KINDS = ("sale", "refund", "revocation", "income", "expense")


@dataclass(frozen=True)
class Cell:
    """Where one normalised value comes from. ``sources``: kind -> columns, added up; ``-name`` is subtracted."""

    transform: str
    sources: dict[str, tuple[str, ...]]
    needed_by: tuple[str, ...] = ()
    absolute: bool = False
    joined: bool = False  # the columns are one text with a blank between, not a sum

    def columns(self) -> list[str]:
        """Every column it reads, each once, in order."""
        return list(dict.fromkeys(name.lstrip("-") for names in self.sources.values() for name in names))


@dataclass(frozen=True)
class Total:
    """One figure of the trailer: a count, or the sum of a column, over all rows or those of some kinds."""

    name: str
    column: str | None
    transform: str
    of: tuple[str, ...] = ()
    note: str | None = None
    pattern: str | None = None


@dataclass(frozen=True)
class Layout:
    """One form of bill. ``form``: backtick (WeChat), notes (# lines around a table), table, fixed (bytes)."""

    name: str
    title: str
    platform: str
    bill: str
    form: str
    recognise: frozenset[str]
    without: frozenset[str]
    kind_column: str | None
    kind_words: dict[str, str]
    kind_amounts: dict[str, str]
    kind_transform: str
    cells: dict[str, Cell]
    checks: dict[str, str]
    trailer_starts: str | None
    totals: tuple[Total, ...]
    aliases: dict[str, str]
    empty_refund_no_revokes: bool = False
    fixed: dict[str, Any] = field(default_factory=dict)

    def fits(self, header: list[str]) -> bool:
        """Whether these normalised column names are this layout's."""
        names = set(header)
        return self.form != "fixed" and self.recognise <= names and not (self.without & names)


def column_name(text: str) -> str:
    """A header cell as layouts write it: half-width brackets and signs, no blanks, quotes or backticks."""
    half = unicodedata.normalize("NFKC", text)
    return "".join(each for each in half if not each.isspace() and each not in "\ufeff`\"'")


@lru_cache(maxsize=8)
def every_layout(*more: Path) -> tuple[Layout, ...]:
    """All layouts of our folder and of ``more`` folders, most demanding first. Raises ValueError naming the file."""
    files = [file for folder in (FOLDER, *more) for file in sorted(folder.glob("*.toml"))]
    found = [_read(file) for file in files]
    if len({each.name for each in found}) != len(found):
        raise ValueError("two layouts have one name")
    return tuple(sorted(found, key=lambda each: -len(each.recognise)))


def layout(name: str) -> Layout:
    """One layout of our folder by its name. Raises LookupError."""
    for each in every_layout():
        if each.name == name:
            return each
    raise LookupError(name)


def _read(file: Path) -> Layout:
    try:
        return _layout(tomllib.loads(file.read_text("utf-8")))
    except (KeyError, TypeError, ValueError) as fault:
        raise ValueError(f"{file.name}: {fault!r}") from fault


def _layout(data: dict[str, Any]) -> Layout:
    if data["form"] not in FORMS:
        raise ValueError(f"form {data['form']}")
    kind, trailer = data["kind"], data.get("trailer", {})
    fixed_names = ("fields", "ends", "begins", "name_has_date", "original")
    return Layout(
        name=data["name"],
        title=data["title"],
        platform=data["platform"],
        bill=data["bill"],
        form=data["form"],
        recognise=frozenset(data.get("recognise", ())),
        without=frozenset(data.get("without", ())),
        kind_column=kind.get("column"),
        kind_words=kind.get("words", {}),
        kind_amounts={name: kind[name] for name in ("income", "expense") if name in kind},
        kind_transform=kind.get("as", "text"),
        cells={name: _cell(value) for name, value in data["columns"].items()},
        checks=data.get("checks", {}),
        trailer_starts=trailer.get("starts"),
        totals=tuple(_total(each) for each in trailer.get("totals", ())),
        aliases=data.get("aliases", {}),
        empty_refund_no_revokes=data.get("empty_refund_no_revokes", False),
        fixed={name: data[name] for name in fixed_names if name in data},
    )


def _cell(data: dict[str, Any]) -> Cell:
    sources = {kind: tuple(data[kind]) for kind in ("all", *KINDS) if kind in data}
    if not sources:
        raise ValueError(f"no source in {data}")
    return Cell(
        transform=data.get("as", "text"),
        sources=sources,
        needed_by=tuple(data.get("needed_by", ())),
        absolute=data.get("absolute", False),
        joined=data.get("joined", False),
    )


def _total(data: dict[str, Any]) -> Total:
    return Total(
        name=data["name"],
        column=data.get("sum"),
        transform=data.get("as", "count"),
        of=tuple(data.get("of", ())),
        note=data.get("note"),
        pattern=data.get("pattern"),
    )
