"""Databases that tests take one after another: what a test wrote is taken out, what it altered is thrown away.

Making a database means making some thousand files, which takes longer than most tests do.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg import sql

#: tests that one database serves: deleted rows leave their room behind, for there is no autovacuum
USES = 60
#: rows from which on a new database is cheaper than deleting them
MOST_ROWS = 5_000
#: seconds for sessions to end that were told to
PATIENCE = 10.0

#: where DDL, rights and ANALYZE leave their traces
CATALOGUES = ("pg_attribute", "pg_class", "pg_constraint", "pg_proc", "pg_statistic", "pg_trigger", "pg_type")
#: Every change of schema, rights or settings makes it another. So does a crash: the server has forgotten then what was
#: written. Schemas of sessions' temporary tables outlive these and mean nothing.
STATE = f"""
    {" UNION ALL ".join(f"SELECT '{one}', count(*), max(xmin::text::bigint)::text FROM {one}" for one in CATALOGUES)}
    UNION ALL SELECT 'schemas', count(*), max(xmin::text::bigint)::text FROM pg_namespace
        WHERE nspname !~ 'temp_[0-9]+$'
    UNION ALL SELECT 'rights', datconnlimit, datacl::text FROM pg_database WHERE datname = current_database()
    UNION ALL SELECT 'settings', count(*), '' FROM pg_db_role_setting s JOIN pg_database d ON s.setdatabase = d.oid
        WHERE d.datname = current_database()
    UNION ALL SELECT 'server', 0, stats_reset::text FROM pg_stat_wal"""
#: tables with rows from the start, the migrations': where one is written to, nobody knows which rows were there
SEEDED = """
    SELECT coalesce(array_agg(oid), '{}') FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND pg_relation_size(oid) > 0"""
WRITTEN = """
    SELECT oid::regclass::text, pg_stat_get_live_tuples(oid), oid = ANY(%(seeded)s) FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND CASE WHEN oid = ANY(%(seeded)s)
        THEN pg_stat_get_tuples_inserted(oid) + pg_stat_get_tuples_updated(oid) + pg_stat_get_tuples_deleted(oid)
        ELSE pg_stat_get_live_tuples(oid) END > 0"""
END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"


@dataclass
class Database:
    """One that waits to be taken, and what it was when it was made."""

    name: str
    state: list[tuple[Any, ...]]
    seeded: list[int]
    uses: int = 0


class Databases:
    """Copies of ``template`` on one server, for one test at a time each.

    ``url`` is the address of any database there; ``admin`` a session of the same owner. ``prepare`` is given the
    address of each new copy. A database has another name for each test: a process that a test forgot finds none.
    """

    def __init__(
        self,
        admin: psycopg.Connection[Any],
        url: str,
        template: str,
        *,
        prepare: Callable[[str], None] = lambda _url: None,
        uses: int = USES,
    ) -> None:
        self._admin, self._url, self._template, self._prepare = admin, url, template, prepare
        self._free: list[Database] = []
        # Without a superuser's rights nothing is deleted past foreign keys.
        self._uses = uses if admin.info.parameter_status("is_superuser") == "on" else 1

    @contextmanager
    def one(self) -> Iterator[str]:
        """The owner's address of a database that is as the template is; nobody else's for as long as it lasts."""
        database = self._free.pop() if self._free else self._made()
        database.uses += 1
        try:
            yield self._address(database.name)
        finally:
            if self._left(database) and self._cleaned(database):
                self._free.append(database)
            else:
                self._drop(database)

    def close(self) -> None:
        """Drop those that wait."""
        while self._free:
            self._drop(self._free.pop())

    def _address(self, name: str) -> str:
        return sa.make_url(self._url).set(database=name).render_as_string(hide_password=False)

    def _made(self) -> Database:
        name = _new_name()
        # Copying files takes a third of the time of the default, which writes every block to the log.
        self._say("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy", name, self._template)
        self._prepare(self._address(name))
        with psycopg.connect(self._address(name), autocommit=True) as owner:
            state = owner.execute(STATE).fetchall()
            ((seeded,),) = owner.execute(SEEDED).fetchall()
        return Database(name, state, seeded)

    def _left(self, database: Database) -> bool:
        """End its sessions and give it a new name; False where somebody comes back all the time."""
        deadline = time.monotonic() + PATIENCE
        while self._admin.execute(END, [database.name]).fetchall():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.002)
        name = _new_name()
        try:
            self._say("ALTER DATABASE {} RENAME TO {}", database.name, name)
        except psycopg.errors.ObjectInUse:
            return False
        database.name = name
        return True

    def _cleaned(self, database: Database) -> bool:
        """Take out what was written; False where more was changed than rows, or a new one is cheaper."""
        if database.uses >= self._uses:
            return False
        with psycopg.connect(self._address(database.name), autocommit=True) as owner:
            if owner.execute(STATE).fetchall() != database.state:
                return False
            written = owner.execute(WRITTEN, {"seeded": database.seeded}).fetchall()
            if any(seeded for _, _, seeded in written) or sum(rows for _, rows, _ in written) > MOST_ROWS:
                return False
            deletions = "".join(f"DELETE FROM {table};" for table, _, _ in written)
            owner.execute(f"SET session_replication_role = replica; {deletions}")
        return True

    def _drop(self, database: Database) -> None:
        self._say("DROP DATABASE {} WITH (FORCE)", database.name)

    def _say(self, command: Any, *names: str) -> None:
        self._admin.execute(sql.SQL(command).format(*map(sql.Identifier, names)))


def _new_name() -> str:
    return f"rasid_test_{uuid.uuid4().hex[:12]}"
