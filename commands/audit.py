"""``manage.py audit``: whether history is what it was, what staff did, and the keys that anybody can check it with."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import sqlalchemy as sa
import typer
from rich.console import Console
from rich.table import Table

from commands.bars import counting
from commands.installation import Installation, refuse, run
from commands.tables import print_table
from engine.audit import export
from engine.audit.rules import Signer
from engine.audit.service import Chain
from engine.audit.tables import staff_action
from engine.audit.verifying import Finding, Outside, Verifier, read_outside

app = typer.Typer(help="The audit trail: verify, seal, look.", no_args_is_help=True)

#: findings that are shown one by one
SHOWN = 200

Since = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="Only what was sealed or booked from then on (UTC)."),
]


@app.command()
def verify(
    since: Since = None,
    outside: Annotated[
        Path | None,
        typer.Option("--export", help="The exported roots: a file or a folder; by default where audit_export says."),
    ] = None,
    keys: Annotated[
        Path | None, typer.Option(help="Public keys, as `audit keys` prints them; by default those of the settings.")
    ] = None,
) -> None:
    """Find every row that was changed, removed or inserted, and name it. Exit code 1 if there is one."""
    console = Console()
    start = None if since is None else since.replace(tzinfo=UTC)

    async def work(installation: Installation) -> list[Finding]:
        """What is found, with a bar while the chain is walked."""
        known = Signer(installation.keyring).public_keys() if keys is None else export.read_keys(keys)
        where = outside or installation.settings.audit_export
        seen = None if where is None else _outside(where, known, start)
        if seen is None:
            console.print("no export to compare with: a tail cut off the chain cannot be seen", style="yellow")
        verifier = Verifier(installation.database, known)
        with counting("rows", await verifier.extent()) as advance:
            return [finding async for finding in verifier.verify(start, seen, advance)]

    findings = run(work)
    for one in findings:
        if one.notice:
            console.print(one.what, style="yellow", markup=False, highlight=False)
    wrong = [one for one in findings if not one.notice]
    if wrong:
        print_table(_table(wrong))
        raise typer.Exit(1)
    console.print("history is what it was when it was sealed", style="green")


@app.command()
def seal() -> None:
    """Seal what was committed until now, without waiting for the schedule of bot.py."""

    async def work(installation: Installation) -> int | None:
        """How many rows were sealed; None while another process is at it."""
        folder = installation.settings.audit_export
        return await Chain(installation.database, Signer(installation.keyring), folder).seal()

    sealed = run(work)
    if sealed is None:
        refuse("another process is sealing just now")
    Console().print(f"{sealed} rows sealed", highlight=False)


@app.command("keys")
def show_keys() -> None:
    """The public keys that roots and receipts are checked with, by id, as JSON: hand them to whoever wants to check."""

    async def work(installation: Installation) -> dict[int, bytes]:
        """Of the keys that the settings have; keep what was printed before one is taken out."""
        return Signer(installation.keyring).public_keys()

    typer.echo(export.keys_json(run(work)).decode(), nl=False)


@app.command("list")
def list_actions(
    since: Since = None,
    by: Annotated[str | None, typer.Option("--by", help="Only what this person did.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Show at most so many, the newest.")] = 50,
) -> None:
    """What staff did, the newest first."""
    query = sa.select(staff_action).order_by(staff_action.c.at.desc()).limit(limit)
    if since is not None:
        query = query.where(staff_action.c.at >= since.replace(tzinfo=UTC))
    if by is not None:
        query = query.where(staff_action.c.by == by)

    async def work(installation: Installation) -> list[sa.RowMapping]:
        """One page of what was written down."""
        async with installation.database.connect() as connection:
            return list((await connection.execute(query)).mappings())

    table = Table("when", "who", "what", "why", "account", "detail")
    for row in run(work):
        account = "" if row["account_id"] is None else str(row["account_id"])
        detail = msgspec.json.encode(row["detail"]).decode() if row["detail"] else ""
        table.add_row(f"{row['at']:%Y-%m-%d %H:%M:%S}", row["by"], row["what"], row["why"], account, detail)
    print_table(table)


def _outside(where: Path, keys: dict[int, bytes], since: datetime | None) -> Outside:
    with Console(stderr=True).status(f"reading {where}"):
        return read_outside(where, keys, since)


def _table(findings: list[Finding]) -> Table:
    counts = Counter(one.what for one in findings)
    title = ", ".join(f"{count} {what}" for what, count in counts.most_common())
    table = Table("what", "shard", "root", "row", "account", "key", title=title, title_justify="left")
    for one in findings[:SHOWN]:
        seq = str(one.seq or "")
        if one.row is None:
            table.add_row(one.what, str(one.shard), seq, "", "", "")
            continue
        account = "" if one.account is None else str(one.account.account_id)
        table.add_row(one.what, str(one.shard), seq, one.row.kind.value, account, str(one.row.row_id))
    if len(findings) > SHOWN:
        table.add_row(f"and {len(findings) - SHOWN} more", "", "", "", "", "")
    return table
