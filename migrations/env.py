"""Alembic's entry: runs the migrations in one transaction on the address that ``engine.storage.database`` gives."""

from __future__ import annotations

import re

import sqlalchemy as sa
from alembic import context

import engine.api  # noqa: F401 - it imports every area, and with it the tables that hang on the metadata
from engine.storage.schema import APPLICATION_ROLE, metadata

#: Partitions are made by ``ensure_partitions`` as time goes on; the models only know their parents.
PARTITION = re.compile(r"_(p\d{6}|rest)$")


def include_object(_object: object, name: str | None, kind: str, _reflected: bool, _compare_to: object) -> bool:  # noqa: FBT001 - alembic's
    """Whether a comparison of models and database looks at this object."""
    return not (kind == "table" and name is not None and PARTITION.search(name))


def run() -> None:
    """Take a lock of our own, so that two processes that start at once migrate one after the other."""
    database = sa.create_engine(context.config.attributes["url"], poolclass=sa.NullPool)
    with database.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=metadata,
            include_object=include_object,
            transaction_per_migration=False,
        )
        with context.begin_transaction():
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(724353)"))
            context.run_migrations()
            # A process that is started on another version's schema has to see that it is.
            connection.execute(sa.text(f"GRANT SELECT ON alembic_version TO {APPLICATION_ROLE}"))
    database.dispose()


run()
