"""Alembic's entry: runs the migrations on the connection that `router.journal.migrate` hands over."""

from alembic import context

from router.journal.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,  # SQLite's is, whatever its driver made of it
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
