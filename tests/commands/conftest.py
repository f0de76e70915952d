"""The operator's command line, run as a person runs it: on the test's database, with none of this shell's settings."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest
from click.testing import Result
from typer.testing import CliRunner

import manage as script

ROOT = Path(__file__).resolve().parents[2]

#: runs a command line: ``program("line", "show", number, say="what is typed")``
Program: TypeAlias = Callable[..., Result]


@pytest.fixture
def environment(database_url: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The settings of an installation."""
    for variable in [variable for variable in os.environ if variable.startswith("RASID_")]:
        monkeypatch.delenv(variable)
    return {
        "DATABASE_URL": database_url,
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "RASID_OPERATOR": str(ROOT / "examples" / "kenya.toml"),
        "RASID_KEYS": json.dumps({"1": bytes(range(32)).hex()}),
        "LOGNAME": "amina",
        "COLUMNS": "250",
        "NO_COLOR": "1",
    }


@pytest.fixture
def program(environment: dict[str, str]) -> Program:
    """Runs ``manage.py``. Anything but a way of leaving would be a traceback on a person's screen."""

    def run(*arguments: object, say: str = "") -> Result:
        done = CliRunner().invoke(script.app, [str(one) for one in arguments], input=say, env=environment)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done

    return run


@pytest.fixture
def manage(program: Program) -> Callable[..., str]:
    """Runs a command that leaves with ``code``; returns what it printed, where that is 0 on standard output alone."""

    def run(*arguments: object, say: str = "", code: int = 0) -> str:
        done = program(*arguments, say=say)
        assert done.exit_code == code, done.output
        return done.stdout if code == 0 else done.output

    return run
