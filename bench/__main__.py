"""The benchmark's command line: ``python -m bench`` measures all; ``--help`` tells the rest."""

from __future__ import annotations

import logging
import os
import sys
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop
from rich.console import Console

from bench import charts, door, profiles, results, turns
from bench.figures import as_json
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


def main(
    *,
    runs: Annotated[int, typer.Option(min=1, help="Measurements of everything, taking turns; medians are told.")] = 5,
    seconds: Annotated[int, typer.Option(min=1, help="Seconds of each measurement.")] = 5,
    only: Annotated[Part | None, typer.Option(help="Measure one part; the other's results are kept.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for results and charts.")] = OUT,
    accounts: Annotated[int, typer.Option(min=1, help="Accounts that are recharged.")] = 100_000,
    lines: Annotated[int, typer.Option(min=1, help="Lines that ask for their balance.")] = 10_000,
    profile: Annotated[Part | None, typer.Option(help="Print where CPU time goes instead of measuring.")] = None,
) -> None:
    """Measure Rasid beside its floors, on Postgres and Redis of its own: durable, both in a temporary folder."""
    configure_logs("bench", logging.WARNING)
    if profile is not None:
        print(uvloop.run(_profiled(profile, seconds=seconds, accounts=accounts, lines=lines)))
        return
    parts = [only] if only is not None else list(Part)
    measured = uvloop.run(_measured(parts, runs=runs, seconds=seconds, accounts=accounts, lines=lines))
    results.write(measured, out)
    for part in parts:
        charts.draw(part.value, measured[part.value], out)
    results.show({part.value: measured[part.value] for part in parts}, console)
    console.print(f"written to {out}")


async def _measured(parts: list[Part], *, runs: int, seconds: int, accounts: int, lines: int) -> dict[str, Any]:
    operator = load_operator(OPERATOR_FILE)
    measured: dict[str, Any] = {}
    async with open_house() as house:
        # Each part carries its own circumstances: they may be measured on different days.
        for part in parts:
            facts = await _circumstances(house, runs, seconds)
            console.rule(part.value)
            if part is Part.DOOR:
                keyring = Keyring({1: os.urandom(32)})
                chapter = await door.measure(
                    house, operator, keyring, runs=runs, seconds=seconds, accounts=accounts, tell=console.print
                )
            else:
                chapter = await turns.measure(
                    house, operator, OPERATOR_FILE, runs=runs, seconds=seconds, lines=lines, tell=console.print
                )
            told = as_json(chapter)
            told["memory_mb"] |= {f"{name} idle": held for name, held in house.idle_mb.items()}
            told["facts"] = {**facts, **told["facts"]}
            measured[part.value] = told
    return measured


async def _circumstances(house: House, runs: int, seconds: int) -> dict[str, Any]:
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "runs": runs,
        "seconds": seconds,
        **describe(house.folder, redis_server()),
        **await house.durability(),
    }


async def _profiled(part: Part, *, seconds: int, accounts: int, lines: int) -> str:
    operator = load_operator(OPERATOR_FILE)
    async with open_house() as house:
        if part is Part.DOOR:
            return await profiles.profile_door(house, operator, seconds=seconds, accounts=accounts)
        return await profiles.profile_turns(house, operator, OPERATOR_FILE, seconds=seconds, lines=lines)


if __name__ == "__main__":
    typer.run(main)
