"""IPP 1.1 on the wire (RFC 8010), from the printer's side: requests read, answers written."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

OPERATION, JOB, END, PRINTER = 0x01, 0x02, 0x03, 0x04
INTEGER, BOOLEAN, ENUM, NO_VALUE = 0x21, 0x22, 0x23, 0x13
TEXT, NAME, KEYWORD, URI, CHARSET, LANGUAGE, MIME = 0x41, 0x42, 0x44, 0x45, 0x47, 0x48, 0x49

Value = int | bool | str | None
Attribute = tuple[int, str, list[Value]]  # tag, name, values
Group = tuple[int, list[Attribute]]


class Unreadable(Exception):
    """Not a whole IPP request."""


@dataclass(frozen=True)
class Request:
    """One request; `document` is what follows its attributes."""

    version: tuple[int, int]
    operation: int
    number: int
    attributes: dict[str, list[Value]] = field(default_factory=dict)
    document: bytes = b""

    def text(self, name: str) -> str:
        """The first value as text; empty without one."""
        value = (self.attributes.get(name) or [""])[0]
        return "" if value is None else str(value)


def read(body: bytes) -> Request:
    """A request. Raises Unreadable for anything cut or crooked."""
    try:
        major, minor, operation, number = struct.unpack_from(">BBHI", body)
        attributes: dict[str, list[Value]] = {}
        at, name = 8, ""
        while body[at] != END:
            tag = body[at]
            at += 1
            if tag <= 0x0F:
                continue
            label, at = _bytes(body, at)
            raw, at = _bytes(body, at)
            name = label.decode("ascii", "replace") or name
            attributes.setdefault(name, []).append(_value(tag, raw))
    except (struct.error, IndexError) as problem:
        raise Unreadable(str(problem)) from None
    return Request((major, minor), operation, number, attributes, body[at + 1 :])


def answer(request: Request, status: int, groups: list[Group] | None = None) -> bytes:
    """An answer in the request's version: charset and language first, as the standard demands."""
    head: Group = (
        OPERATION,
        [(CHARSET, "attributes-charset", ["utf-8"]), (LANGUAGE, "attributes-natural-language", ["zh-cn"])],
    )
    parts = [struct.pack(">BBHI", *request.version, status, request.number)]
    for tag, attributes in [head, *(groups or [])]:
        parts.append(bytes([tag]))
        parts += [_attribute(*attribute) for attribute in attributes]
    return b"".join([*parts, bytes([END])])


def _attribute(tag: int, name: str, values: list[Value]) -> bytes:
    parts = []
    for at, value in enumerate(values):
        label = name.encode() if at == 0 else b""
        raw = _raw(tag, value)
        used = NO_VALUE if value is None else tag
        parts.append(struct.pack(">BH", used, len(label)) + label + struct.pack(">H", len(raw)) + raw)
    return b"".join(parts)


def _raw(tag: int, value: Value) -> bytes:
    if value is None:
        return b""
    if tag == BOOLEAN:
        return b"\x01" if value else b"\x00"
    if tag in (INTEGER, ENUM):
        return struct.pack(">i", int(value))
    return str(value).encode()


def _value(tag: int, raw: bytes) -> Value:
    if tag < 0x20:
        return None
    if tag in (INTEGER, ENUM):
        return int.from_bytes(raw, "big", signed=True)
    if tag == BOOLEAN:
        return raw != b"\x00"
    return raw.decode("utf-8", "replace")


def _bytes(body: bytes, at: int) -> tuple[bytes, int]:
    (length,) = struct.unpack_from(">H", body, at)
    end = at + 2 + length
    if end > len(body):
        raise Unreadable("cut")
    return body[at + 2 : end], end
