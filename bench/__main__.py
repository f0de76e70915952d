"""The benchmark's command line: ``python -m bench`` measures all; ``--help`` tells the rest."""

from __future__ import annotations

import logging
import os
import sys
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
    charts,
    door,
    mediation,
    messages,
    nchf,
    profiles,
    radius,
    reconciliation,
    results,
    settlements,
    turns,
)
from bench.figures import Chapter, as_json
from bench.house import House, open_house
from bench.machine import ROOT, commit, describe
from runtime.embedded.redis import redis_server
from runtime.keyring import Keyring
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
    NCHF = "nchf"
    RADIUS = "radius"
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
    profile: Annotated[Profiled | None, typer.Option(help="Print where CPU time goes instead of measuring.")] = None,
) -> None:
    """Measure Rasid beside its floors, on Postgres and Redis of its own: durable, both in a temporary folder."""
    configure_logs("bench", logging.WARNING)
    if profile is not None:
        print(uvloop.run(_profiled(profile, seconds=seconds, accounts=accounts, lines=lines)))
        return
    parts = [only] if only is not None else list(USUAL)
    sizes = Sizes(runs=runs, seconds=seconds, accounts=accounts, lines=lines, numbers=numbers, rows=rows)
    measured = uvloop.run(_measured(parts, sizes))
    results.write(measured, out)
    for part in parts:
        if part.value in charts.CHARTS:
            charts.draw(part.value, measured[part.value], out)
    results.show({part.value: measured[part.value] for part in parts}, console)
    console.print(f"written to {out}")


async def _measured(parts: list[Part], sizes: Sizes) -> dict[str, Any]:
    measured: dict[str, Any] = {}
    async with open_house() as house:
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
    operator, tell = load_operator(OPERATOR_FILE), console.print
    runs, seconds = sizes.runs, sizes.seconds
    if part is Part.DOOR:
        keyring = Keyring({1: os.urandom(32)})
        return await door.measure(
            house, operator, keyring, runs=runs, seconds=seconds, accounts=sizes.accounts, tell=tell
        )
    if part is Part.SETTLEMENTS:
        return await settlements.measure(
            house, operator, runs=runs, seconds=seconds, accounts=sizes.accounts, tell=tell
        )
    if part is Part.CALLBACKS:
        return await callbacks.measure(
            house, operator, OPERATOR_FILE, runs=runs, seconds=seconds, accounts=sizes.lines, tell=tell
        )
    if part is Part.RECONCILIATION:
        return await reconciliation.measure(house, operator, OPERATOR_FILE, runs=runs, rows=sizes.rows, tell=tell)
    if part is Part.MEDIATION:
        return await mediation.measure(
            house, operator, OPERATOR_FILE, runs=runs, rows=sizes.rows, lines=sizes.accounts, tell=tell
        )
    if part is Part.TURNS:
        return await turns.measure(
            house, operator, OPERATOR_FILE, runs=runs, seconds=seconds, lines=sizes.lines, tell=tell
        )
    if part is Part.NCHF:
        return await nchf.measure(
            house, operator, OPERATOR_FILE, runs=runs, seconds=seconds, lines=sizes.lines, tell=tell
        )
    if part is Part.RADIUS:
        return await radius.measure(
            house, operator, OPERATOR_FILE, runs=runs, seconds=seconds, lines=sizes.lines, tell=tell
        )
    if part is Part.MESSAGES:
        return await messages.measure(house, OPERATOR_FILE, runs=runs, seconds=seconds, tell=tell)
    return await campaign.measure(house, OPERATOR_FILE, numbers=sizes.numbers, tell=tell)


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
