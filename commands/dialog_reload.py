"""``manage.py dialog reload``: check an edited operator's file, and see it go live."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from channels.editions import Word, served
from channels.sessions import connect
from channels.ussd.configured import fits, profiles
from commands.installation import guarded
from commands.tables import print_table
from dialogs.check import check_operator, sentences
from dialogs.tailoring import edition_of
from settings import Settings, load_operator, load_settings

#: seconds between two looks at what the processes say
LOOK_SECONDS = 0.5


def reload_dialogs(
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for the running processes.")] = 15.0,
) -> None:
    """Check the operator's file as it stands and wait until all running processes serve it; exit code 1 if not."""
    console = Console()
    settings = guarded(load_settings)
    operator = guarded(lambda: load_operator(settings.operator))
    problems = check_operator(operator, fits(guarded(lambda: profiles(settings.gateways))))
    for problem in sentences(problems):
        console.print(problem, markup=False, highlight=False, soft_wrap=True)
    if problems:
        console.print("what is running stays as it is", style="red")
        raise typer.Exit(1)
    edition = edition_of(operator)
    words = guarded(lambda: asyncio.run(_wait(settings, edition, wait)))
    if not words:
        console.print(f"edition {edition} is sound; no process is running", style="yellow")
        return
    table = Table("process", "serves", "holds from the next start on", "refused because")
    for word in words:
        table.add_row(word.process, word.edition, ", ".join(word.next_start), "\n".join(word.refused))
    print_table(table)
    if any(word.edition != edition for word in words):
        console.print(f"not all processes serve edition {edition}", style="red")
        raise typer.Exit(1)
    console.print(f"all processes serve edition {edition}", style="green")


async def _wait(settings: Settings, edition: str, seconds: float) -> list[Word]:
    """What the processes say, as soon as all serve an edition, or when the time is up."""
    until = monotonic() + seconds
    async with connect(settings.redis_url) as redis:
        while True:
            words = await served(redis)
            if all(word.edition == edition for word in words) or monotonic() >= until:
                return words
            await asyncio.sleep(LOOK_SECONDS)
