"""What is due to a subscriber is found by looking at as much of its queue as is taken, however long it has become."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from engine.events import store
from tests.engine.events.receiver import subscribed

TAKEN, WAITING = 64, 3_000
LEASE = timedelta(seconds=60)
#: looks at the queue for each row that is taken: the row, its account's first, the row again as it is changed
LOOKS = 4

EVENTS = """
    INSERT INTO event (shard, account_id, event_id, topic, body, created_at, fanned_at)
    SELECT 0, gen_random_uuid(), gen_random_uuid(), 'provisioning.changed', '{}', now(), now()
    FROM generate_series(1, %s)"""
QUEUED = """
    INSERT INTO event_delivery (shard, account_id, subscription_id, event_id, state, attempts, due_at, made_at)
    SELECT shard, account_id, %s, event_id, 'due', 0, now(), now() FROM event"""
LOOKED_AT = """
    SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)
    FROM pg_stat_xact_user_tables WHERE relname = 'event_delivery'"""


def fill(owner, queue):
    """A queue that waits, of accounts that need not be there."""
    owner.execute("SET session_replication_role = replica")
    owner.execute(EVENTS, [WAITING])
    owner.execute(QUEUED, [queue])


@pytest.mark.parametrize("known", [True, False])
async def test_a_long_queue_is_read_as_far_as_it_is_taken_also_by_who_knew_it_empty(engine, owner, receiver, known):
    queue = (await subscribed(engine, receiver)).subscription_id
    owner.execute("VACUUM ANALYZE event, event_delivery")
    async with engine._database.connect() as connection:
        for _ in range(20):  # more often than Postgres plans anew
            assert await store.claim(connection, queue, TAKEN, datetime.now(UTC), LEASE) == []
            await connection.commit()
        fill(owner, queue)
        if known:
            owner.execute("VACUUM ANALYZE event, event_delivery")
        assert len(await store.claim(connection, queue, TAKEN, datetime.now(UTC), LEASE)) == TAKEN
        looked_at = await connection.scalar(sa.text(LOOKED_AT))
    assert looked_at <= LOOKS * TAKEN
