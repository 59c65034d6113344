"""Every test of the store runs on SQLite and on PostgreSQL."""

from databases import backend, db_url, make_store, new_db_url, site

__all__ = ["backend", "db_url", "make_store", "new_db_url", "site"]
