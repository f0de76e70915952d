"""Opening Postgres as the application, and bringing its schema up to date as the owner."""

from __future__ import annotations

from pathlib import Path

import psycopg
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from engine.storage.bulk import teach
from engine.storage.schema import APPLICATION_ROLE
from settings import SettingsError

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"


def driver_url(url: str) -> sa.URL:
    """A ``postgresql://`` address as SQLAlchemy wants it, on psycopg 3."""
    return sa.make_url(url).set(drivername="postgresql+psycopg")


def open_database(url: str, *, connections: int) -> AsyncEngine:
    """A pool of at most ``connections``, every one in the application's role.

    The role is taken at connect, so even a superuser's address runs with the application's rights: nothing here can
    alter a table or rewrite history.
    """
    database = create_async_engine(
        driver_url(url),
        pool_size=connections,
        max_overflow=0,
        # Parameters hold hashes of PINs and digests: an error's text goes to the log.
        hide_parameters=True,
        connect_args={
            "options": f"-c role={APPLICATION_ROLE} -c timezone=UTC -c idle_in_transaction_session_timeout=30000",
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

    Raises ``SettingsError`` for a database that could not hold every language's texts.
    """
    _check_encoding(owner_url)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = driver_url(owner_url)
    command.upgrade(config, "head")


def _check_encoding(url: str) -> None:
    """A cluster made without a locale encodes nothing (``SQL_ASCII``): better said now than at the first name."""
    address = driver_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        with psycopg.connect(address, connect_timeout=5) as connection:
            encoding = connection.info.parameter_status("server_encoding")
    except psycopg.OperationalError:
        return  # whoever opens it next says why it cannot be reached
    if encoding != "UTF8":
        reason = f"the database's encoding is {encoding}; make it with UTF8 (createdb -E UTF8 -T template0)"
        raise SettingsError("database", [("database_url", reason)])
