"""``manage.py events``: who is told of what happens, and what could not be delivered."""

from __future__ import annotations

import secrets
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table

from commands.installation import By, Installation, Why, run
from commands.tables import print_table
from engine.events.service import Events

app = typer.Typer(help="Events to outside systems: subscriptions, and what was given up.", no_args_is_help=True)

SubscriptionId = Annotated[UUID, typer.Argument(help="The subscription, as `events list` shows it.")]


def _events(installation: Installation) -> Events:
    return Events(installation.database, installation.keyring, installation.trail, installation.settings.webhooks)


@app.command()
def subscribe(
    callback: Annotated[str, typer.Argument(help="Where events are sent to: https://…")],
    by: By,
    query: Annotated[str, typer.Option(help="eventType=…, several separated by commas; all without it.")] = "",
    ask_secret: Annotated[bool, typer.Option("--secret", help="Ask for the secret instead of drawing one.")] = False,
) -> None:
    """Let another system hear of what happens from now on. Shows the secret that signs it, once."""
    secret = typer.prompt("secret", hide_input=True) if ask_secret else secrets.token_hex(32)
    made = run(lambda installation: _events(installation).subscribe(callback, query=query, secret=secret, by=by))
    Console().print(f"subscription {made.subscription_id}", highlight=False)
    if not ask_secret:
        typer.echo(f"secret {secret}")


@app.command()
def unsubscribe(subscription_id: SubscriptionId, by: By, why: Why = "") -> None:
    """Tell it nothing more."""

    async def work(installation: Installation) -> None:
        """Refused where nobody is known by this id."""
        await _events(installation).unsubscribe(subscription_id, by=by, why=why)

    run(work)
    Console().print("unsubscribed")


@app.command("list")
def list_subscriptions() -> None:
    """Who is told of what."""
    table = Table("subscription", "callback", "topics", "made by", "since")
    for one in run(lambda installation: _events(installation).list()):
        topics = ", ".join(one.topics) or "all"
        table.add_row(str(one.subscription_id), one.callback, topics, one.made_by, f"{one.made_at:%Y-%m-%d %H:%M} UTC")
    print_table(table)


@app.command()
def parked(limit: Annotated[int, typer.Option(min=1, help="Show at most so many, the newest.")] = 50) -> None:
    """What was given up, and why."""
    table = Table("subscription", "event", "tries", "why", "since")
    for one in run(lambda installation: _events(installation).parked(limit)):
        since = f"{one.made_at:%Y-%m-%d %H:%M:%S} UTC"
        table.add_row(str(one.subscription_id), str(one.event_id), str(one.attempts), one.error or "", since)
    print_table(table)


@app.command()
def resend(
    subscription_id: SubscriptionId,
    by: By,
    event_ids: Annotated[
        list[UUID] | None, typer.Argument(help="Events, as `events parked` shows them; else all.")
    ] = None,
    why: Why = "",
) -> None:
    """Send what was given up again."""
    due = run(lambda installation: _events(installation).resend(subscription_id, event_ids or (), by=by, why=why))
    Console().print(f"{due} due again", highlight=False)
