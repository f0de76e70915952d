"""Where the books live: all in billing's database, or some of them in databases of their own.

Every database has the whole schema, made by the same migrations. Where the application may write a book follows from
the arrangement (``migrate_books``), so a process that was started with another arrangement is refused, not believed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from engine.books.sheets import SHEETS, Book
from engine.storage.database import driver_url, migrate, open_database, other_schema
from engine.storage.schema import APPLICATION_ROLE
from settings import SettingsError

#: What the application needs of a table that it writes in this way.
_RIGHTS = {"insert": "INSERT", "update": "UPDATE", "upsert": "INSERT, UPDATE"}

#: Book → its tables, with what the application does to each. Billing decides: it is never elsewhere.
TABLES: dict[Book, dict[str, str]] = {
    book: {sheet.table.name: _RIGHTS[sheet.how] for sheet in SHEETS.values() if sheet.book is book}
    for book in Book
    if book is not Book.BILLING
}


@dataclass(frozen=True, slots=True, eq=False)
class Home:
    """A database beside billing's, and the books that live in it."""

    #: its first book; the names of its prepared transactions end so
    name: str
    database: AsyncEngine
    books: tuple[Book, ...]


class Books:
    """The books of one installation, each in its database."""

    def __init__(self, billing: AsyncEngine, homes: tuple[Home, ...] = ()) -> None:
        """All books live in ``billing``, except those that have a home of their own."""
        self.billing = billing
        self.homes = homes
        self._homes = {book: home for home in homes for book in home.books}

    def __getitem__(self, book: Book) -> AsyncEngine:
        """The database to read a book from."""
        home = self.home(book)
        return self.billing if home is None else home.database

    def home(self, book: Book) -> Home | None:
        """The database that a book has of its own; None: it lives in billing's."""
        return self._homes.get(book)

    async def check_schemas(self) -> None:
        """See that every database has the schema of this version.

        Raises ``SettingsError`` that names those which have not, and what the driver raises when one cannot be reached.
        """
        databases = {"database_url": self.billing} | {f"books.{home.name}": home.database for home in self.homes}
        found = [(name, await other_schema(database)) for name, database in databases.items()]
        problems = [(name, what) for name, what in found if what is not None]
        if problems:
            raise SettingsError("databases", problems)

    async def check(self, writers: int) -> None:
        """See that ``writers`` can write in this arrangement.

        Raises ``SettingsError`` that names the book and what is wrong with its database, and what the driver raises
        when one cannot be reached.
        """
        problems = [problem for home in self.homes for problem in await _unfit(home, writers)]
        if self._homes:
            async with self.billing.connect() as connection:
                problems += [
                    (f"books.{book}", "billing's database takes it too: run manage.py migrate")
                    for book in self._homes
                    if await _may_write(connection, book)
                ]
        if problems:
            raise SettingsError("settings", problems)

    async def dispose(self) -> None:
        """Let all connections go."""
        for database in (self.billing, *(home.database for home in self.homes)):
            await database.dispose()


def open_books(
    database_url: str,
    elsewhere: Mapping[str, str] | None = None,
    *,
    connections: int,
    writers: int = 0,
    statement_seconds: int = 0,
) -> Books:
    """Pools for billing, of ``connections``, and for each other database, enough for ``writers``.

    ``elsewhere`` says book → address of those that do not live with billing; an address named twice is one database.
    ``statement_seconds`` as ``open_database`` takes it.
    """
    billing = open_database(database_url, connections=connections, statement_seconds=statement_seconds)
    homes = (
        Home(books[0], open_database(url, connections=writers + 4, statement_seconds=statement_seconds), books)
        for url, books in _by_address(elsewhere or {}).items()
    )
    return Books(billing, tuple(homes))


def migrate_books(owner_url: str, elsewhere: Mapping[str, str] | None = None) -> None:
    """Bring the schema of every database up to date, and let the application write each book where it lives.

    Needs the owners' addresses. Run it again whenever a book has moved.
    """
    for url in (owner_url, *_by_address(elsewhere or {})):
        migrate(url)
    allot_books(owner_url, elsewhere)


def allot_books(owner_url: str, elsewhere: Mapping[str, str] | None = None) -> None:
    """Let the application write each book in the database where it lives, and in no other. All are migrated."""
    addresses = _by_address(elsewhere or {})
    moved = {book for books in addresses.values() for book in books}
    for url, here in ({owner_url: tuple(TABLES.keys() - moved)} | addresses).items():
        owner = sa.create_engine(driver_url(url))
        with owner.begin() as connection:
            for statement in _allotment(here):
                connection.exec_driver_sql(statement)
        owner.dispose()


def _by_address(elsewhere: Mapping[str, str]) -> dict[str, tuple[Book, ...]]:
    addresses: dict[str, tuple[Book, ...]] = {}
    # In the order of the books, so that the same settings make the same names in every process.
    for book in TABLES:
        if book in elsewhere:
            addresses[elsewhere[book]] = (*addresses.get(elsewhere[book], ()), book)
    return addresses


def _allotment(here: tuple[Book, ...]) -> Iterator[str]:
    for book, tables in TABLES.items():
        for table, rights in tables.items():
            verb, to = ("GRANT", "TO") if book in here else ("REVOKE", "FROM")
            yield f"{verb} {rights} ON {table} {to} {APPLICATION_ROLE}"


async def _unfit(home: Home, writers: int) -> list[tuple[str, str]]:
    """Why batches cannot be prepared in this database."""
    where = f"books.{home.name}"
    async with home.database.connect() as connection:
        slots = int((await connection.exec_driver_sql("SHOW max_prepared_transactions")).scalar_one())
        if slots < writers:
            reason = f"max_prepared_transactions of its server is {slots}: it must hold a batch of every lane of every"
            return [(where, f"{reason} process, here at least {writers} (a change needs a restart of that server)")]
        refused = [book for book in home.books if not await _may_write(connection, book)]
    return [(f"books.{book}", "its database does not take it: run manage.py migrate") for book in refused]


async def _may_write(connection: AsyncConnection, book: Book) -> bool:
    for table, rights in TABLES[book].items():
        for right in rights.split(", "):
            # Of a table that is not there nothing may be written either.
            asked = sa.text("SELECT coalesce(has_table_privilege(to_regclass(:table), :right), false)")
            if not (await connection.execute(asked, {"table": table, "right": right})).scalar_one():
                return False
    return True
