"""The statements of mediation: blocks of lines in, records to charge out, what differs from what was charged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection

from engine.mediation.rules import CALLED, CLOCK_SKEW, LONGEST
from engine.mediation.tables import BatchState

Row = tuple[Any, ...]
Connection = AsyncConnection[Row]

#: Blocks are judged one after the other, whoever imports: each has to see what the one before it kept.
LOCK = "SELECT pg_advisory_xact_lock(hashtext('rasid.mediation'))"

STAGE_TABLE = """
    CREATE TEMP TABLE IF NOT EXISTS usage_staged (
        shard smallint, account_id uuid, line_id uuid, session_key uuid, rating_group bigint, started_at timestamptz,
        ended_at timestamptz, unit text, uplink bigint, downlink bigint, amount bigint, line bigint
    ) ON COMMIT DELETE ROWS"""

_LONGEST = f"make_interval(days => {LONGEST.days})"
_SKEW = f"make_interval(secs => {CLOCK_SKEW.total_seconds()})"

COPY = "COPY usage_staged FROM STDIN"

# What was charged online is found by the session's own key. It was going on while it was used, as far as clocks agree.
NAMED = f"""
    UPDATE usage_staged t SET session_key = o.session_id
    FROM session o
    WHERE o.shard = t.shard AND o.account_id = t.account_id AND o.interface = %(interface)s
      AND split_part(o.name, E'\\n', 2) = t.session_key::text
      AND o.opened_at <= t.ended_at + {_SKEW} AND coalesce(o.closed_at, 'infinity') >= t.started_at - {_SKEW}"""

# Of a session and rating group the records of one source follow each other: whichever begins where another is not over
# covers the same time twice. One look for each record finds the same one, those that overlap, and other sources' too.
# The latest start before a record's end may belong to a record that is over; one that is longer than all that follow it
# would be missed, so all of the months around are looked at, which are few. No record is longer than a month
# (``rules``): three partitions have to be searched, not all.
KEEP = f"""
    WITH judged AS (
        SELECT s.*, known.*,
               lag(s.started_at) OVER w = s.started_at AS again,
               lag(s.ended_at) OVER w AS last_end, lag(s.amount) OVER w AS last_amount,
               coalesce(max(s.ended_at) OVER (w ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) > s.started_at, FALSE)
               AS overlaps_here
        FROM usage_staged s
        CROSS JOIN LATERAL (
            SELECT min(r.ended_at) FILTER (WHERE ours AND r.started_at = s.started_at) AS known_end,
                   min(r.amount) FILTER (WHERE ours AND r.started_at = s.started_at) AS known_amount,
                   bool_or(ours AND r.started_at < s.ended_at AND r.ended_at > s.started_at) AS overlaps_known,
                   bool_or(NOT ours) AS told_elsewhere
            FROM usage_record r, LATERAL (SELECT r.source = %(source)s) AS o (ours)
            WHERE r.shard = s.shard AND r.account_id = s.account_id AND r.session_key = s.session_key
              AND r.rating_group = s.rating_group
              AND r.started_at BETWEEN s.started_at - {_LONGEST} AND s.started_at + {_LONGEST}
        ) known
        WINDOW w AS (PARTITION BY s.shard, s.account_id, s.session_key, s.rating_group ORDER BY s.started_at, s.line)
    ), told AS MATERIALIZED (
        SELECT j.*,
               CASE WHEN known_end IS NOT NULL
                    THEN CASE WHEN known_end = ended_at AND known_amount = amount THEN 'duplicate' ELSE 'conflict' END
                    WHEN again
                    THEN CASE WHEN last_end = ended_at AND last_amount = amount THEN 'duplicate' ELSE 'conflict' END
                    WHEN overlaps_here OR overlaps_known THEN 'overlap'
                    ELSE 'new' END AS verdict
        FROM judged j
    ), kept AS (
        INSERT INTO usage_record (shard, account_id, session_key, rating_group, source, started_at, ended_at, line_id,
                                  unit, uplink, downlink, amount, due, batch_id)
        SELECT t.shard, t.account_id, t.session_key, t.rating_group, %(source)s, t.started_at, t.ended_at, t.line_id,
               t.unit, t.uplink, t.downlink, t.amount,
               told_elsewhere IS NOT TRUE
               AND NOT EXISTS (SELECT FROM session o WHERE o.shard = t.shard AND o.account_id = t.account_id
                                                       AND o.session_id = t.session_key),
               %(batch_id)s
        FROM told t WHERE verdict = 'new'
    )
    SELECT line, verdict FROM told WHERE verdict <> 'new'"""

SET_ASIDE = """
    INSERT INTO usage_set_aside (file_id, line, reason, detail, sealed)
    SELECT %(file_id)s, *
    FROM unnest(%(lines)s::bigint[], %(reasons)s::text[], %(details)s::text[], %(sealed)s::bytea[])
    ON CONFLICT (file_id, line) DO UPDATE
    SET reason = excluded.reason, detail = excluded.detail, sealed = excluded.sealed"""

TAKEN_UP = "DELETE FROM usage_set_aside WHERE file_id = %(file_id)s AND line = ANY(%(lines)s::bigint[])"

# Whoever reads on from where somebody else has read meanwhile keeps nothing.
PROGRESS = """
    UPDATE usage_file
    SET lines = lines + %(lines)s, records = records + %(records)s, duplicates = duplicates + %(duplicates)s,
        set_aside = set_aside + %(set_aside)s
    WHERE file_id = %(file_id)s AND (%(read)s::bigint IS NULL OR lines = %(read)s)"""

GROW = "UPDATE usage_batch SET records = records + %(records)s WHERE batch_id = %(batch_id)s"

OPEN_FILE = """
    INSERT INTO usage_file (file_id, digest, name, source, interface, lines, records, duplicates, set_aside, started_at)
    VALUES (%(file_id)s, %(digest)s, %(name)s, %(source)s, %(interface)s, 0, 0, 0, 0, %(now)s)
    ON CONFLICT (digest) DO NOTHING"""

FILES = """
    SELECT file_id, name, source, interface, lines, records, duplicates, set_aside, started_at, finished_at
    FROM usage_file"""

OPEN_BATCH = f"""
    INSERT INTO usage_batch (batch_id, file_id, state, records, shard, account_id, staged_at)
    VALUES (%(batch_id)s, %(file_id)s, '{BatchState.STAGING}', 0, 0, '00000000-0000-0000-0000-000000000000', %(now)s)"""

BATCHES = f"""
    SELECT batch_id, state, records, shard, account_id, staged_at FROM usage_batch
    WHERE file_id = %(file_id)s AND state <> '{BatchState.DONE}' ORDER BY batch_id"""

_DUE = """
    FROM usage_record
    WHERE batch_id = %(batch_id)s AND due AND amount > 0 AND (shard, account_id) > (%(shard)s, %(account_id)s)"""

HOW_MANY = f"SELECT count(*) {_DUE}"

#: What is to be charged, line by line in the order of accounts; the records of a line come as columns. A batch's rows
#: lie together, so they are read and sorted once.
_IN_ORDER = "ORDER BY session_key, rating_group, started_at"
DUE = f"""
    SELECT shard, account_id, line_id, array_agg(session_key {_IN_ORDER}), array_agg(rating_group {_IN_ORDER}),
           array_agg(unit {_IN_ORDER}), array_agg(amount {_IN_ORDER}), array_agg(started_at {_IN_ORDER})
    {_DUE} GROUP BY shard, account_id, line_id ORDER BY shard, account_id, line_id"""

CHARGED_TO = "UPDATE usage_batch SET shard = %(shard)s, account_id = %(account_id)s WHERE batch_id = %(batch_id)s"

MOVE = "UPDATE usage_batch SET state = %(state)s WHERE batch_id = %(batch_id)s"

# Charged is what was charged online and what was charged from records, whichever source told them. A session of which
# the online side is forgotten is compared no more.
_COMPARE = """
    WITH asked AS ({scope}), told AS (
        SELECT r.shard, r.account_id, r.session_key, r.rating_group, r.source, min(r.unit) AS unit,
               sum(r.amount)::bigint AS stated, coalesce(sum(r.amount) FILTER (WHERE r.due), 0)::bigint AS due
        FROM asked a JOIN usage_record r USING (shard, account_id, session_key, rating_group)
        GROUP BY r.shard, r.account_id, r.session_key, r.rating_group, r.source
    ), charged AS (
        SELECT t.shard, t.account_id, t.session_key, t.rating_group,
               sum(t.due)::bigint + coalesce(max(o.used + o.overrun), 0) AS amount
        FROM told t
        LEFT JOIN reservation o ON o.shard = t.shard AND o.account_id = t.account_id AND o.session_id = t.session_key
                               AND o.rating_group = t.rating_group AND o.unit = t.unit
        GROUP BY t.shard, t.account_id, t.session_key, t.rating_group
    ), compared AS (
        SELECT t.*, c.amount AS charged FROM told t JOIN charged c USING (shard, account_id, session_key, rating_group)
    ), agreed AS (
        DELETE FROM usage_difference d USING compared c
        WHERE d.shard = c.shard AND d.account_id = c.account_id AND d.session_key = c.session_key
          AND d.rating_group = c.rating_group AND d.source = c.source AND c.stated = c.charged
    )
    INSERT INTO usage_difference AS d
        (shard, account_id, session_key, rating_group, source, unit, stated, charged, found_at)
    SELECT shard, account_id, session_key, rating_group, source, unit, stated, charged, %(now)s
    FROM compared WHERE stated <> charged
    ON CONFLICT (shard, account_id, session_key, rating_group, source) DO UPDATE
    SET stated = excluded.stated, charged = excluded.charged
    WHERE (d.stated, d.charged) IS DISTINCT FROM (excluded.stated, excluded.charged)"""

#: The sessions of a batch that others told of too.
COMPARE_BATCH = _COMPARE.format(
    scope="""SELECT DISTINCT shard, account_id, session_key, rating_group FROM usage_record
             WHERE batch_id = %(batch_id)s AND NOT due"""
)

#: Differences of sessions that may still be going on.
COMPARE_AGAIN = _COMPARE.format(
    scope="""SELECT DISTINCT d.shard, d.account_id, d.session_key, d.rating_group FROM usage_difference d
             JOIN session s ON s.shard = d.shard AND s.account_id = d.account_id AND s.session_id = d.session_key"""
)

FINISH = """
    UPDATE usage_file SET finished_at = %(now)s
    WHERE file_id = %(file_id)s AND finished_at IS NULL"""

DIFFERENCES = """
    SELECT session_key, rating_group, source, unit, stated, charged, found_at FROM usage_difference
    WHERE found_at >= %(since)s ORDER BY abs(stated - charged) DESC, session_key LIMIT %(most)s"""

WAITING = """
    SELECT file_id, line, reason, detail FROM usage_set_aside
    WHERE %(file_id)s::uuid IS NULL OR file_id = %(file_id)s::uuid ORDER BY file_id, line LIMIT %(most)s"""

SEALED = """
    SELECT line, sealed FROM usage_set_aside
    WHERE file_id = %(file_id)s AND line > %(after)s ORDER BY line LIMIT %(most)s"""


class Batch(NamedTuple):
    """A batch that is not charged to its end."""

    batch_id: UUID
    state: BatchState
    records: int
    shard: int
    account_id: UUID
    staged_at: Any


class Block(NamedTuple):
    """Some lines of a file as they are to be kept."""

    text: bytes
    #: records in ``text``
    rows: int
    #: (line, reason, detail, sealed)
    refused: list[tuple[int, str, str, bytes]]
    #: line → what was written in it
    fields: Mapping[int, Mapping[str, Any]]

    @property
    def lines(self) -> int:
        """Lines of the file that these are."""
        return len(self.fields)


async def stage(connection: Connection, block: Block) -> None:
    """Lay a block's records beside the books, for ``judge`` on the same connection and in the same transaction."""
    await connection.execute(STAGE_TABLE)
    async with connection.cursor().copy(COPY) as copy:
        await copy.write(block.text)


async def judge(connection: Connection, source: str, interface: str, batch_id: UUID) -> list[tuple[int, str]]:
    """Keep the records that are staged and new. Returns (line, verdict) of all others."""
    await connection.execute(LOCK)
    if interface in CALLED:
        await connection.execute(NAMED, {"interface": interface})
    cursor = await connection.execute(KEEP, {"source": source, "batch_id": batch_id})
    return [(line, verdict) for line, verdict in await cursor.fetchall()]
