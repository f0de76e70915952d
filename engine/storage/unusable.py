"""Why a database cannot be used, for whoever started a program that needs it."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError

from engine.storage.schema import APPLICATION_ROLE


def why_unusable(error: DBAPIError) -> str:
    """What the database said, and what to do where its server has never seen a schema of ours."""
    said = str(error.orig).partition("\n")[0]
    fresh = f'role "{APPLICATION_ROLE}" does not exist' in said
    return f"{said}: run manage.py migrate" if fresh else said
