"""The chain of migrations makes exactly the tables that the models describe, on both engines."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, text

from miniapp import db
from miniapp.migrations import running
from tests.databases import KINDS, empty_database

CHAIN = ScriptDirectory(str(Path(running.__file__).parent))


@pytest.fixture(params=KINDS)
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database without a table, opened by the program."""
    with empty_database(request.param, tmp_path) as made:
        db.configure(made.url)
        yield db.engine()
        db.engine().dispose()


@pytest.fixture
def described(empty: Engine, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """What a database looks like that is made from the models alone, on the same engine."""
    (tmp_path / "models").mkdir()
    with empty_database(empty.dialect.name, tmp_path / "models") as other:
        db.configure(other.url)
        db.Base.metadata.create_all(db.engine())
        yield schema_of(db.engine())
        db.engine().dispose()


def test_there_is_one_chain_without_branches() -> None:
    assert len(CHAIN.get_heads()) == 1
    assert len(CHAIN.get_bases()) == 1


def test_models_and_migrations_agree(empty: Engine) -> None:
    running.upgrade(empty)

    with empty.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, db.Base.metadata)
    assert differences == []
    assert running.is_current(empty)


def test_checks_indexes_and_triggers_are_those_of_the_models(
    empty: Engine, described: dict[str, Any]
) -> None:
    running.upgrade(empty)
    migrated = schema_of(empty)

    assert migrated.keys() == described.keys()
    for table, parts in described.items():
        assert migrated[table] == parts, table


def test_upgrading_twice_changes_nothing(empty: Engine) -> None:
    running.upgrade(empty)
    before = schema_of(empty)

    running.upgrade(empty)

    assert schema_of(empty) == before


def test_an_old_database_is_told_from_a_current_one(empty: Engine) -> None:
    assert not running.is_current(empty)


def test_each_step_from_one_revision_to_the_next_keeps_what_is_there(empty: Engine) -> None:
    revisions = [script.revision for script in reversed(list(CHAIN.walk_revisions()))]
    running.upgrade(empty, revisions[0])
    with empty.begin() as connection:
        connection.execute(text("CREATE TABLE kept (word TEXT)"))
        connection.execute(text("INSERT INTO kept VALUES ('发票')"))

    for revision in revisions[1:]:
        running.upgrade(empty, revision)

    with empty.connect() as connection:
        assert connection.execute(text("SELECT word FROM kept")).scalars().all() == ["发票"]
    assert running.is_current(empty)


def schema_of(engine: Engine) -> dict[str, Any]:
    """Tables by name with their columns, keys, checks and indexes; triggers under ``triggers``."""
    seen = inspect(engine)
    tables: dict[str, Any] = {}
    for table in seen.get_table_names():
        if table == "alembic_version":
            continue
        tables[table] = {
            "columns": sorted(_column(column) for column in seen.get_columns(table)),
            "key": sorted(seen.get_pk_constraint(table)["constrained_columns"]),
            "foreign": sorted(_foreign(key) for key in seen.get_foreign_keys(table)),
            "unique": sorted(
                (str(u["name"]), tuple(u["column_names"])) for u in seen.get_unique_constraints(table)
            ),
            "checks": sorted(
                (str(c["name"]), _plain(c["sqltext"])) for c in seen.get_check_constraints(table)
            ),
            "indexes": sorted(_index(index) for index in seen.get_indexes(table)),
        }
    return {**tables, "triggers": sorted(_triggers(engine))}


def _column(column: Any) -> tuple[str, ...]:
    return column["name"], str(column["type"]), str(column["nullable"]), str(column["default"])


def _foreign(key: Any) -> tuple[str, ...]:
    return str(key["name"]), key["referred_table"], *key["constrained_columns"], *key["referred_columns"]


def _index(index: Any) -> tuple[str, ...]:
    where = {k: _plain(str(v)) for k, v in index.get("dialect_options", {}).items() if k.endswith("_where")}
    return str(index["name"]), str(index["unique"]), str(index["column_names"]), str(sorted(where.items()))


def _plain(sql: str) -> str:
    return re.sub(r"\s+", " ", sql).strip()


def _triggers(engine: Engine) -> list[tuple[str, str]]:
    queries = {
        "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'",
        "postgresql": "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
    }
    with engine.connect() as connection:
        rows = connection.execute(text(queries[engine.dialect.name])).all()
    return [(name, _plain(sql)) for name, sql in rows]
