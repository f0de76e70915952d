"""The benchmarks of charging: a tiny run of each is whole, with its books in order. Nothing here is timed."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from bench.machine import ROOT

RATIOS = {
    "charges": {
        "charge, 64 at once / best tpc-b",
        "charge, 256 at once / best tpc-b",
        "30 ms / p99 of a charge at 64",
    },
    "reservations": {"60 s / the latest to be let go after its end and grace"},
    "scale": {"charges with 300 lines / with 150"},
}


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.parametrize("part", RATIOS)
async def test_a_tiny_run_tells_every_ratio(tmp_path: Path, part: str) -> None:
    sizes = ["--runs", "1", "--seconds", "1", "--lines", "100", "--accounts", "300", "--rows", "10000"]
    run = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench", "--only", part, *sizes, "--out", str(tmp_path)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await run.communicate()
    assert run.returncode == 0, said.decode()
    measured = json.loads((tmp_path / "results.json").read_text())[part]
    assert {one["name"] for one in measured["ratios"]} == RATIOS[part]
    assert all(one["rate"] > 0 for one in measured["series"])
    if part == "charges":
        assert measured["facts"]["violations"] == 0
