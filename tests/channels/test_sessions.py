"""The session store on real Redis: locks, fencing, stored answers, and Redis going away."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from redis.asyncio import Redis

from channels.session import Session
from channels.sessions import SessionsDown, SessionStore, answer_life, connect
from channels.turn import Event, Turn
from dialogs.words import Place
from runtime.embedded.redis import EmbeddedRedis
from runtime.keyring import Keyring

LOCK_MS = 5_000


def turn(text: str = "", session_id: str = "S1", msisdn: str = "+254712345678") -> Turn:
    return Turn(
        channel="ussd", gateway="africastalking", session_id=session_id, msisdn=msisdn, text=text, cumulative=True
    )


async def answer(store: SessionStore, at: Turn, token: bytes | None, words: bytes, seen: int = 0):
    assert token is not None
    session = Session(Place(state="main_menu.home", data={"chosen": 3}), page=1, seen_length=seen, seen=store.hop(at))
    return await store.end(store.line(at), store.hop(at), token, answer=words, session=session, keep_seconds=180)


async def begin(store: SessionStore, at: Turn, lock_ms: int = LOCK_MS):
    return await store.begin(store.line(at), store.hop(at), lock_ms)


async def test_a_first_hop_takes_the_lock_and_finds_no_session(store: SessionStore) -> None:
    begun = await begin(store, turn())
    assert begun.token is not None
    assert begun.session is None
    assert begun.answer is None


async def test_an_answered_hop_comes_back_byte_for_byte(store: SessionStore) -> None:
    first = await begin(store, turn())
    await answer(store, turn(), first.token, b"\x00CON Karibu\xff")
    assert (await begin(store, turn())).answer == b"\x00CON Karibu\xff"


async def test_a_number_on_a_screen_is_not_to_be_read_in_redis_and_comes_back_all_the_same(
    store: SessionStore, redis_client: Redis
) -> None:
    shown = b"\x93CON Send KES 50.00 to +254712000009?"
    first = await begin(store, turn())
    await answer(store, turn(), first.token, shown)
    kept = [b"".join((await redis_client.hgetall(key)).values()) async for key in redis_client.scan_iter("session:*")]
    assert len(kept) == 1 and b"712000009" not in kept[0]
    assert (await begin(store, turn())).answer == shown
    assert (await answer(store, turn(), first.token, b"\x93late")).answer == shown


async def test_the_next_hop_finds_the_session_as_it_was_saved(store: SessionStore) -> None:
    first = await begin(store, turn("1"))
    await answer(store, turn("1"), first.token, b"a", seen=1)
    session = (await begin(store, turn("1*2"))).session
    assert session == Session(
        Place(state="main_menu.home", data={"chosen": 3}), page=1, seen_length=1, seen=store.hop(turn("1"))
    )


async def test_while_a_turn_runs_every_hop_of_the_line_is_held(store: SessionStore) -> None:
    await begin(store, turn("1"))
    for other in (turn("1"), turn("1*2"), turn("", session_id="S2"), turn("1", msisdn="254712345678")):
        held = await begin(store, other)
        assert held.token is None
        assert held.answer is None
    assert (await begin(store, turn("1", msisdn="+254712345679"))).token is not None


async def test_of_many_begins_at_once_exactly_one_takes_the_lock(store: SessionStore) -> None:
    begun = await asyncio.gather(*(begin(store, turn("1")) for _ in range(50)))
    assert sum(one.token is not None for one in begun) == 1


async def test_tokens_of_a_line_only_grow(store: SessionStore, redis_client: Redis) -> None:
    tokens = []
    for number in range(5):
        if number == 3:
            await redis_client.flushall()
        begun = await begin(store, turn(str(number)))
        assert begun.token is not None
        tokens.append(int(begun.token))
        await answer(store, turn(str(number)), begun.token, b"a")
    assert tokens == sorted(set(tokens))


async def test_a_stale_holder_gets_the_stored_answer_and_saves_nothing(store: SessionStore) -> None:
    stale = await begin(store, turn("1"), lock_ms=1)
    await asyncio.sleep(0.01)
    fresh = await begin(store, turn("1"))
    assert not (await answer(store, turn("1"), fresh.token, b"of the fresh one")).stale
    ended = await answer(store, turn("1"), stale.token, b"of the stale one")
    assert ended.answer == b"of the fresh one"
    assert (await begin(store, turn("1"))).answer == b"of the fresh one"


async def test_a_stale_holder_is_told_so_while_the_fresh_one_still_runs(store: SessionStore) -> None:
    stale = await begin(store, turn("1"), lock_ms=1)
    await asyncio.sleep(0.01)
    fresh = await begin(store, turn("1"))
    ended = await answer(store, turn("1"), stale.token, b"of the stale one")
    assert ended.stale
    assert ended.answer is None
    assert (await begin(store, turn("1"))).token is None, "the stale holder must not let the fresh one's lock go"
    assert not (await answer(store, turn("1"), fresh.token, b"of the fresh one")).stale


async def test_a_stale_holder_cannot_overwrite_what_a_later_hop_saved(store: SessionStore) -> None:
    stale = await begin(store, turn("1"), lock_ms=1)
    await asyncio.sleep(0.01)
    later = await begin(store, turn("1*2"))
    await answer(store, turn("1*2"), later.token, b"later", seen=3)
    assert (await answer(store, turn("1"), stale.token, b"earlier", seen=1)).stale
    session = (await begin(store, turn("1*2*3"))).session
    assert session is not None
    assert session.seen_length == 3


async def test_a_holder_whose_lock_ran_out_unnoticed_may_still_save(store: SessionStore) -> None:
    begun = await begin(store, turn("1"), lock_ms=1)
    await asyncio.sleep(0.01)
    assert not (await answer(store, turn("1"), begun.token, b"mine")).stale
    assert (await begin(store, turn("1"))).answer == b"mine"


async def test_a_released_hop_may_be_tried_again(store: SessionStore) -> None:
    begun = await begin(store, turn("1"))
    assert begun.token is not None
    await store.release(store.line(turn("1")), store.hop(turn("1")), begun.token)
    again = await begin(store, turn("1"))
    assert again.token is not None
    assert again.answer is None


async def test_a_closed_session_is_forgotten_but_its_answers_stay(store: SessionStore) -> None:
    first = await begin(store, turn("1"))
    await answer(store, turn("1"), first.token, b"a")
    await store.close(store.line(turn()))
    assert (await begin(store, turn("1"))).answer == b"a"
    assert (await begin(store, turn("1*2"))).session is None


async def test_a_session_outlives_the_gateways_own_by_ten_minutes(store: SessionStore, redis_client: Redis) -> None:
    begun = await begin(store, turn("1"))
    await answer(store, turn("1"), begun.token, b"a")
    left = await redis_client.pttl(store.line(turn()).session)
    assert (180 + 600 - 5) * 1000 < left <= (180 + 600) * 1000


async def test_both_keys_of_a_turn_lie_in_one_cluster_slot(store: SessionStore, redis_client: Redis) -> None:
    line = store.line(turn())
    tag = line.lock[line.lock.index("{") : line.lock.index("}") + 1]
    assert tag in line.session
    assert "254712345678" not in f"{line}"


async def test_a_session_of_another_release_counts_as_lost(store: SessionStore, redis_client: Redis) -> None:
    await redis_client.hset(store.line(turn()).session, mapping={"session": b"\xc1 not ours", "fence": "1"})
    begun = await begin(store, turn("1"))
    assert begun.token is not None
    assert begun.session is None


async def test_scripts_that_redis_forgot_are_loaded_again(store: SessionStore, redis_client: Redis) -> None:
    await redis_client.script_flush()
    begun = await asyncio.gather(*(begin(store, turn("1", msisdn=f"+25471234567{n}")) for n in range(5)))
    assert all(one.token is not None for one in begun)


async def test_a_dead_redis_is_noticed_and_a_restarted_one_is_used_again(state_dir: Path, keyring: Keyring) -> None:
    async with EmbeddedRedis(state_dir) as server:
        client = connect(server.url)
        store = SessionStore(client, keyring)
        await store.load()
        assert (await begin(store, turn())).token is not None
        server.kill()
        for _ in range(3):
            with pytest.raises(SessionsDown):
                await begin(store, turn())
        await server.start()
        async with asyncio.timeout(10):
            while True:
                try:
                    begun = await begin(store, turn("1"))
                    break
                except SessionsDown:
                    await asyncio.sleep(0.05)
        assert begun.token is not None
        await client.aclose()


async def test_a_redis_that_hangs_counts_as_down_and_no_answer_of_its_is_mistaken_later(
    state_dir: Path, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("channels.sessions.REST_SECONDS", 0.0)
    async with EmbeddedRedis(state_dir) as server:
        client = connect(server.url)
        store = SessionStore(client, keyring)
        begun = await begin(store, turn("1"))
        await answer(store, turn("1"), begun.token, b"of the first")
        assert server.pid is not None
        os.kill(server.pid, signal.SIGSTOP)
        with pytest.raises(SessionsDown):
            await begin(store, turn("1"))
        os.kill(server.pid, signal.SIGCONT)
        other = turn("1", session_id="S2", msisdn="+254712345679")
        assert (await begin(store, other)).token is not None
        assert (await begin(store, turn("1"))).answer == b"of the first"
        await client.aclose()


async def test_a_session_named_after_its_number_leaves_no_number_in_redis(
    store: SessionStore, redis_client: Redis
) -> None:
    at = turn(session_id="254712345678-1659")
    await answer(store, at, (await begin(store, at)).token, b"a")
    assert (await begin(store, at)).answer == b"a"
    assert (await begin(store, turn(session_id="254712345678-1660"))).answer is None
    assert not [key for key in await redis_client.keys("*") if b"712345678" in key]


async def test_where_hops_have_no_number_an_equal_one_is_a_retry_for_a_moment_only(
    store: SessionStore, redis_client: Redis
) -> None:
    at = Turn(channel="ussd", gateway="arkesel", session_id="S", msisdn="+254712345678", text="1", event=Event.RESUME)
    line, hop = store.line(at), store.hop(at)
    life = answer_life(at)
    assert life > 0
    assert answer_life(replace(at, event=Event.NEW)) == answer_life(replace(at, sequence="7")) == 0

    async def play(words: bytes) -> bytes | None:
        begun = await store.begin(line, hop, LOCK_MS, answer_us=life)
        if begun.token is not None:
            await store.end(
                line, hop, begun.token, answer=words, session=Session(Place()), keep_seconds=180, answer_us=life
            )
        return begun.answer

    assert await play(b"first") is None
    assert await play(b"second") == b"first"
    await redis_client.hincrby(line.session, b"at" + hop, -life)  # so much later
    assert await play(b"third") is None
    assert await play(b"fourth") == b"third"


async def test_what_is_dialled_and_what_is_typed_next_are_two_hops(store: SessionStore) -> None:
    dialled = Turn(channel="ussd", gateway="arkesel", session_id="S", msisdn="+254712345678", text="1", event=Event.NEW)
    assert store.hop(dialled) != store.hop(replace(dialled, event=Event.RESUME))
