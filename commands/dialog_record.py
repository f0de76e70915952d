"""``manage.py dialog record``, ``replay`` and ``diff``: what people did becomes a test of what the dialogs say."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.syntax import Syntax

from channels.recording import RecordedHop, ask_for, fetch
from channels.sessions import connect
from commands.habits import Habits, Remembered, habits_of
from commands.hammer import sample_numbers
from commands.installation import By, Installation, Why, guarded, run
from commands.recorded import (
    NUMBERS,
    Recording,
    changes,
    opening_of,
    play_again,
    read_recording,
    write_recording,
)
from commands.scratch import scratch
from engine.favourites.service import Favourites
from engine.payments.finding import Finder
from engine.words import Subscriber
from runtime.logs import configure_logs

#: seconds in which processes hear that a line is to be recorded, and hand in what is left
HEARD_SECONDS = 2.0


def record(
    msisdn: Annotated[str, typer.Argument(help="The line: nobody is recorded without being asked.")],
    file: Annotated[Path, typer.Argument(help="Where the recording is written.")],
    by: By,
    *,
    minutes: Annotated[int, typer.Option(min=1, max=60, help="For how long; Ctrl-C ends it before.")] = 5,
    why: Why = "",
) -> None:
    """Record what a line does and sees, PINs and numbers masked, as a file for ``replay``."""
    console = Console()
    guarded(lambda: _writable(file))

    async def work(installation: Installation) -> Recording:
        """The line as it stands, and what it does from now on until the minutes are over."""
        line = await installation.accounts.subscriber(msisdn)
        async with installation.trail.doing("dialog.record", by=by, why=why, account=line.account):
            habits = await _habits(installation, line)
            return Recording(opening_of(line), await _recorded(installation, line, minutes, console), habits)

    made = run(work)
    file.write_text(write_recording(made), encoding="utf-8")
    console.print(f"{file}: {len(made.hops)} hops")
    if not made.hops:
        console.print("nothing was done on this line meanwhile: there is nothing to replay", style="yellow")


def _writable(file: Path) -> None:
    """Raise ``OSError`` before anybody is recorded for a file that cannot be written; leave no file behind."""
    existed = file.exists()
    with file.open("a", encoding="utf-8"):
        pass
    if not existed:
        file.unlink()


async def _habits(installation: Installation, line: Subscriber) -> Habits:
    payments = Finder(installation.database)
    try:
        tills = {gateway.checkout for gateway in installation.settings.gateways.values() if gateway.checkout}
        return await habits_of(line, Favourites(installation.database, payments), tills)
    finally:
        await payments.close()


async def _recorded(installation: Installation, line: Subscriber, minutes: int, console: Console) -> list[RecordedHop]:
    async with connect(installation.settings.redis_url) as redis:
        await ask_for(redis, installation.keyring, line.msisdn, minutes)
        await asyncio.sleep(HEARD_SECONDS)
        console.print(f"recording for {minutes} min; Ctrl-C ends it", style="dim")
        try:
            await asyncio.sleep(minutes * 60)
        except asyncio.CancelledError:
            console.print("ended", style="dim")
        await asyncio.sleep(HEARD_SECONDS)
        return await fetch(redis, installation.keyring, line.msisdn)


def replay(
    files: Annotated[list[Path], typer.Argument(help="Recordings.")],
    *,
    operator: Annotated[Path | None, typer.Option(help="The operator's file; by default examples/kenya.toml.")] = None,
    update: Annotated[bool, typer.Option(help="Write what is shown now into the files.")] = False,
) -> None:
    """Play recordings again on a scratch installation and tell what has changed; exit code 1 if anything has."""
    configure_logs("replay", logging.ERROR)
    console = Console()
    recordings = guarded(lambda: {path: read_recording(path) for path in files})
    now = guarded(lambda: asyncio.run(played(list(recordings.values()), operator)))
    changed = 0
    for (path, recording), hops in zip(recordings.items(), now, strict=True):
        found = list(changes(recording.hops, hops))
        changed += bool(found)
        _tell(console, path.name, found)
        if update:
            now_shown = msgspec.structs.replace(recording, hops=hops)
            path.write_text(write_recording(now_shown), encoding="utf-8")
    if changed and not update:
        raise typer.Exit(1)


async def played(recordings: list[Recording], operator: Path | None = None) -> list[list[RecordedHop]]:
    """What each recording shows now, where the operator's ways to pay are offered as in production."""
    async with scratch(operator, paying=True) as made:
        numbers = sample_numbers(made.opened.operator.country, NUMBERS * len(recordings))
        made.opened.engine.favourites = before = Remembered(made.opened.engine.favourites)
        return [
            await play_again(made, recording, f"replay-{place}", numbers[place * NUMBERS :][:NUMBERS], before)
            for place, recording in enumerate(recordings)
        ]


def diff(
    before: Annotated[Path, typer.Argument(help="A recording.")],
    after: Annotated[Path, typer.Argument(help="Another one of the same inputs.")],
) -> None:
    """Tell what differs between two recordings, screen by screen; exit code 1 if anything does."""
    found = guarded(lambda: list(changes(read_recording(before).hops, read_recording(after).hops)))
    _tell(Console(), after.name, found)
    if found:
        raise typer.Exit(1)


def _tell(console: Console, name: str, found: list[str]) -> None:
    for one in found:
        console.print(Syntax(one, "diff", background_color="default", word_wrap=True))
    console.print(f"{name}: {f'{len(found)} screen(s) changed' if found else 'nothing has changed'}", highlight=False)
