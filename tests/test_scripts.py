"""The ways in: scripts that a bare machine can run, and lock files that name no registry."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPTS = sorted(
    path for path in (ROOT / "scripts").iterdir() if path.suffix in ("", ".sh") and path.is_file()
)


@pytest.fixture
def project_of_others() -> Iterator[Path]:
    """The scripts in a folder that everybody may read."""
    folder = Path(tempfile.mkdtemp(prefix="miniapp-scripts-", dir="/tmp"))
    shutil.copytree(ROOT / "scripts", folder / "scripts")
    (folder / "bin").mkdir()
    for program in ("sh", "id", "dirname", "dpkg-query"):
        (folder / "bin" / program).symlink_to(shutil.which(program) or program)
    subprocess.run(["chmod", "-R", "a+rX", str(folder)], check=True)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_posix_shell(script: Path) -> None:
    parsed = subprocess.run(["/bin/sh", "-n", str(script)], capture_output=True, text=True)

    assert parsed.returncode == 0, parsed.stderr
    assert not re.search(r"\[\[|\bfunction \w|<<<|\$'", script.read_text("utf-8")), "only bash knows this"


def test_each_target_of_make_is_a_script() -> None:
    called = set(re.findall(r"@sh scripts/(\S+)", (ROOT / "Makefile").read_text("utf-8")))

    assert called == {"demo", "run", "test", "check", "bench", "docs", "lock"}
    assert called <= {path.name for path in SCRIPTS}


@pytest.mark.parametrize("name", ["run", "dev"])
def test_a_lock_file_has_hashes_and_names_no_registry(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text("utf-8")
    entries = re.findall(r"(?m)^\S+==\S+( \\\n    --hash=sha256:[0-9a-f]{64})+", text)

    assert "://" not in text
    assert len(entries) == len(re.findall(r"(?m)^[a-z0-9]\S*==", text)) > 40


def test_somebody_without_rights_is_told_the_line_to_run(project_of_others: Path) -> None:
    asks = f'. "{project_of_others}/scripts/machine.sh"; packages dpkg miniapp-not-there; echo went on'
    command = ["sh", "-c", asks, str(project_of_others / "scripts" / "demo")]
    if os.geteuid() == 0:
        command = ["/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command]

    told = subprocess.run(
        command,
        env={"PATH": str(project_of_others / "bin")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )

    assert told.returncode == 1
    line = "sudo apt-get update && sudo apt-get install -y --no-install-recommends miniapp-not-there"
    assert told.stderr.splitlines()[-1].strip() == line
    assert "went on" not in told.stdout
