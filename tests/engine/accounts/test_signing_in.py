"""Codes by which a line signs in to the portal."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from engine.accounts.codes import CODE_TRIES, CODES_A_DAY
from engine.api import Engine
from engine.words import Message

NUMBER = "+254712345001"


async def sent(engine: Engine) -> list[Message]:
    due = await engine.claim_messages(100, 30)
    return [one for one in due if one.topic == "security.sign_in_code"]


@pytest.fixture
async def line(engine: Engine) -> str:
    await engine.create_line(NUMBER, "639020000000001", "en", "2580")
    return NUMBER


async def test_a_code_signs_its_line_in_once(engine: Engine, line: str) -> None:
    await engine.sign_in.send(line)
    (message,) = await sent(engine)
    assert await engine.sign_in.check("+254712345002", message.body["code"]) is None
    found = await engine.sign_in.check("0712345001", message.body["code"])
    assert found is not None and found.msisdn == line
    assert await engine.sign_in.check(line, message.body["code"]) is None


async def test_a_code_for_a_chat_opens_no_portal(engine: Engine, line: str) -> None:
    assert await engine.sign_in.check(line, await engine.link_code(await engine.subscriber(line))) is None


async def test_after_five_wrong_codes_the_right_one_is_refused(engine: Engine, line: str) -> None:
    await engine.sign_in.send(line)
    code = (await sent(engine))[0].body["code"]
    wrong = "000000" if code != "000000" else "000001"
    for _ in range(CODE_TRIES):
        assert await engine.sign_in.check(line, wrong) is None
    assert await engine.sign_in.check(line, code) is None


async def test_no_more_codes_are_texted_than_a_day_allows(engine: Engine, line: str) -> None:
    for _ in range(CODES_A_DAY + 2):
        await engine.sign_in.send(line)
    assert len(await sent(engine)) == CODES_A_DAY


async def test_whoever_has_no_line_is_told_nothing(engine: Engine, line: str) -> None:
    for number in ("+254799999999", "12", "+12025550123"):
        await engine.sign_in.send(number)
        assert await engine.sign_in.check(number, "123456") is None
    assert await sent(engine) == []


async def test_the_database_does_not_hold_the_code(engine: Engine, line: str, database_url: str) -> None:
    await engine.sign_in.send(line)
    code = (await sent(engine))[0].body["code"]
    with psycopg.connect(database_url) as owner:
        rows: list[Any] = owner.execute("SELECT sign_in_code::text FROM sign_in_code").fetchall()
    assert len(rows) == 1 and code not in rows[0][0]
