"""Opening Postgres as the application, and bringing its schema up to date as the owner."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import psycopg
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg import errors
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from engine.storage.bulk import teach
from engine.storage.schema import APPLICATION_ROLE
from settings import SettingsError

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"


def driver_url(url: str) -> sa.URL:
    """A ``postgresql://`` address as SQLAlchemy wants it, on psycopg 3."""
    return sa.make_url(url).set(drivername="postgresql+psycopg")


def open_database(url: str, *, connections: int, statement_seconds: int = 0) -> AsyncEngine:
    """A pool of at most ``connections``, every one in the application's role.

    The role is taken at connect, so even a superuser's address runs with the application's rights: nothing here can
    alter a table or rewrite history. A statement that takes longer than ``statement_seconds`` is broken off; 0: none.
    """
    session = {
        "role": APPLICATION_ROLE,
        "timezone": "UTC",
        "idle_in_transaction_session_timeout": 30_000,
        "statement_timeout": statement_seconds * 1000,
    }
    database = create_async_engine(
        driver_url(url),
        pool_size=connections,
        max_overflow=0,
        # Parameters hold hashes of PINs and digests: an error's text goes to the log.
        hide_parameters=True,
        connect_args={
            "options": " ".join(f"-c {name}={value}" for name, value in session.items()),
            "connect_timeout": 5,
            # A server that is gone without a word is noticed within seconds, not with the kernel's two hours.
            "tcp_user_timeout": 10_000,
            "keepalives_idle": 10,
            # Statements are few and always the same: prepare each at once.
            "prepare_threshold": 0,
        },
    )
    sa.event.listen(database.sync_engine, "connect", lambda connection, _: teach(connection.driver_connection))
    return database


def migrate(owner_url: str) -> None:
    """Bring the schema to the newest version; runs to its end or changes nothing. Needs the owner's address.

    Raises ``SettingsError`` for a database that could not hold every language's texts, and for one of a later version.
    """
    _check_before(owner_url)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = driver_url(owner_url)
    command.upgrade(config, "head")


async def other_schema(database: AsyncEngine) -> str | None:
    """Where a database's schema is not this version's: which it is, and what to do. Raises what connecting raises."""
    async with database.connect() as connection:
        try:
            found = await connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
        except DBAPIError as error:
            # Nobody ever migrated it, or a version that let nobody but the owner look.
            if not isinstance(error.orig, errors.UndefinedTable | errors.InsufficientPrivilege):
                raise
            found = None
    newest = _versions()[0]
    if found == newest:
        return None
    return (
        _later(found) or f"its schema ({found or 'none'}) is not that of this version ({newest}): run manage.py migrate"
    )


@cache
def _versions() -> tuple[str, ...]:
    """Of schemas that this version knows, the newest first."""
    return tuple(script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions())


def _later(found: str | None) -> str | None:
    """Why a database cannot be used that a later version has migrated; None where none has."""
    if found is None or found in _versions():
        return None
    return (
        f"its schema ({found}) is of a later version than this one ({_versions()[0]}): run that version, or restore"
        " the backup that was taken before it"
    )


def _check_before(url: str) -> None:
    """What better is said before anything is migrated.

    A cluster made without a locale encodes nothing (``SQL_ASCII``), and would fail at the first name.
    """
    address = driver_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        with psycopg.connect(address, connect_timeout=5) as connection:
            encoding = connection.info.parameter_status("server_encoding")
            known = connection.execute("SELECT to_regclass('alembic_version') IS NOT NULL").fetchone() == (True,)
            found = connection.execute("SELECT version_num FROM alembic_version").fetchone() if known else None
    except psycopg.OperationalError:
        return  # whoever opens it next says why it cannot be reached
    reason = _later(found[0] if found else None)
    if encoding != "UTF8":
        reason = f"the database's encoding is {encoding}; make it with UTF8 (createdb -E UTF8 -T template0)"
    if reason is not None:
        raise SettingsError("database", [("database_url", reason)])
