"""``manage.py ledger``: trial balance, account statement, receivables by age, journal: on the screen, or as CSV."""

from __future__ import annotations

import csv
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Annotated, Any
from uuid import UUID

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from commands.files import whole
from commands.installation import Installation, major_units, run
from commands.tables import print_table
from engine.books.reports import Posting, Reports, Statement
from engine.receivables.ages import Aged, Owed, Receivables
from engine.reconciliation.report import safe
from engine.storage.sharding import shard_of
from engine.words import AccountRef, Unit

app = typer.Typer(help="The ledger for finance.", no_args_is_help=True)

#: units that are no money
UNITS = frozenset(unit.value for unit in Unit if unit is not Unit.MONEY)
JOURNAL = (
    "book",
    "booked_at",
    "shard",
    "account_id",
    "key",
    "leg",
    "kind",
    "reference",
    "debit",
    "credit",
    "unit",
    "amount",
    "source",
    "counterparty",
)
DAY = ["%Y-%m-%d"]
Csv = Annotated[bool, typer.Option("--csv", help="CSV on standard output; amounts in minor units.")]


#: entries between two steps of the progress bar
STEP = 1_000


def _reports(installation: Installation) -> Reports:
    operator = installation.operator
    return Reports(installation.books, operator.currency, operator.timezone)


def _amount(amount: int, unit: str) -> str:
    return f"{amount:,}" if unit in UNITS else major_units(amount, unit)


@app.command("trial-balance")
def trial_balance(
    until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="Before this time (UTC).")
    ] = None,
    as_csv: Csv = False,
) -> None:
    """What each account of the ledger was debited and credited. Exit code 1 if debits and credits are not equal."""
    before = None if until is None else until.replace(tzinfo=UTC)
    found = run(lambda installation: _reports(installation).trial_balance(before))
    headings = ("book", "account", "unit", "debits", "credits", "balance")
    rows = [(one.book, one.ledger, one.unit, one.debits, one.credits, one.balance) for one in found]
    if as_csv:
        _csv(sys.stdout, headings, rows)
    else:
        table = Table(*headings)
        for book, ledger, unit, *amounts in rows:
            table.add_row(str(book), str(ledger), str(unit), *(_amount(int(one), str(unit)) for one in amounts))
        print_table(table)
    wrong = {
        (one.book, one.unit)
        for one in found
        if sum(other.balance for other in found if (other.book, other.unit) == (one.book, one.unit))
    }
    for book, unit in sorted(wrong):
        Console(stderr=True).print(f"{book}: debits and credits of {unit} differ", style="red", highlight=False)
    if wrong:
        raise typer.Exit(1)


@app.command()
def statement(
    whose: Annotated[str, typer.Argument(help="The line's number, or the account's id.")],
    since: Annotated[
        datetime | None, typer.Option(formats=DAY, help="From this day (UTC); by default 30 days.")
    ] = None,
    until: Annotated[datetime | None, typer.Option(formats=DAY, help="Before this day (UTC); by default now.")] = None,
    as_csv: Csv = False,
) -> None:
    """What went into an account and out of it, with the balance after each line."""
    now = datetime.now(UTC)
    begin = now - timedelta(days=30) if since is None else since.replace(tzinfo=UTC)
    end = now if until is None else until.replace(tzinfo=UTC)

    async def work(installation: Installation) -> Statement:
        """Of an account that is named by its id, or by a number of one of its lines."""
        try:
            account_id = UUID(whose)
            account = AccountRef(shard_of(account_id.bytes), account_id)
        except ValueError:
            account = (await installation.line(whose)).account
        return await _reports(installation).statement(account, begin, end)

    found = run(work)
    headings = ("when", "what", "reference", "against", "unit", "amount", "balance", "source")
    rows = [
        (one.booked_at, one.kind, one.reference, one.against, one.unit, one.amount, one.balance, one.source)
        for one in found.entries
    ]
    if as_csv:
        _csv(sys.stdout, headings, rows)
        return
    table = Table(*headings)
    for when, what, reference, against, unit, amount, balance, source in rows:
        money = found.currency if unit == Unit.MONEY else unit
        table.add_row(
            f"{when:%Y-%m-%d %H:%M:%S}",
            *(what, reference, against, unit, _amount(amount, money), _amount(balance, money), source),
        )
    console = Console()
    print_table(table)
    for unit in Unit:
        before, after = found.opening[unit], found.closing[unit]
        if before or after:
            money = found.currency if unit is Unit.MONEY else unit.value
            console.print(f"{unit}: {_amount(before, money)} before, {_amount(after, money)} after", highlight=False)
    if found.cut:
        console.print("there is more: ask for fewer days", style="yellow")


