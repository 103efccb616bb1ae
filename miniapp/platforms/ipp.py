"""IPP 1.1 over HTTP (RFC 8010, 8011), as much as a store's printer needs.

Own codec, because pyipp (0.17) goes round our way out: it follows redirects with the document, reads answers of any
size outside its time limit, loops on a negative length and fails on a state number that it does not know.
"""

import struct
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from miniapp.platforms.http import NoAnswer, Way

PRINT_JOB, VALIDATE_JOB, GET_JOB, GET_JOBS, GET_PRINTER = 0x0002, 0x0004, 0x0009, 0x000A, 0x000B
BUSY, NOT_ACCEPTING, FORMAT_NOT_SUPPORTED, NOT_FOUND = 0x0507, 0x0506, 0x040A, 0x0406

_OPERATION, _JOB, _END, _PRINTER, _UNSUPPORTED = 0x01, 0x02, 0x03, 0x04, 0x05
_INTEGER, _BOOLEAN, _ENUM, _NO_VALUE = 0x21, 0x22, 0x23, 0x13
_NAME, _KEYWORD, _URI, _CHARSET, _LANGUAGE, _MIME = 0x42, 0x44, 0x45, 0x47, 0x48, 0x49
_TAGS = {
    "printer-uri": _URI,
    "job-id": _INTEGER,
    "job-name": _NAME,
    "requesting-user-name": _NAME,
    "document-format": _MIME,
    "requested-attributes": _KEYWORD,
    "which-jobs": _KEYWORD,
    "limit": _INTEGER,
}

Value = int | bool | str | None
Attributes = dict[str, list[Value]]
Asked = dict[str, str | int | list[str]]


class HttpRefused(Exception):
    """The printer's web server turned the request down before any IPP."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


@dataclass(frozen=True)
class Answer:
    """A status code (below 0x100: well), the printer's attributes and one group for each job."""

    status: int
    printer: Attributes = field(default_factory=dict)
    jobs: tuple[Attributes, ...] = ()

    @property
    def went_well(self) -> bool:
        return 0 <= self.status < 0x100


def ask(
    uri: str, operation: int, asked: Asked, *, document: bytes = b"", read_seconds: float = 2.0
) -> Answer:
    """One operation at a printer (``ipp://`` or ``ipps://``). Raises NoAnswer and HttpRefused."""
    parts = urlsplit(uri)
    scheme = {"ipp": "http", "ipps": "https"}.get(parts.scheme)
    if scheme is None or not parts.hostname:
        raise NoAnswer("bad_address", sent=False)
    base = f"{scheme}://{parts.hostname}:{parts.port or 631}"
    body = encode(operation, {"printer-uri": uri, "requesting-user-name": "miniapp", **asked}) + document
    way = Way(base, read_seconds=read_seconds)
    reply = way.call(
        "POST", parts.path or "/ipp/print", body=body, headers={"Content-Type": "application/ipp"}
    )
    if reply.status != 200:
        if 400 <= reply.status < 500:
            raise HttpRefused(reply.status)
        raise NoAnswer(f"http_{reply.status}")
    try:
        return decode(reply.body)
    except (ValueError, struct.error):
        raise NoAnswer("unreadable") from None


def encode(operation: int, asked: Asked) -> bytes:
    """A request: charset and language first, as the standard demands, then the operation's attributes."""
    parts = [struct.pack(">BBHIB", 1, 1, operation, 1, _OPERATION)]
    parts.append(_attribute(_CHARSET, "attributes-charset", b"utf-8"))
    parts.append(_attribute(_LANGUAGE, "attributes-natural-language", b"zh-cn"))
    for name, values in asked.items():
        for at, value in enumerate(values if isinstance(values, list) else [values]):
            raw = struct.pack(">i", value) if isinstance(value, int) else value.encode()
            parts.append(_attribute(_TAGS[name], name if at == 0 else "", raw))
    return b"".join([*parts, bytes([_END])])


def decode(body: bytes) -> Answer:
    """An answer. Raises ValueError and struct.error for anything cut or crooked."""
    status = struct.unpack_from(">H", body, 2)[0]
    at = 8
    printer: Attributes = {}
    jobs: list[Attributes] = []
    group: Attributes = {}
    name = ""
    while True:
        tag = body[at] if at < len(body) else -1
        at += 1
        if tag == _END:
            return Answer(status, printer, tuple(jobs))
        if tag < 0:
            raise ValueError("cut")
        if tag <= 0x0F:
            group = {}
            name = ""
            if tag == _JOB:
                jobs.append(group)
            elif tag == _PRINTER:
                group = printer
            continue
        named, at = _text(body, at)
        raw, at = _bytes(body, at)
        name = named or name
        group.setdefault(name, []).append(_value(tag, raw))


def _attribute(tag: int, name: str, raw: bytes) -> bytes:
    if len(raw) > 1023:
        raise ValueError("an attribute is too long")
    return struct.pack(">BH", tag, len(name)) + name.encode("ascii") + struct.pack(">H", len(raw)) + raw


def _bytes(body: bytes, at: int) -> tuple[bytes, int]:
    length = struct.unpack_from(">H", body, at)[0]
    end = at + 2 + length
    if end > len(body):
        raise ValueError("cut")
    return body[at + 2 : end], end


def _text(body: bytes, at: int) -> tuple[str, int]:
    raw, at = _bytes(body, at)
    return raw.decode("ascii", "replace"), at


def _value(tag: int, raw: bytes) -> Value:
    """Numbers, truths and texts; out-of-band values (unknown, no value) are None."""
    if tag < 0x20:
        return None
    if tag in (_INTEGER, _ENUM):
        return int.from_bytes(raw, "big", signed=True)
    if tag == _BOOLEAN:
        return raw != b"\x00"
    return raw.decode("utf-8", "replace")
