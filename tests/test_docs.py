"""What the docs draw from the code is as new as the code."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_generated_pages_are_up_to_date() -> None:
    command = [sys.executable, "scripts/generated_docs.py", "--check"]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    assert checked.returncode == 0, checked.stdout + checked.stderr
