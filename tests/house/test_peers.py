"""What a machine lacks is skipped and listed; where peers are required it is a failure."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = """
import pytest

@pytest.mark.needs("no-such-browser")
def test_in_a_browser():
    assert True

@pytest.mark.needs("sh")
def test_in_a_shell():
    assert True
"""


def run_suite(
    folder: Path, monkeypatch: pytest.MonkeyPatch, required: str, jobs: str
) -> subprocess.CompletedProcess[str]:
    monkeypatch.setenv("REQUIRE_PEERS", required)
    (folder / "test_sample.py").write_text(SAMPLE)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = needs(what)\n")
    argv = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", "-n", jobs, str(folder)]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_missing_peer_is_skipped_and_listed_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run_suite(tmp_path, monkeypatch, "0", jobs="1")
    assert done.returncode == 0
    assert "1 passed, 1 skipped" in done.stdout
    listed = done.stdout.partition("left out: peers that this machine lacks")[2]
    assert "no-such-browser: 1 test(s)" in listed


def test_a_missing_peer_is_a_failure_where_peers_are_required(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run_suite(tmp_path, monkeypatch, "1", jobs="0")
    assert done.returncode == 1
    assert "this machine has no no-such-browser (REQUIRE_PEERS=1)" in done.stdout
