"""Who is answered by text and who is not; STOP and START; what is kept from everybody."""

from __future__ import annotations

from dataclasses import replace

import pytest
from redis.asyncio import Redis

from channels.text_turn import text_profile
from engine.api import Engine
from engine.words import LineStatus, Subscriber
from tests.channels.phone import MSISDN, OTHER, money
from tests.channels.texter import Texter, TextTalk

# --- who is answered ---


@pytest.mark.parametrize("sender", ["Safaricom", "40404", "MPESA", "", "+254", "1234567890123456"])
async def test_senders_that_are_no_telephone_numbers_are_never_answered(
    texting: TextTalk, line: str, sender: str
) -> None:
    shown = await Texter(texting(), msisdn=sender).text("BAL")
    assert shown.silent


@pytest.mark.parametrize(("sender", "label"), [(OTHER, "unknown_line"), ("+447700900123", "bad_number")])
async def test_strangers_get_one_clear_answer_and_then_silence(
    texting: TextTalk, line: str, sender: str, label: str
) -> None:
    texter = Texter(texting(), msisdn=sender)
    first = await texter.text("BAL")
    assert first.label == f"notice.{label}"
    assert "Help: 100" in first.text
    assert (await texter.text("BAL")).silent
    assert (await texter.text("MENU")).silent


async def test_a_closed_line_gets_one_answer(texting: TextTalk, engine: Engine) -> None:
    await engine.create_line(MSISDN, language="en", status=LineStatus.TERMINATED)
    texter = Texter(texting())
    assert (await texter.text("BAL")).text == "This line is closed. Help: 100"
    assert (await texter.text("BAL")).silent


async def test_a_machine_that_answers_every_text_is_soon_left_alone(texting: TextTalk, line: str) -> None:
    texter = Texter(texting())
    answers = [await texter.text("I am driving and will answer later") for _ in range(8)]
    assert [one.silent for one in answers] == [False] * 5 + [True] * 3


async def test_more_texts_than_anybody_reads_get_one_warning_and_then_silence(
    texting: TextTalk, engine: Engine, line: str, vouchers: list[str]
) -> None:
    texter = Texter(texting(profile=replace(text_profile(), hourly=3)))
    labels = [(await texter.text("BAL")).label for _ in range(3)]
    assert labels == ["balance.show"] * 3
    assert (await texter.text("BAL")).label == "notice.too_many"
    assert (await texter.text(f"RCH {vouchers[0]}")).silent
    assert await money(engine) == 0, "what is not answered is not done either"
    assert not (await Texter(texter.conversation, msisdn=MSISDN, app="other").text("BAL")).silent


# --- stop and start ---


async def test_stop_and_start_are_kept_and_confirmed(texting: TextTalk, engine: Engine, rich: Subscriber) -> None:
    texter = Texter(texting())
    assert "Text START" in (await texter.text("Stop!")).text
    assert (await engine.preferences(rich)).opted_out
    assert (await texter.text("BAL")).label == "balance.show", "an answer is not an advertisement"
    assert "Text STOP" in (await texter.text("ANZA")).text
    assert not (await engine.preferences(rich)).opted_out


async def test_what_the_carrier_took_for_stop_is_obeyed_and_not_answered_twice(
    texting: TextTalk, engine: Engine, rich: Subscriber
) -> None:
    texter = Texter(texting())
    assert (await texter.text("cancel", opt="stop")).silent
    assert (await engine.preferences(rich)).opted_out
    assert (await texter.text("yes", opt="start")).silent
    assert not (await engine.preferences(rich)).opted_out


async def test_stop_is_obeyed_even_when_it_is_answered_no_more(
    texting: TextTalk, engine: Engine, rich: Subscriber
) -> None:
    texter = Texter(texting(profile=replace(text_profile(), hourly=1)))
    for _ in range(3):
        await texter.text("BAL")
    assert (await texter.text("STOP")).silent
    assert (await engine.preferences(rich)).opted_out


# --- kept from everybody ---


async def test_neither_numbers_nor_pins_nor_vouchers_are_kept_or_logged(
    *,
    texting: TextTalk,
    guarded,
    engine: Engine,
    rich: Subscriber,
    vouchers: list[str],
    redis_client: Redis,
    capsys: pytest.CaptureFixture[str],
) -> None:
    await engine.set_pin(rich, "2580")
    texter = Texter(texting(operator=guarded))
    for typed in (f"RCH {vouchers[0]}", "2580", vouchers[1], "2580", f"what is {vouchers[2]}"):
        await texter.text(typed)
    stored = []
    for key in await redis_client.keys("*"):
        kind = await redis_client.type(key)
        stored += [key, str(await redis_client.hgetall(key)).encode() if kind == b"hash" else b""]
    everything = b"|".join(stored) + capsys.readouterr().out.encode()
    assert len(stored) >= 4
    for secret in (*vouchers[:3], "2580", MSISDN.lstrip("+")):
        assert secret.encode() not in everything
