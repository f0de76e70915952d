"""``manage.py dialog hammer``: random and hostile turns against a scratch installation."""

from __future__ import annotations

import asyncio
import logging
import signal
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from channels.chats import chat_profile
from channels.sms.configured import text_profiles
from channels.ussd.configured import profiles
from commands.hammer import Hammer, Report, Target, populate, second_effects
from commands.installation import guarded
from commands.scratch import Scratch, scratch
from commands.tables import print_table
from runtime.logs import configure_logs
from runtime.metrics import Metrics
from settings import CHAT

#: lines that are hammered on
PEOPLE = 300
#: seconds between two words about how far it is
TELL_SECONDS = 5.0


def hammer(
    turns: Annotated[int, typer.Option(min=1, help="How many turns are played.")] = 20_000,
    seed: Annotated[int, typer.Option(help="What is typed follows from it.")] = 1,
    operator: Annotated[Path | None, typer.Option(help="The operator's file; by default examples/kenya.toml.")] = None,
) -> None:
    """Play random and hostile turns on all channels at once, on a scratch installation; exit code 1 on any fault.

    Ctrl-C ends it early, and what was seen until then is told.
    """
    configure_logs("hammer", logging.ERROR)
    console = Console()
    started = perf_counter()
    report, faults, screens = guarded(lambda: asyncio.run(_hammer(turns, seed, operator, console)))
    table = Table("what must not be", "times", title_justify="left")
    for what, times in [*report.faults.most_common(), *((fault, 1) for fault in faults)]:
        table.add_row(what, str(times))
    if table.row_count:
        print_table(table)
    console.print(
        f"{report.turns} turns in {report.sessions} sessions, {perf_counter() - started:.0f} s; "
        f"{len(report.screens)} of {screens} screens and notices shown; {len(report.told)} references told; "
        f"{report.slow} answers late; {report.lost} sessions lost while Redis did not answer"
    )
    if table.row_count:
        raise typer.Exit(1)
    console.print("no exception, no screen too long, no dead end, no second effect; the books are right", style="green")


async def _hammer(turns: int, seed: int, operator: Path | None, console: Console) -> tuple[Report, list[str], int]:
    async with scratch(operator, paying=True) as made:
        hammering = Hammer(await target_of(made), seed)
        telling = asyncio.create_task(_tell(hammering.report, turns, console))
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, hammering.stop)
        try:
            report = await hammering.run(turns)
        finally:
            telling.cancel()
        return report, await faults_of(made, report), len(made.opened.machine.states)


async def target_of(made: Scratch) -> Target:
    """A scratch installation, populated, as something to hammer on."""
    opened = made.opened
    operator = opened.operator
    apps = {**text_profiles(opened.settings, operator), CHAT: chat_profile(operator)}
    return Target(
        ussd=opened.conversation,
        texts=opened.text_channels.texts,
        gateways={name: known.budget for name, known in profiles(opened.settings.gateways).items()},
        apps={name: known.budget for name, known in apps.items()},
        msisdns=await populate(opened.engine, PEOPLE),
        vouchers=made.vouchers,
    )


async def faults_of(made: Scratch, report: Report) -> list[str]:
    """What the books have to say afterwards."""
    untold = await second_effects(made.books.billing, report)
    found = [f"done, and told to nobody: {reference}" for reference in untold[:20]]
    if report.lost and not made.opened.store.failures:
        found.append(f"{report.lost} sessions lost, though Redis answered")
    failed = _failed(made.opened.metrics)
    found += [f"{failed} turns failed: see the log"] if failed else []
    return found + [str(one) for one in await made.violations()]


def _failed(metrics: Metrics) -> int:
    """Turns that an exception ended."""
    samples = (sample for family in metrics.turn_seconds.collect() for sample in family.samples)
    return sum(int(one.value) for one in samples if one.name.endswith("_count") and one.labels["outcome"] == "failed")


async def _tell(report: Report, turns: int, console: Console) -> None:
    told: set[str] = set()
    while True:
        await asyncio.sleep(TELL_SECONDS)
        for what in report.faults.keys() - told:
            console.print(what, style="red", markup=False, highlight=False)
        told |= report.faults.keys()
        console.print(f"{report.turns:>9} of {turns} turns, {sum(report.faults.values())} faults", highlight=False)
