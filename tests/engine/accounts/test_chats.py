"""A chat is linked by who holds both the chat and the line, found by digest, sealed, and forgotten with its person."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest

from engine.accounts.codes import CODE_TRIES, CODES_A_DAY
from engine.api import Engine
from engine.words import Subscriber, TooManyCodes
from tests.engine.shop import next_msisdn, open_line

CHAT = "998877665544"


@pytest.fixture
async def person(engine: Engine) -> Subscriber:
    return await open_line(engine)


@pytest.fixture
def owner(database_url: str):
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06d}"


async def topics(engine: Engine) -> list[str]:
    return [message.topic for message in await engine.claim_messages(100, 60)]


async def test_the_right_code_links_once_and_the_line_is_told(engine: Engine, person: Subscriber) -> None:
    code = await engine.link_code(person)
    assert len(code) == 6
    assert code.isdigit()
    assert await engine.link_chat("telegram", CHAT, person.msisdn, code)
    assert await engine.linked("telegram", CHAT) == person.msisdn
    assert await engine.chats(person) == {"telegram": CHAT}
    assert await topics(engine) == ["security.chat_linked"]
    assert not await engine.link_chat("telegram", "1", person.msisdn, code), "a code is used up"


async def test_a_number_in_national_form_and_digits_of_another_script_will_do(
    engine: Engine, person: Subscriber
) -> None:
    code = (await engine.link_code(person)).translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩"))
    assert await engine.link_chat("telegram", CHAT, "0" + person.msisdn.removeprefix("+254"), code)


async def test_wrong_codes_use_up_the_tries_of_the_right_one(engine: Engine, person: Subscriber) -> None:
    code = await engine.link_code(person)
    tries = [engine.link_chat("telegram", CHAT, person.msisdn, wrong(code)) for _ in range(CODE_TRIES)]
    assert await asyncio.gather(*tries) == [False] * CODE_TRIES
    assert not await engine.link_chat("telegram", CHAT, person.msisdn, code)


async def test_an_old_code_a_strange_number_and_no_code_at_all_look_the_same(
    engine: Engine, person: Subscriber, owner
) -> None:
    code = await engine.link_code(person)
    assert not await engine.link_chat("telegram", CHAT, next_msisdn(), code)
    assert not await engine.link_chat("telegram", CHAT, "nonsense", code)
    assert not await engine.link_chat("telegram", CHAT, person.msisdn, "")
    owner.execute("UPDATE link_code SET expires_at = now()")
    assert not await engine.link_chat("telegram", CHAT, person.msisdn, code)


async def test_a_line_is_given_so_many_codes_a_day(engine: Engine, person: Subscriber, owner) -> None:
    for _ in range(CODES_A_DAY):
        code = await engine.link_code(person)
    with pytest.raises(TooManyCodes):
        await engine.link_code(person)
    assert await engine.link_chat("telegram", CHAT, person.msisdn, code), "the last one stays good"
    owner.execute("UPDATE link_code SET window_from = now() - interval '1 day'")
    await engine.link_code(person)


async def test_of_two_who_give_the_right_code_at_once_one_is_linked(engine: Engine, person: Subscriber) -> None:
    code = await engine.link_code(person)
    linked = await asyncio.gather(*(engine.link_chat("telegram", chat, person.msisdn, code) for chat in ("1", "2")))
    assert sorted(linked) == [False, True]


async def test_a_line_has_one_chat_and_a_chat_one_line(engine: Engine, person: Subscriber) -> None:
    other = await open_line(engine)
    for line, chat in ((person, "1"), (person, "2"), (other, "2")):
        assert await engine.link_chat("telegram", chat, line.msisdn, await engine.link_code(line))
    assert await engine.linked("telegram", "1") is None
    assert await engine.linked("telegram", "2") == other.msisdn
    assert await engine.chats(person) == {}
    assert await engine.unlink("telegram", "2")
    assert not await engine.unlink("telegram", "2")
    assert await engine.linked("telegram", "2") is None


async def test_neither_chat_nor_code_lies_in_the_clear(engine: Engine, person: Subscriber, owner) -> None:
    code = await engine.link_code(person)
    rows: list[Any] = owner.execute("SELECT link_code::text FROM link_code").fetchall()
    await engine.link_chat("telegram", CHAT, person.msisdn, code)
    for table in ("chat", "directory", "outbox"):
        rows += owner.execute(f"SELECT t::text FROM {table} t").fetchall()
    written = " ".join(row[0] for row in rows)
    assert CHAT not in written
    assert CHAT.encode().hex() not in written
    assert f'"{code}"' not in written


async def test_with_its_person_a_chat_is_forgotten(engine: Engine, person: Subscriber, owner) -> None:
    await engine.link_chat("telegram", CHAT, person.msisdn, await engine.link_code(person))
    await engine.accounts.erase_person(person.account, by="test")
    assert await engine.linked("telegram", CHAT) is None
    assert owner.execute("SELECT (SELECT count(*) FROM chat) + (SELECT count(*) FROM directory)").fetchone() == (0,)


async def test_the_line_hears_of_what_happens_to_its_pin(engine: Engine, person: Subscriber) -> None:
    await engine.set_pin(person, "2580")
    for _ in range(engine.operator.pins.tries):
        await engine.check_pin(person, "1111")
    await engine.accounts.clear_pin(person)
    assert sorted(await topics(engine)) == ["security.pin_changed", "security.pin_locked", "security.pin_removed"]
