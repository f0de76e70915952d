"""Why a database cannot be used, for whoever started a program that needs it."""

from __future__ import annotations

from psycopg import errors
from sqlalchemy.exc import DBAPIError

from engine.storage.schema import APPLICATION_ROLE

#: what is missing in a database that was never migrated, or not to this version
_MISSING = (errors.UndefinedTable, errors.UndefinedColumn, errors.UndefinedFunction)


def why_unusable(error: DBAPIError) -> str:
    """What the database said, and what to do where its schema is not the one of this version."""
    said = str(error.orig).partition("\n")[0]
    behind = isinstance(error.orig, _MISSING) or f'role "{APPLICATION_ROLE}" does not exist' in said
    return f"{said}; its schema is not of this version: run manage.py migrate" if behind else said
