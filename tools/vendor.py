"""Bring browser files of other projects into ``static/vendor``: ``python tools/vendor.py``; ``--check`` only compares.

``tools/vendor.lock`` says what: package, version, file in the package, licence file, SHA-384. Files are committed, so
neither running nor testing needs npm.
"""

import base64
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
LOCK = ROOT / "tools" / "vendor.lock"
TARGET = ROOT / "static" / "vendor"


def main(arguments: list[str]) -> int:
    """Fetch what the lock names, or compare what is there with it; answers the exit status."""
    wanted = tomllib.loads(LOCK.read_text("utf-8"))["file"]
    if "--check" not in arguments:
        for entry in wanted:
            fetch(entry)
    faults = [fault for entry in wanted if (fault := differs(entry))]
    print("\n".join(faults) or f"{len(wanted)} files are as locked")
    return 1 if faults else 0


def fetch(entry: dict[str, Any]) -> None:
    """One file and its licence out of the package's archive."""
    with tempfile.TemporaryDirectory() as folder:
        npm = shutil.which("npm") or "npm"
        subprocess.run(  # noqa: S603
            [npm, "pack", f"{entry['package']}@{entry['version']}", "--silent"], cwd=folder, check=True
        )
        place = path_of(entry).parent
        place.mkdir(parents=True, exist_ok=True)
        with tarfile.open(next(Path(folder).glob("*.tgz"))) as archive:
            for name, target in ((entry["file"], path_of(entry)), (entry["licence"], place / "LICENSE")):
                member = archive.extractfile(f"package/{name}")
                if member is None:
                    raise FileNotFoundError(name)
                target.write_bytes(member.read())


def differs(entry: dict[str, Any]) -> str:
    """What is wrong with a committed file, or nothing."""
    path = path_of(entry)
    if not path.exists():
        return f"{path.name}: missing"
    digest = hashlib.sha384(path.read_bytes()).digest()
    found = f"sha384-{base64.b64encode(digest).decode('ascii')}"
    return "" if found == entry["integrity"] else f"{path.name}: is {found}"


def path_of(entry: dict[str, Any]) -> Path:
    """Where a file lies."""
    return TARGET / f"{entry['package']}-{entry['version']}" / Path(entry["file"]).name


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
