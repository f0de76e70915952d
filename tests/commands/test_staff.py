"""``manage.py staff`` as the operator runs it: credentials once, nobody twice, everything in the audit trail."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from commands import staff

ROOT = Path(__file__).resolve().parents[2]
WHO = ("--by", "amina", "--why", "new in the shop")


async def test_an_account_is_made_listed_disabled_and_given_anew(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in [variable for variable in os.environ if variable.startswith("RASID_")]:
        monkeypatch.delenv(variable)
    environment = {
        "DATABASE_URL": database_url,
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "RASID_OPERATOR": str(ROOT / "examples" / "kenya.toml"),
        "RASID_KEYS": json.dumps({"1": bytes(range(32)).hex()}),
        "COLUMNS": "250",
        "NO_COLOR": "1",
    }

    async def run(*arguments: str) -> tuple[int, str]:
        done = await asyncio.to_thread(CliRunner().invoke, staff.app, list(arguments), env=environment)
        # Anything but a way of leaving is a traceback on a person's screen.
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.output

    status, made = await run("add", "noor", "support", *WHO)
    assert status == 0 and "otpauth://totp/" in made
    status, said = await run("add", "noor", "admin", *WHO)
    assert status == 2 and "noor is taken" in said
    assert (await run("disable", "noor", *WHO))[0] == 0
    _, listed = await run("list")
    assert "noor" in listed and "disabled" in listed
    status, fresh = await run("reset", "noor", *WHO)
    assert status == 0 and fresh != made
    assert "disabled" not in (await run("list"))[1]
    assert (await run("disable", "nobody", *WHO))[0] == 2
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT what, by FROM staff_action ORDER BY at").fetchall()
    assert rows == [("staff.add", "amina"), ("staff.disable", "amina"), ("staff.reset", "amina")]
