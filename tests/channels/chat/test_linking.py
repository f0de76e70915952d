"""Linking a chat to a line: the number, the code that only its phone receives, and those who guess."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from channels.linking import CODES_AN_HOUR, WRONG_MOST
from engine.api import Engine
from engine.words import LineStatus
from tests.channels.chat.conftest import MakeChats
from tests.channels.chat.person import AMINA, BARAKA, Person, everything_in, labels
from tests.channels.phone import MSISDN

STRANGER = "+254799999999"


@pytest.fixture
def amina(make_chats: MakeChats, line: str) -> Person:
    return Person(make_chats())


async def codes(engine: Engine) -> list[tuple[str, str]]:
    """(number, code) of the texts with codes that are due."""
    due = await engine.claim_messages(100, 0)
    return [(one.msisdn, one.body["code"]) for one in due if one.topic == "security.link_code"]


async def linked(engine: Engine, chat: int = AMINA) -> str | None:
    return await engine.linked("telegram", str(chat))


async def test_a_chat_is_linked_by_number_and_code_and_shows_the_menu(amina: Person, engine: Engine):
    assert "mobile number" in (await amina.command("start")).text
    assert "code" in (await amina.write("0712 345 678")).text
    [(number, code)] = await codes(engine)
    assert number == MSISDN
    answer = await amina.write(code)
    assert answer.text.startswith("This chat now belongs to your number.") and "Balance" in labels(answer)
    assert answer.deletes
    assert await linked(engine) == MSISDN


async def test_the_buttons_under_the_welcome_work(amina: Person, engine: Engine):
    await amina.write(MSISDN)
    [(_, code)] = await codes(engine)
    await amina.write(code)
    assert (await amina.tap("Balance")).text.startswith("Balance: KES 0.00")


async def test_what_the_person_came_for_is_done_once_the_chat_is_linked(amina: Person, engine: Engine):
    await amina.command("start", "buy_1")
    await amina.write(MSISDN)
    [(_, code)] = await codes(engine)
    assert "100 MB 1 day" in (await amina.write(code)).text


async def test_a_link_with_the_number_sends_the_code_and_one_with_both_links(amina: Person, engine: Engine):
    assert "code" in (await amina.command("start", f"link_{MSISDN[1:]}")).text
    code = await engine.link_code(await engine.subscriber(MSISDN))
    await amina.write(code)
    assert await linked(engine) == MSISDN


async def test_the_same_is_said_of_a_number_that_is_not_ours(amina: Person, engine: Engine, make_chats: MakeChats):
    ours = await amina.write(MSISDN)
    other = await Person(make_chats(), BARAKA).write(STRANGER)
    assert ours.text == other.text
    assert [number for number, _ in await codes(engine)] == [MSISDN]


async def test_a_closed_line_is_sent_no_code(amina: Person, engine: Engine):
    await engine.accounts.set_status(
        await engine.subscriber(MSISDN), LineStatus.TERMINATED, reason="port out", by="amina"
    )
    assert "code" in (await amina.write(MSISDN)).text
    assert await codes(engine) == []


@pytest.mark.parametrize("number", ["+41791234567", "0800 123 456 7", "99999999999"])
async def test_a_number_that_cannot_be_ours_is_said_to_be_none(amina: Person, number: str):
    assert (await amina.write(number)).text.startswith("That is no mobile number of Rasid Kenya.")


async def test_a_wrong_code_links_nothing_and_is_taken_out_of_the_chat(amina: Person, engine: Engine):
    await amina.write(MSISDN)
    [(_, code)] = await codes(engine)
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    answer = await amina.write(wrong)
    assert answer.text.startswith("That code is wrong") and answer.deletes
    assert await linked(engine) is None
    await amina.write(code)
    assert await linked(engine) == MSISDN


async def test_after_some_wrong_codes_the_right_one_helps_no_more(amina: Person, engine: Engine):
    await amina.write(MSISDN)
    [(_, code)] = await codes(engine)
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    answers = [await amina.write(wrong) for _ in range(WRONG_MOST)]
    assert "mobile number" in answers[-1].text
    await amina.write(code)
    assert await linked(engine) is None


async def test_a_chat_may_ask_for_so_many_codes_an_hour(amina: Person, engine: Engine):
    for _ in range(CODES_AN_HOUR):
        await amina.write(MSISDN)
    assert (await amina.write(MSISDN)).text.startswith("Too many tries")
    assert len(await codes(engine)) == CODES_AN_HOUR


async def test_the_code_of_one_chat_links_another_that_gave_the_number_too_and_only_one(
    amina: Person, engine: Engine, make_chats: MakeChats
):
    """Whoever holds the phone decides: the code proves the line, not the chat."""
    baraka = Person(make_chats(), BARAKA)
    await amina.write(MSISDN)
    await baraka.write(MSISDN)
    newest = (await codes(engine))[-1][1]
    await asyncio.gather(amina.write(newest), baraka.write(newest))
    owners = [await linked(engine, chat) for chat in (AMINA, BARAKA)]
    assert owners in ([MSISDN, None], [None, MSISDN])


async def test_the_same_message_twice_sends_one_code(amina: Person, engine: Engine, make_chats: MakeChats):
    other = Person(make_chats())
    await asyncio.gather(amina.write(MSISDN), other.write(MSISDN))
    await amina.again(make_chats())
    assert len(await codes(engine)) == 1


async def test_anything_else_asks_for_the_number_again(amina: Person):
    for text in ("hello", "12", "balance please"):
        assert "mobile number" in (await amina.write(text)).text


async def test_a_stranger_is_spoken_to_in_the_apps_language(make_chats: MakeChats, line: str):
    assert (await Person(make_chats(), language="sw-KE").command("start")).text.startswith("Andika namba")
    assert (await Person(make_chats(), BARAKA, language="de").command("start")).text.startswith("Write your")


async def test_redis_holds_neither_number_nor_code(amina: Person, engine: Engine, redis_client: Redis):
    await amina.write(MSISDN)
    [(_, code)] = await codes(engine)
    held = await everything_in(redis_client)
    assert b"link.code" in held
    for secret in (MSISDN[1:], MSISDN[4:], code, str(AMINA)):
        assert secret.encode() not in held
