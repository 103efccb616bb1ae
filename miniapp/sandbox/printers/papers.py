"""What comes out of a printer: the documents as they arrived, the ledger's rows, and pictures of the pages."""

from __future__ import annotations

import hashlib
import json
import threading
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pypdfium2

from miniapp.sandbox.store import Row
from miniapp.sandbox.world import World, opened, stamp, unstamp

SECONDS_A_PAGE = 1.5
# Faults that stop the paper, as printers call them; set as lasting switches on `printer.<code>.paper`.
STOPPING = ("media-empty", "media-jam", "cover-open", "toner-empty")
_pdfium = threading.Lock()  # the library is not safe in several threads


def take(world: World, printer: str, name: str, document: bytes) -> int:
    """A document has arrived whole; returns the job's number."""
    digest = hashlib.sha256(document).hexdigest()
    folder = world.data / "prints"
    folder.mkdir(exist_ok=True)
    path = folder / f"{digest}.pdf"
    path.write_bytes(document)
    return world.store.insert(
        "prints",
        at=stamp(world.now()),
        printer=printer,
        state="processing",
        sha256=digest,
        size=len(document),
        path=str(path.name),
        detail=json.dumps({"name": name, "pages": page_count(document)}, ensure_ascii=False),
    )


def page_count(document: bytes) -> int:
    """How many sheets; 0 for what is no PDF."""
    with _pdfium:
        try:
            with pypdfium2.PdfDocument(document) as pdf:
                return len(pdf)
        except pypdfium2.PdfiumError:
            return 0


def obstacles(world: World, printer: str) -> list[str]:
    """What stops the paper now."""
    return [word for word in STOPPING if world.faults.on(f"printer.{printer}.paper", word)]


def jobs(world: World, printer: str) -> list[Row]:
    """All jobs, newest first, after time has done its work on them."""
    if not obstacles(world, printer):
        _move_on(world, printer)
    rows = world.store.rows("SELECT * FROM prints WHERE printer = ? ORDER BY id DESC", printer)
    return [opened(row) for row in rows]


def cancel(world: World, job: Row) -> bool:
    """Give a job up; false when it has ended."""
    with world.store.writing() as db:
        done = db.execute(
            "UPDATE prints SET state = 'canceled' WHERE id = ? AND state = 'processing'", (job["id"],)
        )
        return done.rowcount == 1


def document_of(world: World, job: Row) -> Path:
    """The bytes as they arrived."""
    return world.data / "prints" / str(job["path"])


def picture(world: World, job: Row, page: int) -> bytes | None:
    """A page as PNG, 1.5 pixels a point; None if there is no such page."""
    document = document_of(world, job)
    kept = document.with_name(f"{document.stem}-{page}.png")
    if kept.exists():
        return kept.read_bytes()
    drawn = _draw(document, page)
    if drawn is not None:
        kept.write_bytes(drawn)
    return drawn


def _draw(document: Path, page: int) -> bytes | None:
    with _pdfium:
        try:
            with pypdfium2.PdfDocument(document) as pdf:
                if not 0 <= page < len(pdf):
                    return None
                image: Any = pdf[page].render(scale=1.5).to_pil()
        except (pypdfium2.PdfiumError, FileNotFoundError):
            return None
    written = BytesIO()
    image.save(written, "PNG")
    return written.getvalue()


def _move_on(world: World, printer: str) -> None:
    now = world.now()
    rows = world.store.rows("SELECT * FROM prints WHERE printer = ? AND state = 'processing'", printer)
    for row in rows:
        pages = json.loads(row["detail"]).get("pages") or 1
        if now >= unstamp(row["at"]) + timedelta(seconds=SECONDS_A_PAGE * pages):
            world.store.update("prints", row["id"], state="completed")
