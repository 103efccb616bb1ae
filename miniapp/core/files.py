"""Stored bytes, named by their SHA-256: written once, never changed, found again for ever.

A file is written and synced before the row that names it, so a row never names bytes that are not there; bytes
without a row (a crash between the two) are harmless and found again by the same hash.
"""

import hashlib
import os
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from miniapp.core.clock import now
from miniapp.core.models import FileLink, StoredFile

_folder: Path | None = None


def use_folder(folder: Path) -> None:
    """Where this process keeps bytes; made if absent, private to the account that runs the program."""
    global _folder
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _folder = folder


def write(content: bytes) -> str:
    """Put bytes on disk and answer their SHA-256. No database; safe to repeat."""
    digest = hashlib.sha256(content).hexdigest()
    path = path_of(digest)
    if path.exists():
        return digest
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(f"{path.name}.{os.getpid()}.{os.urandom(4).hex()}.part")
    with part.open("xb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    part.chmod(0o400)
    part.replace(path)
    return digest


def keep(
    session: Session, digest: str, *, media_type: str, subject: str, subject_id: int, role: str
) -> StoredFile:
    """Name written bytes as the evidence or document of something. The same link twice is one link."""
    file = session.scalar(select(StoredFile).where(StoredFile.sha256 == digest))
    if file is None:
        size = path_of(digest).stat().st_size
        file = StoredFile(sha256=digest, size=size, media_type=media_type, stored_at=now())
        session.add(file)
        session.flush()
    known = session.scalar(
        select(FileLink.id).where(
            FileLink.file_id == file.id,
            FileLink.subject == subject,
            FileLink.subject_id == subject_id,
            FileLink.role == role,
        )
    )
    if known is None:
        session.add(FileLink(file_id=file.id, subject=subject, subject_id=subject_id, role=role, at=now()))
    return file


def linked(session: Session, subject: str, subject_id: int) -> dict[str, StoredFile]:
    """The files of a subject by role; the newest where a role has several."""
    rows = session.execute(
        select(FileLink.role, StoredFile)
        .join(StoredFile, StoredFile.id == FileLink.file_id)
        .where(FileLink.subject == subject, FileLink.subject_id == subject_id)
        .order_by(FileLink.id)
    )
    return dict(rows.all())


def read(digest: str) -> bytes:
    """The bytes of a hash, checked against it. Raises ValueError if the disk has changed them."""
    content = path_of(digest).read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError(f"stored file {digest} is damaged")
    return content


def path_of(digest: str) -> Path:
    """Where the bytes of a hash lie."""
    if _folder is None:
        raise RuntimeError("files.use_folder() has not been called")
    return _folder / digest[:2] / digest[2:4] / digest
