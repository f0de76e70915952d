"""``manage.py review``: payments that the guard holds back, and whom staff blocks or trusts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from commands.installation import By, Installation, Why, major_units, open_door, refuse as leave, run
from commands.tables import print_table
from engine.events.alarms import Alarms
from engine.guard.lists import Lists
from engine.guard.review import Held, Reviews
from engine.payments.progress import Progress
from engine.words import Listed, ListKind, Payment, Subscriber
from runtime.metrics import Metrics

app = typer.Typer(help="Held payments: list, approve, refuse; block and trust.", no_args_is_help=True)

Reference = Annotated[str, typer.Argument(help="What `review list` shows, and the person quotes.")]
Kind = Annotated[ListKind, typer.Argument(help="subscriber: a line's number; payer: the number or token that pays.")]
Who = Annotated[str, typer.Argument(help="The number, token or device.")]
Days = Annotated[int, typer.Option(min=0, help="For so many days; 0: until taken off.")]


@app.command("list")
def list_held(
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many at most.")] = 50,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line for each, with all facts.")] = False,
) -> None:
    """Payments that wait for somebody to look at them, the oldest first."""

    async def work(installation: Installation) -> list[Held]:
        """The first of those that wait."""
        async with _reviews(installation) as reviews:
            return await reviews.waiting(limit)

    found = run(work)
    if as_json:
        for held in found:
            typer.echo(msgspec.json.encode(held._asdict()).decode())
        return
    table = Table("reference", "since", "method", "amount", "score", "reasons")
    for held in found:
        amount, reasons = major_units(held.amount, held.currency), ", ".join(held.reasons)
        since = f"{held.created_at:%Y-%m-%d %H:%M}"
        table.add_row(held.reference, since, held.method.value, amount, str(held.score), reasons)
    print_table(table)


@app.command()
def approve(reference: Reference, by: By, why: Why) -> None:
    """Let a held payment pass: the payer is asked at once."""
    _decide("approve", reference, by, why)


@app.command()
def refuse(reference: Reference, by: By, why: Why) -> None:
    """Do not ask for a held payment. The person is told that it did not go through."""
    _decide("refuse", reference, by, why)


@app.command()
def block(
    kind: Kind,
    who: Who,
    by: By,
    why: Why,
    days: Days = 0,
) -> None:
    """Refuse every payment of somebody."""
    _list(Listed.BLOCK, kind, who, by=by, why=why, days=days)


@app.command()
def trust(
    kind: Kind,
    who: Who,
    by: By,
    why: Why,
    days: Days = 0,
) -> None:
    """Do not score payments of somebody. Limits hold all the same."""
    _list(Listed.ALLOW, kind, who, by=by, why=why, days=days)


@app.command()
def unlist(kind: Kind, who: Who, by: By, why: Why) -> None:
    """Take somebody off the lists."""

    async def work(installation: Installation) -> bool:
        """Whether they stood there."""
        lists = Lists(installation.database, installation.keyring, installation.trail)
        return await lists.take_off(kind, await _meant(installation, kind, who), by=by, why=why)

    if not run(work):
        leave("nobody like that is on a list")
    Console().print("taken off")


def _decide(what: str, reference: str, by: str, why: str) -> None:
    async def work(installation: Installation) -> Payment:
        """The payment as it stands after the decision."""
        async with _reviews(installation) as reviews:
            decide = reviews.approve if what == "approve" else reviews.refuse
            return await decide(reference, by=by, why=why)

    payment = run(work)
    said = "let pass" if what == "approve" else "refused"
    Console().print(f"{payment.reference}: {said}, now {payment.state}")


def _list(verdict: Listed, kind: ListKind, who: str, *, by: str, why: str, days: int) -> None:
    async def work(installation: Installation) -> None:
        """For so many days, or for good."""
        lists = Lists(installation.database, installation.keyring, installation.trail)
        until = datetime.now(UTC) + timedelta(days=days) if days else None
        await lists.put(kind, await _meant(installation, kind, who), verdict, by=by, why=why, until=until)

    run(work)
    Console().print(f"{kind}: {verdict}")


async def _meant(installation: Installation, kind: ListKind, who: str) -> str | Subscriber:
    return await installation.line(who) if kind is ListKind.SUBSCRIBER else who.strip()


@asynccontextmanager
async def _reviews(installation: Installation) -> AsyncIterator[Reviews]:
    """The queue, with the steps that a decision takes."""
    async with open_door(installation) as door:
        metrics = Metrics()
        progress = Progress(installation.database, door, metrics, Alarms(installation.database, metrics))
        try:
            yield Reviews(installation.database, installation.keyring, progress.step, installation.trail)
        finally:
            await progress.close()
