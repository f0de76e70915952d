"""Chats of linked lines: words, commands and links, secrets, groups and unlinking."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from channels.chats import commands
from dialogs.chats import chat_texts
from dialogs.texts import Texts
from engine.api import Engine
from engine.words import Subscriber
from settings import Operator
from tests.channels.chat.person import AMINA, BUNDLE, MONEY, Person, everything_in, labels, to_confirm
from tests.channels.phone import FACE_VALUE, money

# --- typing, commands, links ---


async def test_words_and_numbers_are_understood_as_in_texts(amina: Person):
    assert (await amina.write("salio")).text.startswith("Balance")
    await amina.command("menu")
    assert (await amina.write("3")).text.startswith("Bundles")


@pytest.mark.parametrize(
    ("command", "rest", "begins"),
    [
        ("balance", "", "Balance:"),
        ("recharge", "", "Enter the voucher number"),
        ("language", "", "Language"),
        ("buy", "1", f"Buy {BUNDLE}"),
        ("start", "buy_1", f"Buy {BUNDLE}"),
        ("start", "buy_data_day_100mb", f"Buy {BUNDLE}"),
        ("start", "balance", "Balance:"),
        ("start", "something_else", "Rasid Kenya"),
        ("help", "", "Tap a button"),
        ("nonsense", "", "We did not understand"),
    ],
)
async def test_a_command_or_link_leads_straight_there(amina: Person, command: str, rest: str, begins: str):
    assert (await amina.command(command, rest)).text.startswith(begins)


async def test_a_language_chosen_here_is_spoken_at_once(amina: Person):
    await amina.command("language")
    answer = await amina.tap("Kiswahili")
    assert labels(answer) == ["Menyu"]


def test_every_command_is_explained_in_every_language(operator: Operator, texts: Texts):
    told = commands(texts)
    assert set(told) == {"", *operator.languages}
    assert all(1 <= len(what) <= 256 for known in told.values() for _, what in known)
    assert dict(told["sw"])["menu"] == "Menyu"


def test_what_is_said_in_chats_is_translated(operator: Operator, texts: Texts):
    english = {name: texts.say("en", said) for name, said in chat_texts(operator).items()}
    swahili = {name: texts.say("sw", said) for name, said in chat_texts(operator).items()}
    assert not {name for name in english if english[name] == swahili[name]}


# --- secrets ---


async def test_a_voucher_number_is_recharged_and_taken_out_of_the_chat(
    amina: Person, engine: Engine, vouchers: list[str]
):
    await amina.command("recharge")
    confirm = await amina.write(vouchers[0])
    assert confirm.deletes and vouchers[0] not in confirm.text
    await amina.tap("Recharge")
    assert await money(engine) == MONEY + FACE_VALUE


async def test_whatever_is_written_where_a_secret_is_asked_for_is_taken_out(amina: Person):
    await amina.command("recharge")
    assert (await amina.write("my number is hidden")).deletes
    await amina.command("menu")
    assert not (await amina.write("3")).deletes


@pytest.mark.parametrize(
    "text", ["1234", "12 34", "1234 5678 9012 34", "RCH 12345678901234", "pay 1234567890 now", "١٢٣٤"]
)
async def test_what_looks_like_a_secret_is_taken_out_wherever_it_is_written(amina: Person, text: str):
    assert (await amina.write(text)).deletes


@pytest.mark.parametrize("text", ["1", "00", "BUY 2", "hello 2024"])
async def test_what_does_not_stays(amina: Person, text: str):
    await amina.command("menu")
    assert not (await amina.write(text)).deletes


async def test_nothing_in_redis_tells_the_chat_the_number_or_the_secret(
    amina: Person, redis_client: Redis, vouchers: list[str], linked: Subscriber
):
    await amina.command("recharge")
    await amina.write(vouchers[0])
    held = await everything_in(redis_client)
    assert b"recharge.confirm" in held
    for secret in (vouchers[0], linked.msisdn.lstrip("+"), str(AMINA)):
        assert secret.encode() not in held


# --- groups, unlinking ---


async def test_a_group_is_told_once_where_to_write(amina: Person):
    answer = await amina.write("balance", private=False)
    assert "chat of our own" in answer.text and "KES" not in answer.text
    assert await amina.write("balance", private=False) is None


async def test_a_number_is_taken_out_of_the_chat_once_that_is_confirmed(amina: Person, engine: Engine):
    asked = await amina.command("unlink")
    assert labels(asked) == ["Take it out", "Keep it"]
    assert "My account" in labels(await amina.tap("Keep it"))
    assert await engine.linked("telegram", str(AMINA)) is not None
    assert "taken out" in (await amina.tap("Take it out", on=asked)).text
    assert await engine.linked("telegram", str(AMINA)) is None


async def test_buttons_of_a_chat_that_was_unlinked_ask_for_the_number(amina: Person, engine: Engine):
    await to_confirm(amina)
    await engine.unlink("telegram", str(AMINA))
    answer = await amina.tap("Buy")
    assert "mobile number" in answer.text
    assert await money(engine) == MONEY
