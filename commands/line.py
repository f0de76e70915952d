"""``manage.py line``: open, look at and change single lines."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import uuid5

import typer
from rich.console import Console
from rich.table import Table

from commands.installation import By, Installation, Why, major_units, minor_units, open_door, refuse, run
from commands.tables import print_table
from engine.accounts.sims import change_sim
from engine.books.invariants import unfreeze as let_spend
from engine.words import Adjust, Answer, LineStatus, Operation, SetCreditLimit, Subscriber, Unit

app = typer.Typer(help="Lines: open, look at, change.", no_args_is_help=True)

Msisdn = Annotated[str, typer.Argument(help="The number, in international or national form.")]


@app.command()
def add(
    msisdn: Msisdn,
    *,
    imsi: Annotated[str | None, typer.Option(help="The SIM's IMSI.")] = None,
    language: Annotated[str | None, typer.Option(help="One of the operator's languages; else its first.")] = None,
    status: Annotated[LineStatus, typer.Option(help="How the line starts.")] = LineStatus.PREACTIVE,
    ask_pin: Annotated[bool, typer.Option("--pin", help="Ask for a PIN, without showing it.")] = False,
    postpaid: Annotated[bool, typer.Option("--postpaid", help="Billed by the month; see `line limit`.")] = False,
    fixed: Annotated[bool, typer.Option("--fixed", help="The number is that of a fixed line.")] = False,
    why: Why = "",
    by: By,
) -> None:
    """Open a line on a new account."""
    pin = typer.prompt("PIN", hide_input=True, confirmation_prompt=True) if ask_pin else None

    async def work(installation: Installation) -> Subscriber:
        """Written down before it is tried, and once it is done with the line that came of it."""
        async with installation.trail.doing("line.add", by=by, why=why, detail={"status": status.value}):
            line = await installation.accounts.create_line(
                msisdn, imsi, language, pin, status=status, postpaid=postpaid, fixed=fixed
            )
        await installation.trail.record("line.added", by=by, why=why, account=line.account, line_id=line.line_id)
        return line

    _show(run(work))


@app.command()
def show(msisdn: Msisdn) -> None:
    """Status, language and buckets of a line."""
    _show(run(lambda installation: installation.line(msisdn)))


@app.command()
def status(
    msisdn: Msisdn,
    to: Annotated[LineStatus, typer.Argument(help="The status to take it to.")],
    reason: Annotated[str, typer.Option(help="Why; kept in the log.")],
    by: By,
) -> None:
    """Take a line to another status."""

    async def work(installation: Installation) -> Subscriber:
        """The line as it stands afterwards."""
        line = await installation.line(msisdn)
        async with _doing(installation, "line.status", line, by, reason, before=line.status.value, to=to.value):
            await installation.accounts.set_status(line, to, reason=reason, by=by)
        return await installation.line(msisdn)

    _show(run(work))


@app.command()
def sim(
    msisdn: Msisdn,
    imsi: Annotated[str, typer.Argument(help="The new SIM's IMSI.")],
    by: By,
    why: Why,
) -> None:
    """Give a line another SIM. For a while its payments are looked at more closely."""

    async def work(installation: Installation) -> Subscriber:
        """The line, its number unchanged."""
        line = await installation.line(msisdn)
        async with _doing(installation, "line.sim", line, by, why):
            await change_sim(installation.database, installation.keyring, line, imsi)
        return line

    _show(run(work))


@app.command("pin-reset")
def pin_reset(msisdn: Msisdn, by: By, why: Why = "") -> None:
    """Take the PIN away: the person sets a new one."""

    async def work(installation: Installation) -> None:
        """With the trail first: whose PIN goes away unseen loses the account with it."""
        line = await installation.line(msisdn)
        async with _doing(installation, "line.pin_reset", line, by, why):
            await installation.accounts.clear_pin(line)

    run(work)
    Console().print("the PIN is gone")


@app.command()
def unlock(msisdn: Msisdn, by: By, why: Why = "") -> None:
    """End the locks that wrong PINs and wrong voucher numbers have put on a line."""

    async def work(installation: Installation) -> None:
        """Both counts begin anew."""
        line = await installation.line(msisdn)
        async with _doing(installation, "line.unlock", line, by, why):
            await installation.accounts.unlock(line)

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
        """Under a key that the ticket gives: the same ticket again books nothing more."""
        line = await installation.line(msisdn)
        minor = minor_units(amount, line.currency)
        asked = Adjust(**_asked(line, by, ticket), unit=Unit.MONEY, amount=-minor if take else minor, reason=reason)
        detail = {"amount": asked.amount, "ticket": ticket}
        return await _post(installation, "line.adjust", line, asked, by=by, why=reason, detail=detail)

    _show_booked(*run(work))


@app.command()
def limit(
    number: Msisdn,
    amount: Annotated[str, typer.Argument(help="How much the account may owe, as people write it: 500 or 12.50.")],
    *,
    ticket: Annotated[str, typer.Option(help="The case this settles: the same ticket sets a limit once, ever.")],
    reason: Annotated[str, typer.Option(help="Why; kept in the books.")],
    by: By,
) -> None:
    """Set how much a postpaid account may owe."""

    async def work(installation: Installation) -> tuple[Answer, Subscriber]:
        """Under a key that the ticket gives: the same ticket again changes nothing."""
        line = await installation.line(number)
        minor = minor_units(amount, line.currency)
        asked = SetCreditLimit(**_asked(line, by, ticket), limit=minor, reason=reason)
        detail = {"limit": minor, "ticket": ticket}
        return await _post(installation, "line.limit", line, asked, by=by, why=reason, detail=detail)

    _show_booked(*run(work))


@app.command()
def unfreeze(msisdn: Msisdn, by: By, why: Why = "") -> None:
    """Let an account spend again that ``doctor --freeze`` stopped, once its books are right."""

    async def work(installation: Installation) -> None:
        """The account of this line, and with it all its lines."""
        line = await installation.line(msisdn)
        async with _doing(installation, "line.unfreeze", line, by, why):
            await let_spend(installation.database, [line.account])

    run(work)
    Console().print("the account may spend again")


@app.command()
def erase(msisdn: Msisdn, by: By, why: Why = "") -> None:
    """Forget the person: the account's key is destroyed, its lines end, the books stay whole. There is no way back."""
    typer.confirm("The account's numbers cannot be read ever again. Go on?", abort=True)

    async def work(installation: Installation) -> None:
        """The account of this line, and with it all its lines."""
        line = await installation.line(msisdn)
        async with _doing(installation, "line.erase", line, by, why):
            await installation.accounts.erase_person(line.account, by=by)

    run(work)
    Console().print("erased")


