"""One chain of migrations for all rooms; tried on SQLite and PostgreSQL."""

from alembic import context

from miniapp import db

db.load_models()


def run() -> None:
    """Apply the chain on the connection that the command has put into the configuration."""
    connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=db.Base.metadata,
        render_as_batch=True,
        compare_type=True,
        user_module_prefix="db.",
    )
    with context.begin_transaction():
        context.run_migrations()


run()
