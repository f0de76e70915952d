"""How it shows that Postgres is away: the one door says so, reads fail as their driver does."""

from __future__ import annotations

from psycopg import OperationalError as PostgresDown
from sqlalchemy.exc import InterfaceError, OperationalError, TimeoutError as PoolEmpty

from engine.words import EngineUnavailable

#: whatever was asked may have happened: the same request may be sent again
AWAY = (EngineUnavailable, PostgresDown, OperationalError, InterfaceError, PoolEmpty)
