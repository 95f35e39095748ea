"""Alembic migrations: the same schema on SQLite and PostgreSQL."""
