"""Bytes -> text: which encoding a file has, seen from its head, and a stream of whole lines."""

import codecs
from collections.abc import Iterator

from miniapp.reconcile.refusing import BillRefused

HEAD_BYTES = 64 * 1024
UTF8_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def head_texts(head: bytes) -> list[tuple[str, str]]:
    """(encoding, text) for each encoding in which the head of a file can be read, the likeliest first."""
    if head.startswith(UTF8_BOM):
        names = ["utf-8-sig"]
    elif head.startswith(_UTF16):
        return []
    else:
        names = ["utf-8", "gb18030"]
    found = []
    for name in names:
        try:
            found.append((name, codecs.getincrementaldecoder(name)().decode(head)))
        except UnicodeDecodeError:
            continue
    return found


def damaged_head_texts(head: bytes) -> list[tuple[int, str]]:
    """The head in every encoding with damage passed over, each with the line (from 1) of its first damage."""
    names = ["utf-16"] if head.startswith(_UTF16) else ["utf-8-sig", "gb18030"]
    return [
        (_first_bad_line(head, name), codecs.getincrementaldecoder(name)("replace").decode(head))
        for name in names
    ]


def line_blocks(chunks: Iterator[bytes], encoding: str) -> Iterator[str]:
    """Text in blocks of whole lines, line ends as they are. Raises BillRefused BAD_ENCODING with the line."""
    decoder = codecs.getincrementaldecoder(encoding)()
    rest, lines = "", 0
    for chunk in chunks:
        text = rest + _decoded(decoder, chunk, lines)
        cut = text.rfind("\n") + 1
        block, rest = text[:cut], text[cut:]
        if block:
            _no_nul(block, lines)
            lines += block.count("\n")
            yield block
    text = rest + _decoded(decoder, b"", lines, final=True)
    if text:
        _no_nul(text, lines)
        yield text


def bad_encoding(line: int) -> BillRefused:
    """The refusal of bytes that are no text."""
    return BillRefused("BAD_ENCODING", "bad_encoding", line=line, hint="save_as_is")


def _decoded(decoder: codecs.IncrementalDecoder, chunk: bytes, lines: int, *, final: bool = False) -> str:
    try:
        return decoder.decode(chunk, final)
    except UnicodeDecodeError as fault:
        before = fault.object[: fault.start]
        raise bad_encoding(lines + 1 + before.count(b"\n")) from fault


def _no_nul(block: str, lines: int) -> None:
    if "\x00" in block:
        raise bad_encoding(lines + 1 + block.count("\n", 0, block.index("\x00")))


def _first_bad_line(head: bytes, encoding: str) -> int:
    try:
        codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError as fault:
        return head.count(b"\n", 0, fault.start) + 1
    return 1
