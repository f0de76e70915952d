"""Pointer keys on real Redis: what a hop leaves out is found again, sealed, and lost without harm."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from channels.pointers import Pointers
from channels.sessions import SAME_SECONDS, connect
from channels.turn import Event, Turn
from runtime.keyring import Keyring

NUMBER = "+254712345678"


def turn(event: Event, **more: object) -> Turn:
    fields: dict[str, object] = {"session_id": "", "msisdn": "", "text": "", "gateway": "g"} | more
    return Turn(channel="ussd", event=event, **fields)  # type: ignore[arg-type]


@pytest.fixture
def pointers(redis_client: Redis, keyring: Keyring) -> Pointers:
    return Pointers(redis_client, keyring)


async def test_a_hop_without_number_gets_that_of_its_session(pointers: Pointers) -> None:
    await pointers.complete(turn(Event.NEW, session_id="s", msisdn=NUMBER, kept="7", pointed=True), 180)
    found = await pointers.complete(turn(Event.RESUME, session_id="s", pointed=True), 180)
    assert (found.msisdn, found.kept) == (NUMBER, "7")


async def test_the_same_session_id_at_another_gateway_is_another_session(pointers: Pointers) -> None:
    await pointers.complete(turn(Event.NEW, session_id="s", msisdn=NUMBER, pointed=True), 180)
    found = await pointers.complete(turn(Event.RESUME, session_id="s", pointed=True, gateway="h"), 180)
    assert found.msisdn == ""


async def test_a_gateway_that_sends_everything_leaves_nothing_in_redis(pointers: Pointers, redis_client: Redis) -> None:
    sent = turn(Event.NEW, session_id="s", msisdn=NUMBER)
    assert await pointers.complete(sent, 180) is sent
    assert await redis_client.keys("*") == []


async def test_a_session_without_id_is_named_once_and_found_by_the_number(pointers: Pointers) -> None:
    began = await pointers.complete(turn(Event.NEW, msisdn=NUMBER), 180)
    went_on = await pointers.complete(turn(Event.RESUME, msisdn=NUMBER.removeprefix("+")), 180)
    assert began.session_id
    assert went_on.session_id == began.session_id


async def test_a_start_repeated_at_once_is_the_same_session_and_later_another(
    pointers: Pointers, redis_client: Redis
) -> None:
    twins = await asyncio.gather(*(pointers.complete(turn(Event.NEW, msisdn=NUMBER), 180) for _ in range(5)))
    assert len({twin.session_id for twin in twins}) == 1
    (name,) = await redis_client.keys("*")
    await redis_client.pexpire(name, await redis_client.pttl(name) - int(SAME_SECONDS * 1000))  # so much later
    later = await pointers.complete(turn(Event.NEW, msisdn=NUMBER), 180)
    assert later.session_id != twins[0].session_id


async def test_a_numbered_start_comes_out_the_same_whenever_it_is_repeated(
    pointers: Pointers, redis_client: Redis
) -> None:
    first = await pointers.complete(turn(Event.NEW, msisdn=NUMBER, sequence="m1"), 180)
    await redis_client.flushall()
    again = await pointers.complete(turn(Event.NEW, msisdn=NUMBER, sequence="m1"), 180)
    other = await pointers.complete(turn(Event.NEW, msisdn=NUMBER, sequence="m2"), 180)
    assert again.session_id == first.session_id != other.session_id


@pytest.mark.parametrize("known_by", [{"session_id": "s", "pointed": True}, {}])
async def test_what_is_over_is_not_found_any_more(pointers: Pointers, known_by: dict[str, object]) -> None:
    await pointers.complete(turn(Event.NEW, msisdn=NUMBER, **known_by), 180)
    await pointers.forget(turn(Event.CLOSE, msisdn="" if known_by else NUMBER, **known_by))
    found = await pointers.complete(turn(Event.RESUME, msisdn="" if known_by else NUMBER, **known_by), 180)
    assert not (found.msisdn and found.session_id)


async def test_a_pointer_that_was_changed_is_not_believed(pointers: Pointers, redis_client: Redis) -> None:
    await pointers.complete(turn(Event.NEW, session_id="s", msisdn=NUMBER, pointed=True), 180)
    await pointers.complete(turn(Event.NEW, session_id="t", msisdn="+254712345679", pointed=True), 180)
    one, other = sorted(await redis_client.keys("pointer:*"))
    await redis_client.copy(one, other, replace=True)
    found = [
        await pointers.complete(turn(Event.RESUME, session_id=session, pointed=True), 180) for session in ("s", "t")
    ]
    assert sorted(turn.msisdn != "" for turn in found) == [False, True]


async def test_without_redis_nothing_is_found_and_nothing_raised(keyring: Keyring) -> None:
    nowhere = connect("redis://127.0.0.1:9/0")
    pointers = Pointers(nowhere, keyring)
    assert (await pointers.complete(turn(Event.NEW, msisdn=NUMBER), 180)).session_id == ""
    assert (await pointers.complete(turn(Event.RESUME, session_id="s", pointed=True), 180)).msisdn == ""
    await pointers.forget(turn(Event.CLOSE, session_id="s", pointed=True))
    await nowhere.aclose()
