"""The benchmark's command line: ``python -m bench`` measures all; ``--help`` tells the rest."""

from __future__ import annotations

import logging
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
import uvloop
from rich.console import Console

from bench import (
    callbacks,
    campaign,
    charges,
    charts,
    door,
    mediation,
    messages,
    nchf,
    portal,
    profiles,
    radius,
    reconciliation,
    reservations,
    results,
    searches,
    sessions,
    settlements,
    turns,
    validation,
)
from bench.figures import Chapter, as_json
from bench.house import SHARED_BUFFERS, House, open_house
from bench.machine import ROOT, commit, describe
from runtime.embedded.redis import redis_server
from runtime.logs import configure_logs
from settings import load_operator

OPERATOR_FILE = ROOT / "examples" / "kenya.toml"
OUT = ROOT / "docs" / "benchmarks"

console = Console(width=None if sys.stdout.isatty() else 160)


class Part(StrEnum):
    """What can be measured by itself."""

    DOOR = "door"
    TURNS = "turns"
    MESSAGES = "messages"
    SETTLEMENTS = "settlements"
    CALLBACKS = "callbacks"
    #: what stands before payments
    VALIDATION = "validation"
    CHARGES = "charges"
    #: few lines and many (--accounts): only when asked for
    SCALE = "scale"
    #: a million open reservations (--rows): only when asked for
    RESERVATIONS = "reservations"
    #: a million lines (--rows): only when asked for
    PORTAL = "portal"
    #: the console's search over a million lines (--rows): only when asked for
    SEARCHES = "searches"
    NCHF = "nchf"
    RADIUS = "radius"
    #: memory of Redis: only when asked for
    SESSIONS = "sessions"
    #: a million records for each run: only when asked for
    MEDIATION = "mediation"
    #: a million payments for each run: only when asked for
    RECONCILIATION = "reconciliation"
    #: long, and nothing in it is a median: only when asked for
    CAMPAIGN = "campaign"


class Profiled(StrEnum):
    """What can be profiled."""

    DOOR = "door"
    TURNS = "turns"
    CALLBACKS = "callbacks"


#: what is measured where nothing is said
USUAL = (Part.DOOR, Part.SETTLEMENTS, Part.CALLBACKS, Part.TURNS, Part.MESSAGES)


class Sizes(NamedTuple):
    """How much of everything."""

    runs: int
    seconds: int
    accounts: int
    lines: int
    numbers: int
    rows: int


def main(
    *,
    runs: Annotated[int, typer.Option(min=1, help="Measurements of everything, taking turns; medians are told.")] = 5,
    seconds: Annotated[int, typer.Option(min=1, help="Seconds of each measurement.")] = 5,
    only: Annotated[Part | None, typer.Option(help="Measure one part; the others' results are kept.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for results and charts.")] = OUT,
    accounts: Annotated[int, typer.Option(min=1, help="Accounts that are recharged.")] = 100_000,
    lines: Annotated[int, typer.Option(min=1, help="Lines that ask for their balance.")] = 10_000,
    numbers: Annotated[int, typer.Option(min=2, help="Numbers of the campaign (--only campaign).")] = 100_000,
    rows: Annotated[
        int, typer.Option(min=10_000, help="Rows that are reconciled, or records that are mediated (--only …).")
    ] = reconciliation.MILLION,
    shared_buffers: Annotated[str, typer.Option(help="Postgres's own cache.")] = SHARED_BUFFERS,
    profile: Annotated[Profiled | None, typer.Option(help="Print where CPU time goes instead of measuring.")] = None,
) -> None:
    """Measure Rasid beside its floors, on Postgres and Redis of its own: durable, both in a temporary folder."""
    configure_logs("bench", logging.WARNING)
    if profile is not None:
        print(uvloop.run(_profiled(profile, seconds=seconds, accounts=accounts, lines=lines)))
        return
    parts = [only] if only is not None else list(USUAL)
    sizes = Sizes(runs=runs, seconds=seconds, accounts=accounts, lines=lines, numbers=numbers, rows=rows)
    measured = uvloop.run(_measured(parts, sizes, shared_buffers))
    results.write(measured, out)
    for part in parts:
        if part.value in charts.CHARTS:
            charts.draw(part.value, measured[part.value], out)
    results.show({part.value: measured[part.value] for part in parts}, console)
    console.print(f"written to {out}")


