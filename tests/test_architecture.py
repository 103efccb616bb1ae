"""The program keeps the house rules and the import contract; each rule is also shown a tree that breaks it."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.house_rules import (
    LONG,
    MAX_FUNCTION,
    MAX_MODULE,
    RULES,
    any_does_not_cross_a_door,
    names_say_something,
    nobody_is_called_in_a_transaction,
    nothing_is_too_long,
    packages_are_empty,
    relationships_go_down,
    steps_never_commit,
    templates_are_used_and_there,
    there_is_one_clock,
    verbs_call_no_verb,
    words_are_said_and_there,
)
from tests.source import Project

ROOT = Path(__file__).parent.parent
OURS = Project(ROOT)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_program_keeps_the_rule(rule: Callable[[Project], Iterator[str]]) -> None:
    breaches = list(rule(OURS))
    assert not breaches, "\n".join(breaches)


# For each rule: files that break it, and a word of the answer. Every line is one way to break it.
BREACHES = [
    (steps_never_commit, {"miniapp/titles/service.py": "def put(session, name):\n    session.commit()\n"}),
    (
        steps_never_commit,
        {
            "miniapp/titles/steps.py": "from miniapp.db import transaction\ndef put(session):\n    with transaction() as s:\n        s.add(1)\n"
        },
    ),
    (
        verbs_call_no_verb,
        {
            "miniapp/titles/service.py": "from miniapp import db\ndef add():\n    with db.transaction() as s:\n        s.add(1)\n",
            "miniapp/invoices/asking.py": (
                "from miniapp.db import transaction\nfrom miniapp.titles import service\n"
                "def ask():\n    with transaction() as session:\n        service.add()\n"
            ),
        },
    ),
    (
        nobody_is_called_in_a_transaction,
        {
            "miniapp/invoices/issuing.py": (
                "from miniapp.db import transaction\nfrom miniapp.invoices import channels\n"
                "def issue(order):\n    channel = channels.of(order.kind)\n    with transaction() as session:\n        channel.issue(order)\n"
            )
        },
    ),
    (
        nobody_is_called_in_a_transaction,
        {
            "miniapp/payments/gateways/wechat_pay.py": "from miniapp.platforms import wechat_pay\ndef charge(order):\n    return wechat_pay.micropay(order)\n",
            "miniapp/payments/charging.py": "from miniapp.payments.gateways import wechat_pay\ndef _go(order):\n    return wechat_pay.charge(order)\ndef step(session, order):\n    return _go(order)\n",
        },
    ),
    (
        nobody_is_called_in_a_transaction,
        {
            "miniapp/chat/notices.py": "import requests\nfrom miniapp import db\ndef tell():\n    with db.transaction():\n        requests.get('x')\n"
        },
    ),
    (
        relationships_go_down,
        {
            "miniapp/payments/models.py": "from sqlalchemy.orm import Mapped, relationship\nclass Charge:\n    store: Mapped['Store'] = relationship()\n"
        },
    ),
    (
        relationships_go_down,
        {
            "miniapp/payments/models.py": (
                "from sqlalchemy.orm import Mapped, relationship\nfrom miniapp.stores.models import Store\n"
                "class Charge:\n    store: Mapped[Store] = relationship(back_populates='charges')\n"
            )
        },
    ),
    (packages_are_empty, {"miniapp/titles/__init__.py": "from miniapp.titles.service import add\n"}),
    (nothing_is_too_long, {"miniapp/titles/service.py": "x = 1\n" * 401}),
    (nothing_is_too_long, {"miniapp/titles/service.py": "def f():\n" + "    x = 1\n" * 60}),
    (templates_are_used_and_there, {"templates/h5/lonely.html": "<p>"}),
    (
        templates_are_used_and_there,
        {"miniapp/handlers/h5/__init__.py": "def page():\n    return render_template('h5/gone.html')\n"},
    ),
    (
        templates_are_used_and_there,
        {"templates/_base.html": "{% include 'h5/gone.html' %}{% include '_base.html' %}"},
    ),
    (
        words_are_said_and_there,
        {
            "miniapp/titles/service.py": "from miniapp.core.errors import Refused\ndef add():\n    raise Refused('titles.gone')\n"
        },
    ),
    (words_are_said_and_there, {"miniapp/core/texts/titles.toml": '"titles.lonely" = "没有人说"\n'}),
    (
        words_are_said_and_there,
        {"templates/_base.html": "{% include '_base.html' %}{{ say('titles.gone') }}"},
    ),
    (
        there_is_one_clock,
        {
            "miniapp/titles/service.py": "from datetime import datetime\ndef add():\n    return datetime.now()\n"
        },
    ),
    (
        any_does_not_cross_a_door,
        {"miniapp/titles/service.py": "from typing import Any\ndef add(title: Any) -> None: ...\n"},
    ),
    (names_say_something, {"miniapp/titles/utils.py": ""}),
]


@pytest.mark.parametrize(
    ("rule", "files"), BREACHES, ids=[f"{rule.__name__}-{n}" for n, (rule, _) in enumerate(BREACHES)]
)
def test_the_rule_notices_a_breach(
    rule: Callable[[Project], Iterator[str]], files: dict[str, str], tmp_path: Path
) -> None:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")

    assert list(rule(Project(tmp_path))), "the rule let it pass"


def test_every_exception_for_length_is_needed() -> None:
    for name in LONG:
        path, _, function = name.partition(":")
        module = next(m for m in OURS.read(path.partition("/")[0]) if m.path == ROOT / path)
        node = module.functions[function] if function else None
        length = (node.end_lineno or 0) - node.lineno + 1 if node else module.text.count("\n")
        assert length > (MAX_FUNCTION if function else MAX_MODULE), f"{name} may be taken out of LONG"


def test_the_import_contract_is_kept() -> None:
    kept = _lint_imports(ROOT)
    assert kept.returncode == 0, kept.stdout + kept.stderr


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("miniapp/titles/service.py", "from miniapp.invoices import models"),
        ("miniapp/payments/charging.py", "from miniapp.platforms import wechat_pay"),
        ("miniapp/sandbox/run.py", "from miniapp.core import money"),
        ("miniapp/core/money.py", "import sqlalchemy"),
        ("miniapp/titles/service.py", "import flask"),
        ("miniapp/odds/service.py", "import miniapp.core.money"),
    ],
    ids=[
        "upwards",
        "past the port",
        "sandbox knows us",
        "impure rule",
        "web in a room",
        "a room that nobody knows",
    ],
)
def test_the_import_contract_notices_a_breach(file: str, line: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "miniapp", tmp_path / "miniapp", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    (path.parent / "__init__.py").touch()
    path.write_text(f"{line}\n{path.read_text('utf-8') if path.exists() else ''}", "utf-8")

    broken = _lint_imports(tmp_path)

    assert broken.returncode != 0 and ("BROKEN" in broken.stdout or "odds" in broken.stdout), broken.stdout


def _lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-logo", "--no-cache"]
    return subprocess.run(command, cwd=root, env={"PYTHONPATH": str(root)}, capture_output=True, text=True)
