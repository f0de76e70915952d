"""What the commands share: the installation they work on, money as people type it, refusals as people read them."""

from __future__ import annotations

import asyncio
import getpass
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, NamedTuple, NoReturn, TypeVar

import psycopg
import typer
from babel.numbers import get_currency_precision
from redis.exceptions import RedisError
from rich.console import Console
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.accounts.rules import FIXED, MOBILE, NumberTaken, StatusRefused
from engine.accounts.service import Accounts
from engine.api import Engine, open_engine
from engine.audit.service import Trail
from engine.books.databases import Books, open_books
from engine.books.service import Door
from engine.payments.gateways import configured_gateways
from engine.recharge.batch_rules import MoveRefused
from engine.storage.unusable import why_unusable
from engine.usage.service import Sessions
from engine.words import BadNumber, BadPin, BadVoucherNumber, EngineError, LineRef, Subscriber, UnknownLine
from runtime.keyring import Keyring
from runtime.metrics import Metrics
from settings import PREFIX, Operator, Settings, SettingsError, load_operator, load_settings

Result = TypeVar("Result")

#: Far above any voucher's worth, far below what a bigint of minor units holds.
MOST = 10**12


def os_user() -> str:
    """Who runs this command, as far as the machine knows."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


#: who and why: every command that changes something writes both into the audit trail
By = Annotated[
    str, typer.Option("--by", default_factory=os_user, help="Who does this; by default the user of this machine.")
]
Why = Annotated[str, typer.Option("--why", help="Why; kept in the audit trail.")]


class Installation(NamedTuple):
    """An open installation: what every service of the engine is made of, and the one that most commands need."""

    database: AsyncEngine
    operator: Operator
    keyring: Keyring
    accounts: Accounts
    #: all books, each in its database; ``database`` is billing's
    books: Books
    settings: Settings
    #: what staff does is written down here
    trail: Trail

    async def line(self, number: str) -> Subscriber:
        """The line with a number, a mobile or a fixed one. Raises ``BadNumber`` and ``UnknownLine``."""
        return await self.accounts.subscriber(number, kinds=MOBILE | FIXED)


def anything_set() -> bool:
    """Whether this shell knows of an installation at all."""
    return any(os.environ.get(name) for name in os.environ if name.startswith(PREFIX) or name == "DATABASE_URL")


@asynccontextmanager
async def open_installation() -> AsyncIterator[Installation]:
    """The installation that the settings name, closed again afterwards. Raises ``SettingsError``."""
    settings = load_settings()
    operator = load_operator(settings.operator)
    books = open_books(settings.database_url, settings.books, connections=4, writers=1)
    database = books.billing
    keyring = settings.keyring()

    async def changed(line: LineRef) -> None:
        """Let the network hear at once of a line that was given another status."""
        async with open_door(installation) as door:
            await Sessions(database, operator, door).line_changed(line)

    accounts = Accounts(database, operator, keyring, changed)
    installation = Installation(database, operator, keyring, accounts, books, settings, Trail(database))
    try:
        await books.check_schemas()
        yield installation
    finally:
        await accounts.close()
        await books.dispose()


@asynccontextmanager
async def open_door(installation: Installation) -> AsyncIterator[Door]:
    """The one door, for what staff posts; closed again once it has been answered."""
    door = Door(installation.books, installation.operator, Metrics(), lanes=1)
    try:
        yield door
    finally:
        await door.close()


@asynccontextmanager
async def open_all(settings: Settings, lanes: int = 1) -> AsyncIterator[Engine]:
    """The whole engine of an installation, payment gateways and all; closed again afterwards."""
    metrics = Metrics()
    engine = await open_engine(
        settings.database_url,
        load_operator(settings.operator),
        settings.keyring(),
        lanes=lanes,
        metrics=metrics,
        books=settings.books,
        gateways=configured_gateways(settings, metrics),
        webhooks=settings.webhooks,
        audit_export=settings.audit_export,
    )
    try:
        yield engine
    finally:
        await engine.close()


def run(work: Callable[[Installation], Coroutine[Any, Any, Result]]) -> Result:
    """Do something with the installation; what goes wrong in a way staff can mend is one line and exit code 2."""

    async def opened() -> Result:
        """With the installation open for as long as it takes."""
        async with open_installation() as installation:
            return await work(installation)

    return guarded(lambda: asyncio.run(opened()))


def guarded(work: Callable[[], Result]) -> Result:
    """Run ``work``; refusals end the command with a sentence instead of a traceback."""
    try:
        return work()
    except (SettingsError, ValueError, LookupError, OSError, EngineError) as error:
        refuse(explain(error))
    except DBAPIError as error:
        refuse(f"the database refused: {why_unusable(error)}")
    except (SQLAlchemyError, psycopg.Error) as error:
        refuse(f"the database refused: {error}")
    except RedisError as error:
        refuse(f"Redis cannot be used: {error}")


def refuse(sentence: str) -> NoReturn:
    """Say why on stderr and leave with exit code 2."""
    Console(stderr=True).print(sentence, style="red", markup=False, highlight=False)
    raise typer.Exit(2)


def explain(error: Exception) -> str:
    """An error as a sentence. Never repeats a number or PIN."""
    reason = str(error.args[0]) if error.args else ""
    sentences: dict[type[Exception], str] = {
        UnknownLine: "no line has this number",
        BadNumber: f"this is no number of this operator: {reason.replace('_', ' ')}",
        BadPin: f"this cannot be a PIN: {reason}",
        BadVoucherNumber: f"this is no voucher number: wrong {reason}",
        NumberTaken: f"this {reason} belongs to a line already",
        StatusRefused: f"a line that is {' cannot become '.join(map(str, error.args))}",
        MoveRefused: reason,
        LookupError: reason,
    }
    return sentences.get(type(error), str(error))


def minor_units(typed: str, currency: str) -> int:
    """Money as people type it (``50``, ``12.5``) in minor units of ``currency`` (ISO 4217 exponent).

    Raises ``ValueError`` for what is no amount above 0, or is finer than the currency.
    """
    try:
        amount = Decimal(typed.replace("_", ""))
    except InvalidOperation:
        raise ValueError(f"{typed!r} is no amount of money") from None
    if not amount.is_finite() or not 0 < amount < MOST:
        raise ValueError(f"an amount must be above 0 and below {MOST:,}")
    minor = amount.scaleb(get_currency_precision(currency))
    if minor != minor.to_integral_value():
        raise ValueError(f"{typed} is finer than {currency} goes ({get_currency_precision(currency)} decimals)")
    return int(minor)


def major_units(amount: int, currency: str) -> str:
    """Minor units as people read them: ``50.00 KES``."""
    return f"{Decimal(amount).scaleb(-get_currency_precision(currency)):,f} {currency}"
