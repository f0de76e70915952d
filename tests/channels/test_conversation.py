"""Turns on the real engine, Postgres and Redis: one effect, whatever happens to the session."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
from redis.asyncio import Redis

from channels.sessions import SessionStore, connect
from channels.trace import TracePublisher
from channels.turn import Budget, Event, Profile
from engine.api import Engine
from runtime.embedded.redis import EmbeddedRedis
from runtime.keyring import Keyring
from tests.channels.phone import FACE_VALUE, MSISDN, OTHER, Phone, Talk, money


async def test_dialling_shows_the_menu(talk: Talk, line: str) -> None:
    reply = await Phone(talk()).dial()
    assert not reply.ends
    assert "1 Balance" in reply.text
    assert reply.label == "main_menu.home"


async def test_a_voucher_dialled_at_once_is_recharged_after_one_confirm_screen(
    talk: Talk, engine: Engine, line: str, vouchers: list[str]
) -> None:
    phone = Phone(talk())
    confirm = await phone.dial(vouchers[0])
    assert confirm.label == "recharge.confirm"
    assert await money(engine) == 0
    done = await phone.say("1")
    assert done.ends
    assert done.label == "recharge.done"
    assert await money(engine) == FACE_VALUE


async def test_the_same_by_menu(talk: Talk, engine: Engine, line: str, vouchers: list[str]) -> None:
    phone = Phone(talk())
    await phone.dial()
    assert (await phone.say("2")).label == "recharge.number"
    assert (await phone.say(vouchers[0])).label == "recharge.confirm"
    assert (await phone.say("1")).label == "recharge.done"
    assert await money(engine) == FACE_VALUE


async def test_a_retry_is_answered_byte_for_byte(talk: Talk, engine: Engine, line: str, vouchers: list[str]) -> None:
    phone, other = Phone(talk()), Phone(talk(), session_id="ATUid_2")
    menu = await phone.dial()
    await other.dial(vouchers[0])
    await other.say("1")
    assert await phone.send() == menu, "the balance has changed since, the answer must not"
    assert (await Phone(talk(), session_id="ATUid_3").dial()).text != menu.text


async def test_hops_of_one_confirm_at_the_same_time_have_one_effect_and_one_answer(
    talk: Talk, engine: Engine, line: str, vouchers: list[str]
) -> None:
    processes = [talk(), talk(), talk()]
    phone = Phone(processes[0])
    await phone.dial(vouchers[0])
    confirm = phone.turn(f"{phone.text}*1")
    replies = await asyncio.gather(*(processes[number % 3].turn(confirm) for number in range(12)))
    assert {(reply.text, reply.ends, reply.label) for reply in replies} == {(replies[0].text, True, "recharge.done")}
    assert await money(engine) == FACE_VALUE


async def test_redis_emptied_between_confirm_and_retry_gives_the_same_effect_once(
    talk: Talk, engine: Engine, line: str, vouchers: list[str], redis_client: Redis
) -> None:
    phone = Phone(talk())
    await phone.dial(vouchers[0])
    first = await phone.say("1")
    await redis_client.flushall()
    assert await phone.send() == first
    assert await money(engine) == FACE_VALUE


async def test_a_session_lost_from_redis_goes_on_where_it_stood(
    talk: Talk, engine: Engine, line: str, vouchers: list[str], redis_client: Redis
) -> None:
    phone = Phone(talk())
    await phone.dial()
    await phone.say("2")
    await phone.say(vouchers[0])
    await redis_client.flushall()
    # Nothing is known of the question any more, so the yes is asked for once more.
    assert (await phone.say("1")).label == "recharge.confirm"
    assert await money(engine) == 0
    assert (await phone.say("1")).label == "recharge.done"
    assert await money(engine) == FACE_VALUE


async def test_without_redis_a_cumulative_gateway_is_served_and_money_moves_once(
    talk: Talk, engine: Engine, vouchers: list[str], state_dir: Path, keyring: Keyring
) -> None:
    await engine.create_line(MSISDN, language="en")
    async with EmbeddedRedis(state_dir) as server:
        client = connect(server.url)
        phone = Phone(talk(store=SessionStore(client, keyring)))
        await phone.dial()
        server.kill()
        assert (await phone.say("2")).label == "recharge.number"
        assert (await phone.say(vouchers[0])).label == "recharge.confirm"
        done = await phone.say("1")
        assert done.label == "recharge.done"
        assert await phone.send() == done
        await client.aclose()
    assert await money(engine) == FACE_VALUE


async def test_a_hop_overtaken_by_the_next_one_does_not_move_the_session_back(talk: Talk, line: str) -> None:
    phone = Phone(talk())
    await phone.dial()
    await phone.conversation.turn(phone.turn("4"))
    onward = await phone.conversation.turn(phone.turn("4*1"))
    late = await phone.conversation.turn(phone.turn("3"))
    assert late.label == "bundles.list"
    assert await phone.conversation.turn(phone.turn("4*1")) == onward
    back = await phone.conversation.turn(phone.turn("4*1*0"))
    assert back.label == "account.home"


async def test_a_text_that_does_not_continue_the_last_one_is_played_from_the_start(talk: Talk, line: str) -> None:
    phone = Phone(talk())
    await phone.dial("4*1")
    reply = await phone.conversation.turn(phone.turn("3*0*2"))
    assert reply.label == "recharge.number"


@pytest.mark.parametrize(
    ("msisdn", "label"),
    [
        ("+254798765432", "notice.unknown_line"),
        ("+33612345678", "notice.bad_number"),
        ("+1", "notice.bad_number"),
        ("12", "notice.bad_number"),
    ],
)
async def test_a_number_we_do_not_serve_gets_an_end_screen_and_leaves_nothing(
    talk: Talk, redis_client: Redis, msisdn: str, label: str
) -> None:
    reply = await Phone(talk(), msisdn=msisdn).dial()
    assert reply.ends
    assert reply.label == label
    assert await redis_client.keys("*") == []


@pytest.mark.parametrize("text", ["1" * 2001, "*".join("1" * 41)])
async def test_a_text_that_is_no_dialogue_gets_an_end_screen(talk: Talk, line: str, text: str) -> None:
    phone = Phone(talk())
    reply = await phone.conversation.turn(phone.turn(text))
    assert reply.ends
    assert reply.label == "notice.bad_input"


async def test_what_cannot_be_gone_on_with_is_said_in_the_lines_language(talk: Talk, engine: Engine) -> None:
    await engine.create_line(OTHER, language="sw")
    phone = Phone(talk(), OTHER)
    lost = await phone.conversation.turn(replace(phone.turn("1", Event.RESUME), session_id="", cumulative=False))
    assert (lost.label, lost.text) == ("notice.session_lost", "Muda wako umekwisha. Tafadhali piga *123# tena.")
    unread = await phone.conversation.turn(phone.turn("1" * 2001))
    assert unread.label == "notice.bad_input"
    assert not unread.text.startswith("We could not read that.")


async def test_an_unknown_option_shows_the_screen_again(talk: Talk, line: str) -> None:
    phone = Phone(talk())
    menu = await phone.dial()
    again = await phone.say("77")
    assert again.label == menu.label
    assert again.text.endswith(menu.text)
    assert again.text != menu.text


async def test_pages_are_turned_by_98_and_back_by_0(talk: Talk, line: str) -> None:
    phone = Phone(talk(profile=Profile(budget=Budget(septets=60, ucs2=60))))
    await phone.dial()
    first = await phone.say("3")
    assert "98" in first.text
    second = await phone.say("98")
    assert second.text != first.text
    assert second.label == first.label
    assert (await phone.say("0")).text == first.text
    assert (await phone.say("0")).label == "main_menu.home"


async def test_turned_pages_survive_a_lost_session(talk: Talk, line: str, redis_client: Redis) -> None:
    phone = Phone(talk(profile=Profile(budget=Budget(septets=60, ucs2=60))))
    await phone.dial()
    first = await phone.say("3")
    await phone.say("98")
    await redis_client.flushall()
    assert (await phone.say("0")).text == first.text


async def test_a_closed_session_still_answers_a_retry(talk: Talk, line: str) -> None:
    phone = Phone(talk())
    menu = await phone.dial()
    await phone.conversation.turn(phone.turn("", Event.CLOSE))
    assert await phone.send() == menu


async def test_what_was_typed_and_who_typed_it_never_reach_redis(
    talk: Talk, engine: Engine, vouchers: list[str], redis_client: Redis
) -> None:
    await engine.create_line(MSISDN, language="en", pin="4711")
    phone = Phone(talk(publisher=TracePublisher(redis_client)))
    await phone.dial()
    await phone.say("2")
    await phone.say(vouchers[0])
    await phone.say("1")
    account = Phone(phone.conversation, session_id="ATUid_2")
    await account.dial("4*2*4711*9352*9352")
    held = await everything(redis_client)
    assert b"recharge.done" in held
    for secret in (MSISDN.lstrip("+"), MSISDN[4:], vouchers[0], "4711", "9352"):
        assert secret.encode() not in held, f"{len(secret)} digits of a secret are in Redis"


async def test_a_trace_tells_what_a_turn_did(
    talk: Talk, engine: Engine, line: str, vouchers: list[str], redis_client: Redis
) -> None:
    phone = Phone(talk(publisher=TracePublisher(redis_client)))
    await phone.dial(vouchers[0])
    await phone.say("1")
    await phone.send()
    dialled, confirmed, retried = [json.loads(item) for item in await redis_client.lrange("trace:ATUid_1", 0, -1)]
    assert dialled["operations"] == []
    assert set(confirmed["ms"]) == {"begin", "read", "dialog", "layout", "end"}
    assert retried["replayed"]
    assert retried["hop"] == confirmed["hop"]
    (operation,) = confirmed["operations"]
    account = (await engine.subscriber(MSISDN)).account
    assert operation["account"] == [account.shard, str(account.account_id)]


async def everything(client: Redis) -> bytes:
    """Every key and value that Redis holds, in one."""
    parts: list[bytes] = []
    async for name in client.scan_iter():
        parts.append(name)
        kind = await client.type(name)
        if kind == b"hash":
            for field, value in (await client.hgetall(name)).items():
                parts += [field, value]
        elif kind == b"list":
            parts += await client.lrange(name, 0, -1)
        elif kind == b"string":
            parts.append(await client.get(name))
        else:
            raise AssertionError(f"look into {kind!r} too")
    return b"\n".join(parts)
