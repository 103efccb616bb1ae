"""A file as it came -> the texts or sheets inside it. Nothing is extracted to disk; all sizes are running counts."""

import gzip
import io
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from miniapp.reconcile.limits import Limits
from miniapp.reconcile.refusing import BillRefused

CHUNK = 4 * 1024 * 1024
_OLD_EXCEL = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


@dataclass(frozen=True)
class Member:
    """One text inside a file. ``chunks()`` reads it from its start, within the limits, as often as it is called."""

    name: str | None
    chunks: Callable[[], Iterator[bytes]]


@dataclass(frozen=True)
class Opened:
    """What kind of wrapping a file has. ``compression``: None, gzip, zip or sheet (XLSX, one text a sheet)."""

    path: Path
    compression: str | None
    members: list[Member]


def open_file(path: Path, limits: Limits) -> Opened:
    """Look into a file. Raises BillRefused BAD_ARCHIVE or TOO_LARGE."""
    size = path.stat().st_size
    if size > limits.file_bytes:
        raise too_large(limits.file_bytes)
    with path.open("rb") as file:
        magic = file.read(8)
    if magic[:2] == b"\x1f\x8b":
        return Opened(path, "gzip", [Member(None, lambda: _gunzip(path, limits))])
    if magic[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return _open_zip(path, limits)
    if magic == _OLD_EXCEL:
        return Opened(path, "sheet", [])
    return Opened(path, None, [Member(None, lambda: _plain(path))])


def too_large(limit: int) -> BillRefused:
    """The refusal of a file that is, or unpacks to, more than a limit in bytes."""
    return BillRefused("TOO_LARGE", "too_large", hint="too_large", mib=limit // (1024 * 1024))


def _open_zip(path: Path, limits: Limits) -> Opened:
    with _damage_refused():
        names = _entries(path, limits)
        is_sheet = "xl/workbook.xml" in names or "[Content_Types].xml" in names
        if is_sheet:
            for name in names:  # a bomb is found before the sheet reader sees it
                for _ in _unzip(path, name, limits):
                    pass
            return Opened(path, "sheet", [])
    return Opened(path, "zip", [_zip_member(path, name, limits) for name in names])


def _zip_member(path: Path, name: str, limits: Limits) -> Member:
    return Member(name, lambda: _unzip(path, name, limits))


def _entries(path: Path, limits: Limits) -> list[str]:
    with zipfile.ZipFile(path, metadata_encoding="gbk") as archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        if len(entries) > limits.members:
            raise BillRefused("TOO_LARGE", "too_many_members", hint="too_large", members=limits.members)
        if sum(entry.file_size for entry in entries) > limits.unpacked_bytes:
            raise too_large(limits.unpacked_bytes)
        if any(entry.flag_bits & 1 for entry in entries):
            raise BillRefused("BAD_ARCHIVE", "encrypted", hint="unpack_first")
        return [entry.filename for entry in entries]


def _plain(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _gunzip(path: Path, limits: Limits) -> Iterator[bytes]:
    packed = path.stat().st_size
    with _damage_refused(), gzip.open(path, "rb") as stream:
        try:
            yield from _capped(stream, packed, limits)
        except EOFError as fault:
            raise BillRefused("TRUNCATED", "archive_stops") from fault


def _unzip(path: Path, name: str, limits: Limits) -> Iterator[bytes]:
    with (
        _damage_refused(),
        zipfile.ZipFile(path, metadata_encoding="gbk") as archive,
        archive.open(name) as stream,
    ):
        yield from _capped(stream, max(1, archive.getinfo(name).compress_size), limits)


def _capped(stream: IO[bytes] | io.BufferedIOBase, packed: int, limits: Limits) -> Iterator[bytes]:
    total = 0
    while chunk := stream.read(1024 * 1024):
        total += len(chunk)
        if total > limits.unpacked_bytes:
            raise too_large(limits.unpacked_bytes)
        if total > limits.ratio_from_bytes and total > packed * limits.ratio:
            raise BillRefused("TOO_LARGE", "ratio", hint="too_large", ratio=limits.ratio)
        yield chunk


@contextmanager
def _damage_refused() -> Iterator[None]:
    # What the two readers raise on damaged bytes; RuntimeError includes NotImplementedError (odd methods).
    damage = (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, LookupError, RuntimeError)
    try:
        yield
    except damage as fault:
        raise BillRefused("BAD_ARCHIVE", "bad_archive") from fault
