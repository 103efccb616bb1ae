"""Run the chain: to the newest revision, or ask which revision the database has."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Bring the database to a revision. On SQLite the whole chain is one transaction."""
    with engine.begin() as connection:
        command.upgrade(_config(connection), revision)


def make(engine: Engine, message: str, revision: str) -> None:
    """Write a new revision from the difference between models and database (for developers)."""
    with engine.begin() as connection:
        command.revision(_config(connection), message, autogenerate=True, rev_id=revision)


def is_current(engine: Engine) -> bool:
    """Is the database at the newest revision of this program?"""
    with engine.connect() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    return found == ScriptDirectory(str(Path(__file__).parent)).get_current_head()


def _config(connection: object) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    return config
