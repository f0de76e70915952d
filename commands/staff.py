"""``manage.py staff``: who may sign in to the console, and as what."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import pyotp
import typer
from rich.console import Console
from rich.table import Table

from commands.installation import By, Installation, Why, run
from commands.tables import print_table
from engine.staff.rules import STEP_SECONDS
from engine.staff.service import Credentials, Staff
from engine.words import BadStaff, Role, StaffMember

app = typer.Typer(help="Staff of the console: add, list, disable, reset.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="What they sign in with, and what the audit trail calls them.")]
AsRole = Annotated[Role, typer.Argument(help="What they do: each person has one role.")]


@asynccontextmanager
async def _staff(installation: Installation) -> AsyncIterator[Staff]:
    staff = Staff(installation.database, installation.keyring, installation.trail, installation.operator.name)
    try:
        yield staff
    finally:
        staff.close()


@app.command()
def add(name: Name, role: AsRole, *, by: By, why: Why = "") -> None:
    """Make an account. Password and secret are shown once: hand them over in person."""

    async def work(installation: Installation) -> Credentials:
        """What they sign in with; only digests of it are kept."""
        async with _staff(installation) as staff:
            return await staff.add(name, role, by=by, why=why)

    _show(run(work))


@app.command("list")
def list_all() -> None:
    """Everybody, with their role and state."""

    async def work(installation: Installation) -> list[StaffMember]:
        """Disabled ones too."""
        async with _staff(installation) as staff:
            return await staff.members()

    table = Table("name", "role", "state", "signed in", "since")
    for one in run(work):
        seen = "" if one.signed_in_at is None else f"{one.signed_in_at:%Y-%m-%d %H:%M}"
        state = "active" if one.disabled_at is None else f"disabled {one.disabled_at:%Y-%m-%d}"
        table.add_row(one.name, one.role.value, state, seen, f"{one.created_at:%Y-%m-%d}")
    print_table(table)


@app.command()
def disable(name: Name, *, by: By, why: Why) -> None:
    """Let nobody sign in with this name any more; whoever has, is out at once. ``reset`` lets them in again."""

    async def work(installation: Installation) -> None:
        """Their sessions are over with it."""
        async with _staff(installation) as staff:
            await staff.disable(name, by=by, why=why)

    run(work)
    Console().print(f"{name} signs in no more", markup=False, highlight=False)


@app.command()
def reset(name: Name, *, by: By, why: Why) -> None:
    """Give who lost password or phone new ones; locks and sessions end. Make sure first that it is them."""

    async def work(installation: Installation) -> Credentials:
        """What they sign in with from now on."""
        async with _staff(installation) as staff:
            return await staff.reset(name, by=by, why=why)

    _show(run(work))


@app.command()
def code(secret: Annotated[str, typer.Argument(help="The secret that `add`, `reset` or the demo showed.")]) -> None:
    """The one-time code of a secret right now: for the demo, where nobody has it in an authenticator app."""
    typer.echo(pyotp.TOTP(secret, interval=STEP_SECONDS).now())


async def demo_staff(staff: Staff) -> list[dict[str, Any]]:
    """One person for each role, named for it, with fresh credentials: for the demo, which shows them."""
    people = []
    for role in Role:
        try:
            made = await staff.add(role.value, role, by="demo", why="sample staff")
        except BadStaff:  # kept from an earlier run
            made = await staff.reset(role.value, by="demo", why="sample staff")
        people.append({"name": made.name, "role": role.value, "password": made.password, "totp_secret": made.secret})
    return people


def _show(made: Credentials) -> None:
    table = Table.grid(padding=(0, 2))
    rows = (("Name", made.name), ("Role", made.role.value), ("Password", made.password), ("Secret", made.secret))
    for what, said in (*rows, ("For an app", made.uri)):
        table.add_row(f"[b]{what}[/b]", said)
    print_table(table)
