"""Settings, database, ``setup`` and the few things that people would have done by hand before the first customer."""

import hashlib
import io
import os
import secrets
from argparse import Namespace
from contextlib import redirect_stdout

from sqlalchemy import select

from miniapp import db
from miniapp.commands import demo_cast as cast
from miniapp.commands import opening, organising
from miniapp.commands.demo_cast import Addresses
from miniapp.commands.demo_document import PASSWORD, document
from miniapp.commands.demo_folder import DemoFolder
from miniapp.config import PREFIX
from miniapp.core.errors import Again
from miniapp.outbox import service as outbox
from miniapp.stores import service as stores
from miniapp.stores.models import Staff

STORE = "nanjing"
ACCOUNTS = ("main", "life")
PASSWORD_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # noqa: S105  no look-alikes


def settings_and_database(folder: DemoFolder, at: Addresses) -> dict[str, str]:
    """Settings into the environment, where the children find them; database and rows where they are missing or old.

    Answers the new passwords by staff code; empty when the staff were here before.
    """
    _settings(folder, at)
    with redirect_stdout(io.StringIO()):
        opening.upgrade(Namespace())
    passwords = {one.code: _password() for one in cast.STAFF} if folder.is_new else {}
    text = document(folder, at, with_passwords=bool(passwords))
    digest = hashlib.sha256(document(folder, at, with_passwords=False).encode()).hexdigest()
    if folder.is_new or folder.remembered("document") != digest:
        _set_up(folder, text, passwords)
        _put_menus(digest)
        folder.remember(document=digest)
    if folder.is_new:
        _bind_and_go_on_duty()
    db.engine().dispose()
    return passwords


def _settings(folder: DemoFolder, at: Addresses) -> None:
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[name]
    hosts = ("shop.localhost", ".shop.localhost", "console.localhost", "127.0.0.1", "localhost")
    values = {
        "ENV": "demo",
        "INSTANCE": "demo",
        "DATABASE_URL": f"sqlite:///{folder.path / 'miniapp.db'}",
        "DATA_DIR": str(folder.path / "data"),
        "PUBLIC_BASE": at.shop,
        "CONSOLE_BASE": at.console,
        "TRUSTED_HOSTS": ",".join(hosts),
        "MASTER_KEY_FILE": str(folder.path / "master.key"),
        "CLOCK_FILE": str(folder.clock),
        "PORT": str(at.port),
        "BIND": "127.0.0.1",
    }
    os.environ.update({f"{PREFIX}{name}": value for name, value in values.items()})


def _set_up(folder: DemoFolder, text: str, passwords: dict[str, str]) -> None:
    file = folder.write("setup.toml", text)
    names = {PASSWORD.format(code.upper()): password for code, password in passwords.items()}
    os.environ.update(names)
    try:
        with redirect_stdout(io.StringIO()):
            organising.setup(Namespace(file=file, json=False))
    finally:
        for name in names:
            del os.environ[name]


def _put_menus(digest: str) -> None:
    with db.transaction() as session:
        for account in ACCOUNTS:
            outbox.put(session, "chat.put_menu", key=f"{account}:{digest[:16]}", account=account)


def _bind_and_go_on_duty() -> None:
    """收银员甲 is bound, so that the story can begin; 收银员乙 is left for the visitor to bind."""
    with db.reading() as session:
        ids = {row.code: row.id for row in session.scalars(select(Staff))}
    administrator = stores.person(ids["administrator"])
    if administrator is not None:
        code = stores.binding_code(ids["cashier_a"], by=administrator)
        stores.bind(code, app_id=cast.WECHAT_APP, open_id=cast.OPEN_IDS["cashier_a"])
    for person in ("cashier_a", "cashier_b"):
        try:
            stores.go_on_duty(ids[person], STORE)
        except Again:  # an interrupted first start has done it
            continue


def _password() -> str:
    groups = ("".join(secrets.choice(PASSWORD_LETTERS) for _ in range(4)) for _ in range(3))
    return "-".join(groups)
