"""The benchmark as people start it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from bench.machine import ROOT

#: runs the benchmark with options, to its good end, and returns what it kept: ``await measured("--only", "nchf")``
Measured = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
def measured(tmp_path: Path) -> Measured:
    """Runs of the benchmark that leave results and charts in ``tmp_path``."""

    async def run(*options: str) -> dict[str, Any]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench", *options, "--out", str(tmp_path)),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        assert process.returncode == 0, said.decode()
        results: dict[str, Any] = json.loads((tmp_path / "results.json").read_text())
        return results

    return run
