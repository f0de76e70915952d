"""The benchmark of Nchf: a tiny run is whole, every update is granted. Nothing here is timed."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from bench.machine import ROOT


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_a_tiny_run_of_updates_is_whole(tmp_path: Path) -> None:
    sizes = ["--runs", "1", "--seconds", "1", "--lines", "50"]
    run = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench", "--only", "nchf", *sizes, "--out", str(tmp_path)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await run.communicate()
    assert run.returncode == 0, said.decode()
    measured = json.loads((tmp_path / "results.json").read_text())["nchf"]
    assert [(one["subject"], one["load"]) for one in measured["series"]] == [("update", 32), ("update", 128)]
    assert all(one["rate"] > 0 for one in measured["series"])
    assert {one["target"] for one in measured["ratios"]} == {1_500.0}
    assert "## Nchf" in (tmp_path / "results.md").read_text()
