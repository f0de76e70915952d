"""Postgres: metadata, shards, ids, statements for many rows at once, migration."""
