"""A file that only this process sees, kept in memory where the system can, for DuckDB to read by its path."""

import os
import tempfile
from pathlib import Path
from typing import BinaryIO


class MemoryFile:
    """Write bytes, then give ``path`` to a reader of this process. Gone when closed."""

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        if hasattr(os, "memfd_create"):
            self.file: BinaryIO = os.fdopen(os.memfd_create("bill"), "w+b")
            self.path = Path(f"/proc/self/fd/{self.file.fileno()}")
        else:
            self._folder = tempfile.TemporaryDirectory(prefix="bill-")
            self.path = Path(self._folder.name) / "rows"
            self.file = self.path.open("w+b")

    def write(self, data: bytes) -> None:
        """Append bytes."""
        self.file.write(data)

    def flush(self) -> None:
        """Make what was written visible to a reader by path."""
        self.file.flush()

    def close(self) -> None:
        """Give the memory back; safe to repeat."""
        self.file.close()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