@app.command()
def receivables(
    accounts: Annotated[bool, typer.Option("--accounts", help="Account by account.")] = False, as_csv: Csv = False
) -> None:
    """Open bills by how long they are overdue, and what gateways have not paid out."""

    async def work(installation: Installation) -> tuple[list[Aged], list[Owed]]:
        """Both sides: who owes the operator, and what gateways hold."""
        owed = Receivables(installation.books)
        return await owed.ages(by_account=accounts), await owed.owed_by_gateways()

    aged, owed = run(work)
    headings = ("account", "currency", "bills", "current", "1-30", "31-60", "61-90", "above 90", "total")
    rows = [
        (
            *("all" if one.account is None else str(one.account.account_id), one.currency, one.bills, one.current),
            *(one.to_30, one.to_60, one.to_90, one.above_90, one.total),
        )
        for one in aged
    ]
    if as_csv:
        _csv(sys.stdout, headings, rows)
        return
    table = Table(*headings, title="bills by days overdue", title_justify="left")
    for account, currency, bills, *amounts in rows:
        table.add_row(str(account), str(currency), f"{bills:,}", *(_amount(int(one), str(currency)) for one in amounts))
    gateways = Table("gateway", "owes", title="captured and not paid out", title_justify="left")
    for one in owed:
        gateways.add_row(one.gateway, major_units(one.amount, one.currency))
    print_table(table)
    print_table(gateways)


@app.command()
def journal(
    day: Annotated[datetime, typer.Argument(formats=DAY, help="The day, operator's time.")],
    *,
    until: Annotated[datetime | None, typer.Option(formats=DAY, help="The last of several days.")] = None,
    out: Annotated[Path | None, typer.Option(help="The CSV file; by default standard output.")] = None,
) -> None:
    """Every double entry of a day as CSV, however many there are; amounts in minor units."""
    last = None if until is None else until.date()

    async def work(installation: Installation) -> int:
        """How many entries were written; a file appears whole, or not at all."""
        postings = _reports(installation).journal(day.date(), last)
        if out is None:
            return await _write(sys.stdout, postings)
        with (
            whole(out) as partial,
            partial.open("w", encoding="utf-8", newline="") as file,
            Progress(console=Console(stderr=True)) as progress,
        ):
            task = progress.add_task("writing the journal", total=None)
            return await _write(file, postings, lambda: progress.advance(task, STEP))

    Console(stderr=True).print(f"{run(work):,} entries", highlight=False)


async def _write(file: IO[str], postings: AsyncIterator[Posting], advance: Callable[[], None] = lambda: None) -> int:
    writer = csv.writer(file)
    writer.writerow(JOURNAL)
    count = 0
    async for one in postings:
        writer.writerow([_cell(getattr(one, column)) for column in JOURNAL])
        count += 1
        if count % STEP == 0:
            advance()
    return count


def _csv(file: IO[str], headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    writer = csv.writer(file)
    writer.writerow(headings)
    writer.writerows([_cell(value) for value in row] for row in rows)


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return safe(value) if isinstance(value, str) else value
