"""Alembic's environment: `env.py` and one file a schema version under `versions/`."""
