"""The benchmarks of charging: a tiny run of each is whole, with its books in order. Nothing here is timed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.conftest import Measured

RATIOS = {
    "charges": {
        "charge, 64 at once / best tpc-b",
        "charge, 256 at once / best tpc-b",
        "charge, 2 processes, 256 at once / best tpc-b",
        "30 ms / p99 of a charge at 64",
    },
    "reservations": {"60 s / the latest to be let go after its end and grace"},
    "scale": {"charges with 300 lines / with 150"},
}


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.parametrize("part", RATIOS)
async def test_a_tiny_run_tells_every_ratio(measured: Measured, part: str) -> None:
    sizes = ("--runs", "1", "--seconds", "1", "--lines", "100", "--accounts", "300", "--rows", "10000")
    told = (await measured("--only", part, *sizes))[part]
    assert {one["name"] for one in told["ratios"]} == RATIOS[part]
    assert all(one["rate"] > 0 for one in told["series"])
    if part == "charges":
        assert told["facts"]["violations"] == 0


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_a_tiny_run_of_updates_is_whole(measured: Measured, tmp_path: Path) -> None:
    told = (await measured("--only", "nchf", "--runs", "1", "--seconds", "1", "--lines", "50"))["nchf"]
    assert [(one["subject"], one["load"]) for one in told["series"]] == [("update", 32), ("update", 128)]
    assert all(one["rate"] > 0 for one in told["series"])
    assert {one["target"] for one in told["ratios"]} == {1_500.0}
    assert "## Nchf" in (tmp_path / "results.md").read_text()
