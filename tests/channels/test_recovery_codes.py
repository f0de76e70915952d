"""The short code in a text leads back to the very screen: from its own line, once, never past the confirm screen."""

from __future__ import annotations

import re
from dataclasses import replace

import psycopg
import pytest

from channels.turn import Event
from engine.api import Engine
from engine.words import Subscriber
from tests.channels.conftest import Told
from tests.channels.doors import HASTY, SlowDoor, late
from tests.channels.phone import MSISDN, OTHER, Phone, Talk, money
from tests.engine.shop import credit

PRICE = 2_000


@pytest.fixture
async def poor_code(talk: Talk, engine: Engine, line: str, told: Told) -> str:
    """What is dialled to come back, as it stands in the text: a purchase came too late, and nothing was done."""
    subscriber = await engine.subscriber(line)
    await credit(engine, subscriber, 1_000)
    door = SlowDoor(engine)
    phone = Phone(talk(engine=door, profile=HASTY))
    await phone.dial("3*1")
    await late(phone)
    door.open.set()
    await phone.conversation.drain()
    (said,) = await told()
    assert said.startswith("Your balance is too low: KES 10.00 missing.\nTo continue, dial *123*")
    (found,) = re.findall(r"dial \*123\*(9\*[0-9]{4})#", said)
    return str(found)


@pytest.fixture
async def code(engine: Engine, line: str, poor_code: str) -> str:
    """The same, for who has recharged meanwhile."""
    await credit(engine, await engine.subscriber(line), 9_000)
    return poor_code


async def test_it_leads_to_the_confirm_screen_where_one_yes_buys(
    talk: Talk, engine: Engine, line: str, code: str
) -> None:
    phone = Phone(talk(), session_id="S2")
    confirm = await phone.dial(code)
    assert confirm.label == "bundles.confirm"
    assert await money(engine) == 10_000
    # What was refused stands under the old key: this is a try of its own.
    assert (await phone.say("1")).label == "bundles.done"
    assert await money(engine) == 10_000 - PRICE


async def test_a_yes_dialled_with_it_is_asked_for_on_the_screen(
    talk: Talk, engine: Engine, line: str, code: str
) -> None:
    assert (await Phone(talk(), session_id="S2").dial(f"{code}*1")).label == "bundles.confirm"
    assert await money(engine) == 10_000


async def test_it_leads_there_once(talk: Talk, line: str, code: str) -> None:
    await Phone(talk(), session_id="S2").dial(code)
    gone = await Phone(talk(), session_id="S3").dial(code)
    assert gone.label == "main_menu.home"
    assert gone.text.startswith("This code is not valid any more.")


async def test_who_dials_it_before_they_can_go_on_is_told_why_and_it_stays_good(
    talk: Talk, engine: Engine, line: str, poor_code: str
) -> None:
    short = await Phone(talk(), session_id="S2").dial(f"{poor_code}*1")
    assert short.label == "bundles.refused"
    assert short.text.startswith("Your balance is too low: KES 10.00 missing.")
    await credit(engine, await engine.subscriber(line), 9_000)
    assert (await Phone(talk(), session_id="S3").dial(poor_code)).label == "bundles.confirm"
    assert (await Phone(talk(), session_id="S4").dial(poor_code)).label == "main_menu.home"


async def test_the_session_that_used_it_and_was_lost_comes_to_the_same_screen(
    talk: Talk, engine: Engine, line: str, code: str, redis_client
) -> None:
    phone = Phone(talk(), session_id="S2")
    confirm = await phone.dial(code)
    await redis_client.flushall()
    assert (await phone.say("1")).text == confirm.text
    assert (await phone.say("1")).label == "bundles.done"
    assert await money(engine) == 10_000 - PRICE


async def test_from_another_line_it_leads_nowhere_and_stays_good(
    talk: Talk, engine: Engine, line: str, code: str
) -> None:
    await credit(engine, await engine.create_line(OTHER, language="en"), 50_000)
    assert (await Phone(talk(), OTHER, session_id="S2").dial(code)).label == "main_menu.home"
    assert (await Phone(talk(), session_id="S3").dial(code)).label == "bundles.confirm"


async def test_it_is_good_for_a_while_only(talk: Talk, line: str, code: str, owner: psycopg.Connection) -> None:
    owner.execute("UPDATE recovery_code SET expires_at = now()")
    assert (await Phone(talk(), session_id="S2").dial(code)).label == "main_menu.home"


async def test_codes_whose_time_is_over_are_forgotten_and_others_kept(
    engine: Engine, line: str, code: str, owner: psycopg.Connection
) -> None:
    assert await engine.places.tidy() == 0
    owner.execute("UPDATE recovery_code SET expires_at = now()")
    assert await engine.places.tidy() == 1


async def test_who_was_told_to_wait_and_dials_again_is_told_what_became_of_it(
    talk: Talk, engine: Engine, rich: Subscriber
) -> None:
    door = SlowDoor(engine)
    phone = Phone(talk(engine=door, profile=HASTY))
    await phone.dial("3*1")
    await late(phone)
    again = Phone(talk(), session_id="S2")
    assert (await again.dial()).label == "resume.question", "nobody knows yet"
    door.open.set()
    await phone.conversation.drain()
    assert (await again.say("1")).label == "bundles.confirm"
    assert (await again.say("1")).label == "bundles.done"
    assert await money(engine) == 100_000 - PRICE, "the same operation"
    assert (await Phone(talk(), session_id="S3").dial()).text.startswith("Done at ")


async def test_a_gateway_without_sessions_of_its_own_dials_it_too(talk: Talk, line: str, code: str) -> None:
    phone = Phone(talk(), MSISDN, session_id="S2")
    turn = replace(phone.turn(code, Event.NEW), gateway="arkesel", cumulative=False)
    assert (await phone.conversation.turn(turn)).label == "bundles.confirm"
