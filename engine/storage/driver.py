"""The driver's own connection, for what SQLAlchemy has no words for: COPY, pipelines, statements as they stand."""

from __future__ import annotations

from typing import Any

from psycopg import AsyncConnection as Driver
from sqlalchemy.ext.asyncio import AsyncConnection


async def driver_of(connection: AsyncConnection) -> Driver[tuple[Any, ...]]:
    """The driver's connection under one of SQLAlchemy's, in its transaction."""
    driver: Driver[tuple[Any, ...]] = (await connection.get_raw_connection()).driver_connection  # type: ignore[assignment]
    return driver
