"""What the processes of an installation say of themselves, read by the others."""

from __future__ import annotations

import json
import time

import pytest
from redis.asyncio import Redis

from channels.board import OtherVersion
from channels.editions import KEY, Word, board, served
from channels.health import KEY as CARRIERS, CarrierHealth


async def test_a_process_of_another_version_is_told_in_words(redis_client: Redis) -> None:
    await board(redis_client).say(Word("ussd_server host:1", "a1b2c3"))
    older = {"at": time.time(), "process": "bot host:2", "edition": "a1b2c3"}
    await redis_client.hset(KEY, "older", json.dumps(older))
    with pytest.raises(OtherVersion, match="another version"):
        await served(redis_client)


async def test_what_a_dead_process_of_another_version_said_grows_old_like_any_word(redis_client: Redis) -> None:
    await redis_client.hset(KEY, "older", json.dumps({"at": time.time() - 3600, "process": "bot host:2"}))
    assert await served(redis_client) == []
    assert await redis_client.hlen(KEY) == 0


async def test_of_carriers_nothing_is_known_while_another_version_speaks_of_them(redis_client: Redis) -> None:
    await redis_client.hset(CARRIERS, "older", json.dumps({"at": time.time(), "states": {}}))
    assert await CarrierHealth(redis_client).states() == {}
