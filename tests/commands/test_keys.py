"""``manage.py keys``: an old master key is retired from the shell, and the operator is told when it may go."""

from __future__ import annotations

import json
from collections.abc import Callable

import psycopg

from tests.commands.conftest import Program

OLD, NEW = bytes(range(32)).hex(), (b"n" * 32).hex()
NUMBER = "+254712345001"


def test_a_key_is_retired_and_its_end_is_told(
    manage: Callable[..., str], environment: dict[str, str], database_url: str
) -> None:
    manage("line", "add", NUMBER, "--imsi", "639020000000001")
    assert "everything is under key 1" in manage("keys", "list")
    environment["RASID_KEYS"] = json.dumps({"1": OLD, "2": NEW})
    waiting = manage("keys", "list")
    assert "manage.py keys renew" in waiting and "may be taken out" not in waiting
    assert "nothing needs key 1: it may be taken out of RASID_KEYS" in manage("keys", "renew", "--why", "yearly")
    with psycopg.connect(database_url) as owner:
        row = owner.execute(
            "SELECT by, why, detail ->> 'key_id' FROM staff_action WHERE what = 'keys.renew'"
        ).fetchone()
    assert row == ("amina", "yearly", "2")
    environment["RASID_KEYS"] = json.dumps({"2": NEW})
    assert NUMBER in manage("line", "show", NUMBER)


def test_a_key_that_was_taken_out_too_early_is_named(program: Program, environment: dict[str, str]) -> None:
    assert program("line", "add", NUMBER).exit_code == 0
    environment["RASID_KEYS"] = json.dumps({"2": NEW})
    assert "key 1 is not in the settings" in program("keys", "list").output
    done = program("keys", "renew")
    assert done.exit_code == 1 and "1 rows cannot be read" in done.output