def _asked(line: Subscriber, by: str, ticket: str) -> dict[str, Any]:
    return {
        "account": line.account,
        "line_id": line.line_id,
        "key": uuid5(line.line_id, f"ticket|{ticket}"),
        "asked_at": datetime.now(UTC),
        "source": f"staff:{by}",
    }


async def _post(
    installation: Installation, what: str, line: Subscriber, asked: Operation, **trail: Any
) -> tuple[Answer, Subscriber]:
    """Post what staff asks for, once it stands in the audit trail; and look at the line again."""
    await installation.trail.record(what, account=line.account, line_id=line.line_id, **trail)
    async with open_door(installation) as door:
        answer = await door.post(asked)
    return answer, await installation.line(line.msisdn)


def _show_booked(answer: Answer, line: Subscriber) -> None:
    if not answer.ok:
        refuse(f"refused: {answer.code.replace('_', ' ')}")
    Console().print(f"booked at {answer.booked_at:%Y-%m-%d %H:%M} UTC, ref {answer.reference}", highlight=False)
    _show(line)


def _doing(
    installation: Installation, what: str, line: Subscriber, by: str, why: str, **detail: Any
) -> AbstractAsyncContextManager[None]:
    """In the audit trail, on whom it is done."""
    return installation.trail.doing(what, by=by, why=why, account=line.account, line_id=line.line_id, detail=detail)


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
    print_table(table)
