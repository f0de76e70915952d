"""``manage.py doctor``: recompute what must always hold in the books, and name the accounts where it does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from commands.installation import By, Installation, Why, run
from commands.tables import print_table
from engine.books.invariants import CHECKS, Violation, freeze, run_check
from engine.books.recovery import Prepared, Recovery

app = typer.Typer(help="Prove the books.", invoke_without_command=True)

#: The table shows at most so many violations of one rule.
SHOWN = 20

#: What is prepared for longer, in seconds, has been orphaned: recovery would have finished it long ago.
ORPHANED = 60.0


@app.callback()
def doctor(
    by: By,
    freeze_accounts: Annotated[
        bool, typer.Option("--freeze", help="Let no money out of the accounts that are named, until staff has looked.")
    ] = False,
    hours: Annotated[
        int | None, typer.Option(min=1, help="Look only at what was booked in the last hours, not at all there is.")
    ] = None,
    recover: Annotated[
        bool,
        typer.Option("--recover", help="Finish what batches over several databases left prepared, as bot.py does."),
    ] = False,
    why: Why = "",
) -> None:
    """Check every invariant of the books, and that no batch over several databases hangs. Exit code 1 if one does."""
    console = Console()
    since = None if hours is None else datetime.now(UTC) - timedelta(hours=hours)

    async def work(installation: Installation) -> tuple[list[Violation], list[Prepared]]:
        """Mend what recovery can, look, and freeze what is wrong: what was found, and what hangs still."""
        if recover:
            async with installation.trail.doing("doctor.recover", by=by, why=why):
                console.print(f"{await _recovered(installation)} part(s) of batches finished", style="yellow")
        found = await _check(installation, since, console)
        if found and freeze_accounts:
            async with installation.trail.doing("doctor.freeze", by=by, why=why, detail={"violations": len(found)}):
                frozen = await freeze(installation.database, found)
            for account in frozen:
                await installation.trail.record("account.frozen", by=by, why=why, account=account)
            console.print(f"{len(frozen)} accounts frozen", style="yellow")
        return found, await _prepared(installation, console)

    violations, orphans = run(work)
    if violations:
        print_table(_table(violations))
    if violations or orphans:
        raise typer.Exit(1)
    console.print("the books are right", style="green")


async def _check(installation: Installation, since: datetime | None, console: Console) -> list[Violation]:
    violations: list[Violation] = []
    for check in CHECKS:
        started = perf_counter()
        with console.status(check.rule):
            found = await run_check(installation.books, check, since)
        mark = f"[red]{len(found)} broken[/]" if found else "[green]holds[/]"
        took = f"[dim]({check.name}, {perf_counter() - started:.2f} s)[/]"
        console.print(f"{mark:>22}  {check.rule} {took}", soft_wrap=True)
        violations += found
    return violations


async def _recovered(installation: Installation) -> int:
    recovery = Recovery(installation.books)
    try:
        return await recovery.run()
    finally:
        await recovery.close()


async def _prepared(installation: Installation, console: Console) -> list[Prepared]:
    """Show what is prepared in the databases of the books. Returns what has been so for too long."""
    if not installation.books.homes:
        return []
    recovery = Recovery(installation.books)
    try:
        prepared = await recovery.prepared()
    finally:
        await recovery.close()
    orphans = [one for one in prepared if one.age > ORPHANED]
    mark = f"[red]{len(orphans)} orphaned[/]" if orphans else "[green]holds[/]"
    console.print(f"{mark:>22}  what a batch prepared is finished within seconds [dim](prepared)[/]", soft_wrap=True)
    if prepared:
        title = f"{len(prepared)} prepared transactions"
        table = Table("book", "name", "seconds ago", "decided", title=title, title_justify="left")
        for one in prepared:
            table.add_row(one.home.name, one.name, f"{one.age:.0f}", one.verdict or "not yet")
        print_table(table)
    return orphans


def _table(violations: list[Violation]) -> Table:
    headings = ("rule", "shard", "account", "what", "expected", "found")
    table = Table(*headings, title=f"{len(violations)} violations", title_justify="left")
    for check in CHECKS:
        broken = [violation for violation in violations if violation.check == check.name]
        for violation in broken[:SHOWN]:
            shard, owner = ("", "") if violation.account is None else map(str, violation.account)
            table.add_row(check.name, shard, owner, violation.subject, violation.expected, violation.found)
        if len(broken) > SHOWN:
            table.add_row(check.name, "", "", f"and {len(broken) - SHOWN} more", "", "")
    return table
