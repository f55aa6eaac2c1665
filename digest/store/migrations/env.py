"""Alembic's entry point: runs the migrations on the connection that `database.py` hands over, in its transaction."""

from alembic import context

from digest.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
context.run_migrations()
