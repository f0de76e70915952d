"""``manage.py bill``: bills of postpaid accounts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
import typer
from rich.console import Console
from rich.table import Table

from commands.bars import counting
from commands.installation import By, Installation, Why, major_units, open_door, run
from commands.tables import print_table
from engine.receivables.service import Bills
from engine.receivables.tables import bill

app = typer.Typer(help="Bills of postpaid accounts.", no_args_is_help=True)


@app.command()
def make(
    month: Annotated[str, typer.Argument(help="The local month that is billed: 2026-10.")], by: By, why: Why = ""
) -> None:
    """Bill every postpaid account for a month that is over; what is billed already stays as it is."""

    async def work(installation: Installation) -> int:
        """How many bills were made, written down as this person's doing."""
        period = month_of(month, installation.operator.timezone)
        async with (
            installation.trail.doing("bill.make", by=by, why=why, detail={"month": month}),
            open_door(installation) as door,
        ):
            bills = Bills(installation.database, installation.operator, door)
            with counting("accounts", None) as advance:
                return await bills.make_bills(*period, advance)

    Console().print(f"{run(work)} bills for {month}")


@app.command("list")
def list_bills(
    number: Annotated[str, typer.Argument(help="A line of the account, in international or national form.")],
) -> None:
    """The bills of an account, newest first."""

    async def work(installation: Installation) -> list[Any]:
        """Five years of bills at the most."""
        line = await installation.line(number)
        query = (
            sa.select(bill)
            .where(bill.c.shard == line.account.shard, bill.c.account_id == line.account.account_id)
            .order_by(bill.c.period_to.desc())
            .limit(60)
        )
        async with installation.database.connect() as connection:
            return list(await connection.execute(query))

    table = Table("bill", "from", "to", "amount", "open", "due")
    for one in run(work):
        days = (f"{day:%Y-%m-%d %H:%M}" for day in (one.period_from, one.period_to))
        money = (major_units(amount, one.currency) for amount in (one.amount, one.open_amount))
        table.add_row(one.number, *days, *money, f"{one.due_at:%Y-%m-%d %H:%M} UTC")
    print_table(table)


def month_of(text: str, timezone: str) -> tuple[datetime, datetime]:
    """The instants at which a local month begins and ends. Raises ``ValueError`` for what is no month."""
    try:
        first = datetime.strptime(text, "%Y-%m").replace(tzinfo=ZoneInfo(timezone))
    except ValueError:
        raise ValueError(f"{text!r} is no month: 2026-10 is meant") from None
    after = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    return first.astimezone(UTC), after.astimezone(UTC)
