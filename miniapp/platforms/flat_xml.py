"""Flat XML, as WeChat Pay v2 speaks it: one root, each field once, text only. Anything else is refused."""

from xml.parsers import expat
from xml.sax.saxutils import escape

FIELDS = 200


class BadXml(Exception):
    """Not the XML that we accept."""


def write(fields: dict[str, str]) -> bytes:
    """``<xml>`` with a child for each field, UTF-8."""
    inside = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in fields.items())
    return f"<xml>{inside}</xml>".encode()


def read(body: bytes) -> dict[str, str]:
    """The fields of a flat document. Raises BadXml."""
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = reader.refuse
    parser.EntityDeclHandler = reader.refuse
    parser.ProcessingInstructionHandler = reader.refuse
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise BadXml(str(error)) from None
    return reader.fields


class _Reader:
    def __init__(self) -> None:
        self.fields: dict[str, str] = {}
        self._path: list[str] = []
        self._text = ""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._path) >= 2 or len(self.fields) >= FIELDS:
            raise BadXml("too deep or too many")
        if len(self._path) == 1 and name in self.fields:
            raise BadXml("a field twice")
        self._path.append(name)
        self._text = ""

    def end(self, name: str) -> None:
        if len(self._path) == 2:
            self.fields[name] = self._text
        self._path.pop()

    def text(self, data: str) -> None:
        if len(self._path) == 2:
            self._text += data
        elif data.strip():
            raise BadXml("text outside a field")

    def refuse(self, *_: object) -> None:
        raise BadXml("document types, entities and instructions are not accepted")
