"""Money by text moves once, and after the PIN where the operator says so."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis

import channels.sessions
from channels.sessions import SessionStore
from engine.api import Engine
from engine.words import Subscriber
from runtime.embedded.redis import EmbeddedRedis
from tests.channels.doors import BrokenDoor
from tests.channels.phone import FACE_VALUE, money
from tests.channels.texter import Texter, TextTalk

# --- the pin ---


async def test_the_pin_comes_before_money_where_the_operator_says_so(
    texting: TextTalk, guarded, engine: Engine, rich: Subscriber, vouchers: list[str]
) -> None:
    await engine.set_pin(rich, "2580")
    texter = Texter(texting(operator=guarded))
    asked = await texter.text("BUY 1")
    assert asked.label == "bundles.pin"
    assert asked.secret
    assert (await texter.text("1111")).text.startswith("Wrong PIN.")
    assert (await texter.text("2580")).label == "bundles.confirm"
    assert await money(engine) == 100_000
    await texter.text("1")
    assert await money(engine) == 98_000
    assert (await texter.text(f"RCH {vouchers[0]}")).label == "recharge.pin"
    assert await money(engine) == 98_000
    assert (await texter.text("2580")).label == "recharge.done", "the voucher number was the intent"
    assert await money(engine) == 98_000 + FACE_VALUE


async def test_who_leaves_a_recharge_for_a_bundle_is_asked_before_it_is_bought(
    texting: TextTalk, guarded, engine: Engine, rich: Subscriber, vouchers: list[str]
) -> None:
    await engine.set_pin(rich, "2580")
    texter = Texter(texting(operator=guarded))
    await texter.text(f"RCH {vouchers[0]}")
    labels = [(await texter.text(typed)).label for typed in ("00", "3", "1", "2580")]
    assert labels == ["main_menu.home", "bundles.list", "bundles.pin", "bundles.confirm"]
    assert await money(engine) == 100_000


# --- once ---


async def test_a_message_that_comes_twice_is_answered_with_the_stored_answer(
    texting: TextTalk, engine: Engine, rich: Subscriber
) -> None:
    texter = Texter(texting())
    await texter.text("BUY 1")
    done = await texter.text("1")
    assert await texter.again() == done
    assert await money(engine) == 98_000


async def test_a_voucher_text_that_comes_again_after_redis_lost_everything_recharges_once_with_the_same_answer(
    texting: TextTalk, engine: Engine, line: str, vouchers: list[str], redis_client: Redis
) -> None:
    texter = Texter(texting())
    done = await texter.text(f"RCH {vouchers[0]}")
    await redis_client.flushall()
    again = await texter.again()
    assert (again.text, again.label) == (done.text, "recharge.done")
    assert await money(engine) == FACE_VALUE


async def test_a_confirmation_repeated_after_a_failed_try_buys_once(
    texting: TextTalk, engine: Engine, rich: Subscriber
) -> None:
    broken = BrokenDoor(engine)
    broken.open.set()
    texter = Texter(texting(engine=broken))
    await texter.text("BUY 1")
    assert (await texter.text("1")).label == "notice.try_again"
    broken.broken = False
    assert (await texter.again()).label == "bundles.done"
    assert (await texter.again()).label == "bundles.done"
    assert await money(engine) == 98_000


async def test_copies_of_one_message_in_several_processes_at_once_have_one_effect_and_one_answer(
    texting: TextTalk, engine: Engine, line: str, vouchers: list[str]
) -> None:
    texter = Texter(texting())
    processes = [texting(), texting()]
    answers = await asyncio.gather(
        *(texter.send(f"RCH {vouchers[0]}", "same", processes[number % 2]) for number in range(8))
    )
    assert {(one.text, one.label) for one in answers} == {(answers[0].text, "recharge.done")}
    assert await money(engine) == FACE_VALUE


async def test_two_purchases_of_one_conversation_are_two(texting: TextTalk, engine: Engine, rich: Subscriber) -> None:
    texter = Texter(texting())
    for _ in range(2):
        await texter.text("BUY 1")
        assert (await texter.text("1")).label == "bundles.done"
    assert await money(engine) == 96_000


async def test_without_redis_keywords_are_served_and_a_repeated_voucher_counts_once(
    *, texting: TextTalk, engine: Engine, line: str, vouchers: list[str], keyring, state_dir
) -> None:
    server = EmbeddedRedis(state_dir)
    await server.start()
    client = channels.sessions.connect(server.url)
    texter = Texter(texting(store=SessionStore(client, keyring), redis=client))
    await texter.text("BAL")
    await server.stop()
    assert (await texter.text(f"RCH {vouchers[0]}")).label == "recharge.done"
    assert (await texter.again()).label == "recharge.done"
    assert (await texter.text("1")).label == "notice.text_ended"
    assert await money(engine) == FACE_VALUE
    await client.aclose()