async def _measured(parts: list[Part], sizes: Sizes, shared_buffers: str) -> dict[str, Any]:
    measured: dict[str, Any] = {}
    async with open_house(shared_buffers) as house:
        # Each part carries its own circumstances: they may be measured on different days.
        for part in parts:
            facts = await _circumstances(house, sizes.runs, sizes.seconds)
            console.rule(part.value)
            told = as_json(await _chapter(part, house, sizes))
            told["memory_mb"] |= {f"{name} idle": held for name, held in house.idle_mb.items()}
            told["facts"] = {**facts, **told["facts"]}
            measured[part.value] = told
    return measured


async def _chapter(part: Part, house: House, sizes: Sizes) -> Chapter:
    operator, tell, file = load_operator(OPERATOR_FILE), console.print, OPERATOR_FILE
    runs, seconds, accounts, lines, numbers, rows = sizes
    timed: dict[str, Any] = {"runs": runs, "seconds": seconds, "tell": tell}
    counted: dict[str, Any] = {"runs": runs, "rows": rows, "tell": tell}
    chapters: dict[Part, Callable[[], Awaitable[Chapter]]] = {
        Part.DOOR: lambda: door.measure(house, operator, accounts=accounts, **timed),
        Part.SETTLEMENTS: lambda: settlements.measure(house, operator, accounts=accounts, **timed),
        Part.CALLBACKS: lambda: callbacks.measure(house, operator, file, accounts=lines, **timed),
        Part.VALIDATION: lambda: validation.measure(house, operator, lines=lines, **timed),
        Part.RECONCILIATION: lambda: reconciliation.measure(house, operator, file, **counted),
        Part.MEDIATION: lambda: mediation.measure(house, operator, file, lines=accounts, **counted),
        Part.TURNS: lambda: turns.measure(house, operator, file, lines=lines, **timed),
        Part.CHARGES: lambda: charges.measure(house, operator, lines=lines, **timed),
        Part.SCALE: lambda: charges.measure_scale(house, operator, lines=accounts, **timed),
        Part.RESERVATIONS: lambda: reservations.measure(house, operator, count=rows, tell=tell),
        Part.PORTAL: lambda: portal.measure(house, operator, file, lines=rows, **timed),
        Part.SEARCHES: lambda: searches.measure(house, operator, file, lines=rows, **timed),
        Part.NCHF: lambda: nchf.measure(house, operator, file, lines=lines, **timed),
        Part.RADIUS: lambda: radius.measure(house, operator, file, lines=lines, **timed),
        Part.MESSAGES: lambda: messages.measure(house, file, runs=runs, seconds=seconds, tell=tell),
        Part.SESSIONS: lambda: sessions.measure(house, operator, runs=runs, tell=tell),
        Part.CAMPAIGN: lambda: campaign.measure(house, file, numbers=numbers, tell=tell),
    }
    return await chapters[part]()


async def _circumstances(house: House, runs: int, seconds: int) -> dict[str, Any]:
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "runs": runs,
        "seconds": seconds,
        **describe(house.folder, redis_server()),
        **await house.durability(),
    }


async def _profiled(part: Profiled, *, seconds: int, accounts: int, lines: int) -> str:
    operator = load_operator(OPERATOR_FILE)
    async with open_house() as house:
        if part is Profiled.DOOR:
            return await profiles.profile_door(house, operator, seconds=seconds, accounts=accounts)
        if part is Profiled.CALLBACKS:
            return await profiles.profile_callbacks(house, operator, OPERATOR_FILE, seconds=seconds, accounts=lines)
        return await profiles.profile_turns(house, operator, OPERATOR_FILE, seconds=seconds, lines=lines)


if __name__ == "__main__":
    typer.run(main)
