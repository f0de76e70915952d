"""What must always hold of sessions, gifts and advances."""

from __future__ import annotations

from engine.books.checks import Check

# What is held for sessions is what their open reservations say, bucket by bucket.
_RESERVED_LEGS = """
    WITH held AS (
        SELECT r.shard, r.account_id, CAST(leg->>0 AS uuid) AS bucket_id, sum(CAST(leg->>1 AS bigint)) AS amount
        FROM (SELECT * FROM reservation WHERE $touched) r, jsonb_array_elements(r.legs) AS leg
        GROUP BY r.shard, r.account_id, bucket_id
    ), marked AS (
        SELECT shard, account_id, bucket_id, reserved FROM bucket WHERE reserved > 0 AND $touched
    )
    SELECT shard, account_id, concat_ws(' ', 'bucket', bucket_id), coalesce(held.amount, 0),
           coalesce(marked.reserved, 0)
    FROM held FULL JOIN marked USING (shard, account_id, bucket_id)
    WHERE coalesce(held.amount, 0) <> coalesce(marked.reserved, 0)
"""

# Sweeping runs every minute and lets go at once what is beyond its grace; ten minutes later something is wrong.
_RESERVATION_ENDS = """
    SELECT shard, account_id, concat_ws(' ', 'session', session_id, 'group', rating_group), 'ended', expires_at
    FROM reservation WHERE state = 'open' AND expires_at < now() - interval '1 day' - interval '10 minutes' AND $touched
"""

# In one batch both sides of a gift are booked, and both of a roll-over.
_CLEARING = """
    SELECT NULL, NULL, concat_ws(' ', 'batch', batch_id, unit), sum(debits), sum(credits)
    FROM batch_total WHERE ledger = 'clearing' AND $recent GROUP BY batch_id, unit HAVING sum(debits) <> sum(credits)
"""

_ADVANCES = """
    WITH owed AS (
        SELECT shard, account_id, sum(open_amount) AS amount FROM advance WHERE $touched GROUP BY shard, account_id
    ), booked AS (
        SELECT shard, account_id, sum(CASE WHEN debit = 'advances' THEN amount ELSE -amount END) AS amount
        FROM transfer WHERE 'advances' IN (debit, credit) AND $touched GROUP BY shard, account_id
    )
    SELECT shard, account_id, 'advances', coalesce(booked.amount, 0), coalesce(owed.amount, 0)
    FROM owed FULL JOIN booked USING (shard, account_id)
    WHERE coalesce(booked.amount, 0) <> coalesce(owed.amount, 0)
"""

CHECKS = (
    Check("reserved_legs", "what a bucket has reserved is what open reservations hold of it", _RESERVED_LEGS),
    Check("reservation_ends", "no reservation stays open beyond its validity and grace", _RESERVATION_ENDS),
    Check("clearing", "what leaves one bucket for another arrives in the same batch", _CLEARING),
    Check("advances", "what is owed of advances is what the ledger says was lent and not repaid", _ADVANCES),
)
