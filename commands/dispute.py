"""``manage.py dispute``: cases about what was done, from their evidence to their outcome."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from commands.installation import By, Installation, open_door, refuse, run
from commands.tables import print_table
from engine.disputes.rules import DEADLINE_DAYS
from engine.disputes.service import Case, Disputes
from engine.disputes.store import Evidence
from engine.disputes.tables import Outcome
from engine.words import Answer

app = typer.Typer(help="Disputes: open, look at, assign, resolve.", no_args_is_help=True)

Number = Annotated[str, typer.Argument(help="The case, as `dispute list` shows it.")]


@asynccontextmanager
async def _disputes(installation: Installation) -> AsyncIterator[Disputes]:
    async with open_door(installation) as door:
        yield Disputes(installation.books, door.post, installation.trail)


@app.command("open")
def open_case(
    reference: Annotated[str, typer.Argument(help="What the person quotes, or the payment's id.")],
    *,
    reason: Annotated[str, typer.Option(help="What is disputed.")],
    by: By,
    line: Annotated[str | None, typer.Option(help="The line's number: finds what is no payment.")] = None,
    owner: Annotated[str | None, typer.Option(help="Who is to decide it.")] = None,
    days: Annotated[int, typer.Option(min=1, max=365, help="Days until it should be decided.")] = DEADLINE_DAYS,
) -> None:
    """Open a case, with what every layer knows of the operation or payment."""

    async def work(installation: Installation) -> tuple[Case, list[Evidence]]:
        """The case, and what was put into it."""
        account = None if line is None else (await installation.line(line)).account
        async with _disputes(installation) as disputes:
            case = await disputes.open(reference, reason, by, account=account, owner=owner, days=days)
            return await disputes.find(case.number)

    _show(*run(work))


@app.command()
def show(
    number: Number,
    full: Annotated[bool, typer.Option("--full", help="Every piece of evidence, as JSON lines.")] = False,
) -> None:
    """A case and its evidence."""

    async def work(installation: Installation) -> tuple[Case, list[Evidence]]:
        """Both, as they stand now."""
        async with _disputes(installation) as disputes:
            return await disputes.find(number)

    case, evidence = run(work)
    if full:
        for one in evidence:
            typer.echo(msgspec.json.encode({"layer": one.layer, **one.body}).decode())
        return
    _show(case, evidence)


@app.command()
def assign(number: Number, owner: Annotated[str, typer.Argument(help="Who is to decide it.")], by: By) -> None:
    """Give a case to somebody."""

    async def work(installation: Installation) -> Case:
        """The case, which is theirs now."""
        async with _disputes(installation) as disputes:
            return await disputes.assign(number, owner, by)

    _list([run(work)])


@app.command()
def resolve(
    number: Number,
    outcome: Annotated[Outcome, typer.Argument(help="What becomes of it.")],
    reason: Annotated[str, typer.Option(help="Why; kept in the audit trail.")],
    by: By,
) -> None:
    """Decide a case. A refund or an accepted chargeback moves the money, through the one door like everything else."""

    async def work(installation: Installation) -> tuple[Case, Answer | None]:
        """The case, and the answer of the door where money moved."""
        async with _disputes(installation) as disputes:
            return await disputes.resolve(number, outcome, reason, by)

    case, answer = run(work)
    if answer is not None and not answer.ok:
        refuse(f"refused: {answer.code.replace('_', ' ')}; the case is open again")
    _list([case])


@app.command("list")
def list_cases(
    resolved: Annotated[bool, typer.Option("--resolved", help="Those that are resolved too.")] = False,
) -> None:
    """Cases, the most urgent first."""

    async def work(installation: Installation) -> list[Case]:
        """The first of them, decided ones too where they are asked for."""
        async with _disputes(installation) as disputes:
            return list(await disputes.list(resolved=resolved))

    _list(run(work))


def _list(cases: list[Case]) -> None:
    table = Table("case", "about", "state", "owner", "deadline", "reason", "outcome")
    for case in cases:
        late = " (overdue)" if case.overdue else ""
        outcome = "" if case.outcome is None else f"{case.outcome.value} {case.outcome_reference or ''}"
        deadline = f"{case.deadline:%Y-%m-%d}{late}"
        table.add_row(
            case.number, case.reference, case.state.value, case.owner or "", deadline, case.reason, outcome.strip()
        )
    print_table(table)


def _show(case: Case, evidence: list[Evidence]) -> None:
    _list([case])
    table = Table("layer", "what is known")
    for one in evidence:
        said = {name: value for name, value in one.body.items() if name not in ("shard", "account_id") and value}
        table.add_row(one.layer, msgspec.json.encode(said).decode())
    print_table(table)
