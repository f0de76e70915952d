"""``manage.py reconcile``: what gateways state, against the books, and what becomes of what differs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from typer.core import TyperGroup

from commands.installation import By, Result, Why, guarded, open_all
from commands.reconciled import print_figures, table_of, told, write_reports
from commands.tables import print_table
from engine.api import Engine
from engine.reconciliation.cases import Discrepancy, Selection
from engine.reconciliation.tables import Resolution
from settings import load_settings


class Group(TyperGroup):
    """``reconcile GATEWAY FILE`` is ``reconcile file GATEWAY FILE``: what is done every day is short."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the name of the usual command before what is no command."""
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            args = ["file", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    help="Reconcile gateways with the books: `reconcile GATEWAY FILE`, or one of the commands below.",
)

Which = Annotated[str, typer.Argument(help="The discrepancy, by the first digits of its id.")]
Gateway = Annotated[str, typer.Argument(help="The gateway's name in the settings.")]
GatewayOption = Annotated[str | None, typer.Option(help="Only this gateway.")]
Day = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The day of the file, operator's time.")]
AskedDay = Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The day, operator's time.")]
Since = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="From this day on.")]
Html = Annotated[Path | None, typer.Option("--html", help="Write the report as a page.")]
Csv = Annotated[Path | None, typer.Option("--csv", help="Write all discrepancies as CSV.")]


def _run(work: Callable[[Engine], Coroutine[Any, Any, Result]]) -> Result:
    async def opened() -> Result:
        """With an engine open for as long as it takes."""
        async with open_all(load_settings()) as engine:
            return await work(engine)

    return guarded(lambda: asyncio.run(opened()))


@app.command("file")
def reconcile_file(
    gateway: Gateway,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="The settlement file.")],
    *,
    by: By,
    day: Day = None,
    until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The last day of a file of several days.")
    ] = None,
    html: Html = None,
    csv: Csv = None,
) -> None:
    """Match a settlement file with the books. Exit code 1 if something is open or could not be read."""
    if until is not None and day is None:
        raise typer.BadParameter("--until needs --day")

    async def work(engine: Engine) -> bool:
        """Whether all is well, with a bar while the file is read."""
        await engine.payments.start()
        # Errors of the encoding are errors of a line.
        with file.open(encoding="utf-8", errors="replace", newline="") as opened, _bar() as progress:
            task = progress.add_task(f"reading {file.name}", total=file.stat().st_size)

            def lines() -> Iterator[str]:
                """The file's lines, and how far they have come."""
                for line in opened:
                    read[0] += len(line)
                    yield line

            read = [0]
            run = await engine.reconciliation.reconcile(
                gateway,
                lines(),
                by=by,
                source=f"file:{file.name}",
                first=_date(day),
                last=_date(until),
                progress=lambda _: progress.update(task, completed=read[0]),
            )
            progress.update(task, completed=file.stat().st_size)
        return await told(engine, run, html, csv)

    if _run(work):
        raise typer.Exit(1)


@app.command()
def ask(gateway: Gateway, *, day: AskedDay, by: By, html: Html = None, csv: Csv = None) -> None:
    """Ask the gateway what became of each payment of a day. Exit code 1 if something is open."""

    async def work(engine: Engine) -> bool:
        """Whether all is well, with a bar while the gateway is asked."""
        await engine.payments.start()
        with _bar() as progress:
            task = progress.add_task(f"asking {gateway}", total=None)
            run = await engine.reconciliation.ask(
                gateway, day.date(), by=by, progress=lambda more: progress.advance(task, more)
            )
        return await told(engine, run, html, csv)

    if _run(work):
        raise typer.Exit(1)


@app.command("list")
def list_open(
    gateway: GatewayOption = None,
    since: Since = None,
    resolved: Annotated[bool, typer.Option("--resolved", help="Those that are resolved, too.")] = False,
    html: Html = None,
    csv: Csv = None,
) -> None:
    """What is open, oldest day first."""
    wanted = Selection(gateway=gateway, first=_date(since), resolved=resolved)

    async def work(engine: Engine) -> list[Discrepancy]:
        """What is shown, after the files that were asked for are written."""
        await write_reports(engine, wanted, html, csv)
        return await engine.reconciliation.discrepancies(wanted)

    print_table(table_of(_run(work)))


@app.command("figures")
def show_figures(gateway: GatewayOption = None, since: Since = None) -> None:
    """Captured, settled, explained and open of each gateway's days. Exit code 1 if they leave a rest."""
    found = _run(lambda engine: engine.reconciliation.figures(gateway, _date(since)))
    print_figures(found)
    if any(one.rest for one in found):
        raise typer.Exit(1)


@app.command()
def runs(gateway: GatewayOption = None) -> None:
    """The latest runs, newest first."""
    table = Table("when", "gateway", "source", "days", "rows", "broken", "found", "by")
    for one in _run(lambda engine: engine.reconciliation.runs(gateway)):
        days = f"{one.first_day}" if one.first_day == one.last_day else f"{one.first_day} to {one.last_day}"
        when = f"{one.started_at:%Y-%m-%d %H:%M} UTC"
        table.add_row(when, one.gateway, one.source, days, f"{one.rows:,}", f"{one.broken:,}", f"{one.found:,}", one.by)
    print_table(table)


@app.command()
def show(which: Which) -> None:
    """One discrepancy, and all that was done with it."""
    one, changes = _run(lambda engine: engine.reconciliation.discrepancy(which))
    print_table(table_of([one]))
    table = Table("when", "what", "by", "why")
    for change in changes:
        table.add_row(f"{change.at:%Y-%m-%d %H:%M:%S} UTC", change.what, change.by, change.why)
    print_table(table)


@app.command()
def assign(
    which: Which, owner: Annotated[str, typer.Argument(help="Who is to follow it.")], *, by: By, why: Why = ""
) -> None:
    """Give a discrepancy to somebody."""
    print_table(
        table_of([_run(lambda engine: engine.reconciliation.assign(which, owner, by=by, why=why or "assigned"))])
    )


@app.command()
def resolve(
    which: Which,
    resolution: Annotated[Resolution, typer.Argument(help="How it ends; `credited` credits it now.")],
    *,
    reason: Annotated[str, typer.Option(help="Why: it is kept.")],
    by: By,
) -> None:
    """End a discrepancy."""

    async def work(engine: Engine) -> Discrepancy:
        """As it then stands; what has to be credited is asked of the gateways."""
        await engine.payments.start()
        return await engine.reconciliation.resolve(which, resolution, by=by, why=reason)

    print_table(table_of([_run(work)]))


def _bar() -> Progress:
    return Progress(console=Console(stderr=True))


def _date(day: datetime | None) -> date | None:
    return None if day is None else day.date()
