"""``manage.py line``: open, look at and change single lines."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated
from uuid import uuid5

import typer
from rich.console import Console
from rich.table import Table

from commands.installation import Installation, major_units, minor_units, refuse, run
from engine.books.invariants import unfreeze as let_spend
from engine.books.service import Door
from engine.words import Adjust, Answer, LineStatus, Subscriber, Unit
from runtime.metrics import Metrics

app = typer.Typer(help="Lines: open, look at, change.", no_args_is_help=True)

Msisdn = Annotated[str, typer.Argument(help="The number, in international or national form.")]
By = Annotated[str, typer.Option("--by", help="Who does this.")]


@app.command()
def add(
    msisdn: Msisdn,
    imsi: Annotated[str | None, typer.Option(help="The SIM's IMSI.")] = None,
    language: Annotated[str | None, typer.Option(help="One of the operator's languages; else its first.")] = None,
    status: Annotated[LineStatus, typer.Option(help="How the line starts.")] = LineStatus.PREACTIVE,
    ask_pin: Annotated[bool, typer.Option("--pin", help="Ask for a PIN, without showing it.")] = False,
) -> None:
    """Open a line on a new account."""
    pin = typer.prompt("PIN", hide_input=True, confirmation_prompt=True) if ask_pin else None

    async def work(installation: Installation) -> Subscriber:
        return await installation.accounts.create_line(msisdn, imsi, language, pin, status=status)

    _show(run(work))


@app.command()
def show(msisdn: Msisdn) -> None:
    """Status, language and buckets of a line."""

    async def work(installation: Installation) -> Subscriber:
        return await installation.accounts.subscriber(msisdn)

    _show(run(work))


@app.command()
def status(
    msisdn: Msisdn,
    to: Annotated[LineStatus, typer.Argument(help="The status to take it to.")],
    reason: Annotated[str, typer.Option(help="Why; kept in the log.")],
    by: By,
) -> None:
    """Take a line to another status."""

    async def work(installation: Installation) -> Subscriber:
        accounts = installation.accounts
        await accounts.set_status(await accounts.subscriber(msisdn), to, reason=reason, by=by)
        return await accounts.subscriber(msisdn)

    _show(run(work))


@app.command("pin-reset")
def pin_reset(msisdn: Msisdn) -> None:
    """Take the PIN away: the person sets a new one."""

    async def work(installation: Installation) -> None:
        accounts = installation.accounts
        await accounts.clear_pin(await accounts.subscriber(msisdn))

    run(work)
    Console().print("the PIN is gone")


@app.command()
def unlock(msisdn: Msisdn) -> None:
    """End the locks that wrong PINs and wrong voucher numbers have put on a line."""

    async def work(installation: Installation) -> None:
        accounts = installation.accounts
        await accounts.unlock(await accounts.subscriber(msisdn))

    run(work)
    Console().print("unlocked")


@app.command()
def adjust(
    msisdn: Msisdn,
    amount: Annotated[str, typer.Argument(help="Money, as people write it: 50 or 12.50.")],
    *,
    ticket: Annotated[str, typer.Option(help="The case this settles: the same ticket moves money once, ever.")],
    reason: Annotated[str, typer.Option(help="Why; kept in the books.")],
    by: By,
    take: Annotated[bool, typer.Option("--take", help="Deduct instead of credit.")] = False,
) -> None:
    """Correct the money of a line, through the one door like everything else."""

    async def work(installation: Installation) -> tuple[Answer, Subscriber]:
        line = await installation.accounts.subscriber(msisdn)
        minor = minor_units(amount, line.currency)
        door = Door(installation.books, installation.operator, Metrics(), lanes=1)
        try:
            answer = await door.post(
                Adjust(
                    account=line.account,
                    line_id=line.line_id,
                    key=uuid5(line.line_id, f"ticket|{ticket}"),
                    asked_at=datetime.now(UTC),
                    source=f"staff:{by}",
                    unit=Unit.MONEY,
                    amount=-minor if take else minor,
                    reason=reason,
                )
            )
        finally:
            await door.close()
        return answer, await installation.accounts.subscriber(msisdn)

    answer, line = run(work)
    if not answer.ok:
        refuse(f"refused: {answer.code.replace('_', ' ')}")
    Console().print(f"booked at {answer.booked_at:%Y-%m-%d %H:%M} UTC, ref {answer.reference}", highlight=False)
    _show(line)


@app.command()
def unfreeze(msisdn: Msisdn) -> None:
    """Let an account spend again that ``doctor --freeze`` stopped, once its books are right."""

    async def work(installation: Installation) -> None:
        line = await installation.accounts.subscriber(msisdn)
        await let_spend(installation.database, [line.account])

    run(work)
    Console().print("the account may spend again")


@app.command()
def erase(msisdn: Msisdn, by: By) -> None:
    """Forget the person: the account's key is destroyed, its lines end, the books stay whole. There is no way back."""
    typer.confirm("The account's numbers cannot be read ever again. Go on?", abort=True)

    async def work(installation: Installation) -> None:
        line = await installation.accounts.subscriber(msisdn)
        await installation.accounts.erase_person(line.account, by=by)

    run(work)
    Console().print("erased")


def _show(subscriber: Subscriber) -> None:
    console = Console()
    facts = [subscriber.status.value, subscriber.language, "PIN set" if subscriber.has_pin else "no PIN"]
    facts += ["frozen"] if subscriber.frozen else []
    console.print(f"{subscriber.msisdn}  {', '.join(facts)}", highlight=False)
    console.print(f"account {subscriber.account.account_id} in shard {subscriber.account.shard}", highlight=False)
    table = Table("bucket", "product", "unit", "left", "reserved", "until")
    for bucket in subscriber.buckets:
        money = bucket.unit is Unit.MONEY
        left, reserved = (
            major_units(amount, subscriber.currency) if money else f"{amount:,}"
            for amount in (bucket.amount, bucket.reserved)
        )
        until = "no end" if bucket.expires_at is None else f"{bucket.expires_at:%Y-%m-%d %H:%M} UTC"
        table.add_row(str(bucket.bucket_id), bucket.product, bucket.unit.value, left, reserved, until)
    console.print(table)
