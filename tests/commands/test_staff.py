"""``manage.py staff`` as the operator runs it: credentials once, nobody twice, everything in the audit trail."""

from __future__ import annotations

import asyncio

import psycopg

from tests.commands.conftest import Program

WHO = ("--by", "amina", "--why", "new in the shop")


async def test_an_account_is_made_listed_disabled_and_given_anew(database_url: str, program: Program) -> None:
    async def run(*arguments: str) -> tuple[int, str]:
        done = await asyncio.to_thread(program, "staff", *arguments)
        return done.exit_code, done.output

    status, made = await run("add", "noor", "support", *WHO)
    assert status == 0 and "otpauth://totp/" in made
    status, said = await run("add", "noor", "admin", *WHO)
    assert status == 2 and "noor is taken" in said
    assert await run("disable", "noor", *WHO) == (0, "noor signs in no more\n")
    _, listed = await run("list")
    assert "noor" in listed and "disabled" in listed
    status, fresh = await run("reset", "noor", *WHO)
    assert status == 0 and fresh != made
    assert "disabled" not in (await run("list"))[1]
    assert (await run("disable", "nobody", *WHO))[0] == 2
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT what, by FROM staff_action ORDER BY at").fetchall()
    assert rows == [("staff.add", "amina"), ("staff.disable", "amina"), ("staff.reset", "amina")]
