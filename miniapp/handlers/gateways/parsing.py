"""A strict reader for the platforms' small XML: no DOCTYPE, one root, each field once, text only, all of it bounded."""

from typing import Any
from xml.parsers import expat

DEEPEST = 8
MOST_ELEMENTS = 200
LONGEST_TEXT = 20_000
LONGEST_NAME = 64


class BadXml(ValueError):
    """Not a message: anything that we do not expect is refused as a whole."""


class _Reader:
    def __init__(self) -> None:
        self.root: dict[str, Any] | None = None
        self.count = 0
        self.stack: list[tuple[str, dict[str, Any], list[str]]] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.count += 1
        if attributes or self.count > MOST_ELEMENTS or len(self.stack) >= DEEPEST or len(name) > LONGEST_NAME:
            raise BadXml("shape")
        self.stack.append((name, {}, []))

    def end(self, name: str) -> None:
        _, children, texts = self.stack.pop()
        text = "".join(texts)
        if children and text.strip():
            raise BadXml("mixed content")
        value: Any = children or text
        if not self.stack:
            self.root = {name: value}
            return
        siblings = self.stack[-1][1]
        if name in siblings:
            known = siblings[name]
            siblings[name] = [*known, value] if isinstance(known, list) else [known, value]
        else:
            siblings[name] = value

    def text(self, data: str) -> None:
        if not self.stack:
            return
        texts = self.stack[-1][2]
        texts.append(data)
        if sum(map(len, texts)) > LONGEST_TEXT:
            raise BadXml("too long")

    def refuse(self, *_: Any) -> None:
        raise BadXml("declarations and references are refused")


def read(body: bytes | str) -> dict[str, Any]:
    """The children of the one root element; repeated elements are lists, nested ones dicts. Raises BadXml."""
    reader = _Reader()
    parser = expat.ParserCreate("utf-8" if isinstance(body, bytes) else None)
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = reader.refuse
    parser.ProcessingInstructionHandler = reader.refuse
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, UnicodeError, ValueError) as error:
        raise BadXml(str(error)) from error
    children = next(iter((reader.root or {}).values()), None)
    if not isinstance(children, dict):
        raise BadXml("no fields")
    return children


def field(message: dict[str, Any], name: str, *, longest: int = 2048, default: str | None = None) -> str:
    """One text field, given once. Raises BadXml for a missing, repeated, nested or overlong one."""
    value = message.get(name, default)
    if not isinstance(value, str) or len(value) > longest or "\x00" in value:
        raise BadXml(name)
    return value
