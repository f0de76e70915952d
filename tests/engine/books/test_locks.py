"""Accounts are locked in one order everywhere, so that no two batches ever wait for each other."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from engine.api import Engine
from tests.engine.balances.test_gifts import gift
from tests.engine.shop import open_line
from tests.waiting import somebody_waits_for_a_lock

LOCK = "SELECT FROM account WHERE (shard, account_id) = (%s, %s) FOR NO KEY UPDATE"


@pytest.mark.parametrize("giver", [0, 1])
async def test_the_account_with_the_lower_key_is_locked_first_whichever_of_both_gives(
    charging: Engine, database_url: str, giver: int
) -> None:
    lines = sorted([await open_line(charging, money=10_000) for _ in range(2)], key=lambda one: one.account)
    lower, higher = (one.account for one in lines)
    with psycopg.connect(database_url) as holder, psycopg.connect(database_url) as onlooker:
        holder.execute(LOCK, lower)
        giving = asyncio.create_task(charging.post(gift(lines[giver], lines[1 - giver], 500)))
        await somebody_waits_for_a_lock(database_url)
        # It holds nothing that whoever holds the lower one might want.
        onlooker.execute(f"{LOCK} NOWAIT", higher)
        onlooker.rollback()
        holder.rollback()
        assert (await giving).ok
