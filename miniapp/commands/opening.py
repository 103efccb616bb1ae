"""Opening an installation for a command: settings, database, rooms, stamp."""

from argparse import Namespace
from pathlib import Path

from sqlalchemy.engine import make_url

from miniapp import db, wiring
from miniapp.commands.refusing import Refusal
from miniapp.config import Config, SettingFault
from miniapp.core import stamp
from miniapp.core.errors import Refused
from miniapp.core.text import say
from miniapp.migrations import running as migrations


def load() -> Config:
    """The settings, or a refusal that names each faulty one."""
    try:
        config = Config.load()
        _ = config.master_secret
        return config
    except SettingFault as fault:
        raise Refusal(
            {"code": "SETTINGS", "message": say("commands.settings", detail=str(fault)), "hint": ""}
        ) from fault


def open_system() -> Config:
    """Open database and rooms for a command that works in the system; the structure must be current."""
    config = load()
    _make_folder(config)
    db.configure(config.database_url)
    _needs_current()
    wiring.connect(config)
    _check_stamp(config)
    return config


def upgrade(_arguments: Namespace) -> int:
    """Bring the database to this program's structure."""
    config = load()
    _make_folder(config)
    db.configure(config.database_url)
    migrations.upgrade(db.engine())
    print(say("commands.upgraded"))
    return 0


def _make_folder(config: Config) -> None:
    config.data_dir.mkdir(parents=True, exist_ok=True)
    url = make_url(config.database_url)
    if url.get_backend_name() == "sqlite" and url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)


def _needs_current() -> None:
    if not migrations.is_current(db.engine()):
        raise Refusal({"code": "NOT_UPGRADED", "message": say("commands.not_upgraded"), "hint": ""})


def _check_stamp(config: Config) -> None:
    try:
        stamp.check(config.env, config.instance)
    except Refused as refused:
        raise Refusal.of(refused) from refused
