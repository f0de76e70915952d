"""The SQL of payments: opening them, what is heard of them, their turns, and what is due.

Payments are locked in the order of their key, after their account where both are locked; then locators are entered, in
the order of theirs. Everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection, AsyncCursor

from engine.accounts.tables import line
from engine.books.tables import outbox
from engine.events import alarms
from engine.events.tables import event
from engine.favourites.tables import recharged_other
from engine.payments.names import Locator
from engine.payments.stored import Stored
from engine.payments.tables import gateway_event, payment, payment_event, payment_locator
from engine.storage.bulk import arrays, insert_sql, unfolded, update_sql

Row = tuple[Any, ...]
Connection = AsyncConnection[Row]
Key = tuple[int, UUID, UUID]

STORED = ", ".join(f"p.{name}" for name in Stored._fields)
KEY = ("shard", "account_id", "payment_id")
_GIVEN = unfolded(payment, KEY, numbered=True)

LOCATED = ("shard", "digest", "owner_shard", "account_id", "payment_id")
EVIDENCE = ("shard", "account_id", "payment_id", "event_id", "state", "what", "body", "at")
_CHANGING = "state reason next_check_at gateway_ref asked_ref captured captured_currency gateway requested_at attempts"
_TURNED = (*KEY, *_CHANGING.split(), "changed_at")
_HEARD = (
    "shard",
    "digest",
    "gateway",
    "event_id",
    "payload_hash",
    "body",
    "sealed",
    "received_at",
    "next_check_at",
    "done_at",
    "refused",
)
_ABOUT = ("payment_id", "asked_at")
_TOLD = ("shard", "message_id", "account_id", "line_id", "topic", "body", "priority", "due_at", "created_at")

_INSERT_LOCATORS = f"{insert_sql(payment_locator, LOCATED)} ON CONFLICT DO NOTHING"
# A name that several payments were opened under is marked, by a row beside it: what it finds would be a stranger's.
MARK = r"'\x01'::bytea"
INSERT_EVIDENCE = f"{insert_sql(payment_event, EVIDENCE)} ON CONFLICT DO NOTHING"
# A message is for the line that has asked for the payment, where that is another one.
_INSERT_MESSAGES = f"""
    INSERT INTO outbox ({", ".join(_TOLD)})
    SELECT coalesce(r.shard, m.shard), m.message_id, coalesce(r.account_id, m.account_id),
        coalesce(r.line_id, m.line_id), m.topic, m.body::jsonb, m.priority, m.due_at, m.created_at
    FROM (SELECT * FROM {unfolded(outbox, _TOLD, numbered=True)}) m
    JOIN {unfolded(recharged_other, _ABOUT, numbered=True)} USING (place)
    LEFT JOIN recharged_other r ON r.payment_id = v.payment_id AND r.asked_at = v.asked_at
    ON CONFLICT DO NOTHING"""
_INSERT_HEARD = insert_sql(gateway_event, _HEARD)
_INSERT_NAMES = insert_sql(payment_locator, LOCATED)
_INSERT_ALARMS = insert_sql(event, alarms.COLUMNS)
_UPDATE_PAYMENTS = update_sql(payment, _TURNED)

READ = f"SELECT v.place, {STORED} FROM {_GIVEN} JOIN payment p USING (shard, account_id, payment_id)"
_LOCK = f"{READ} ORDER BY p.shard, p.account_id, p.payment_id FOR NO KEY UPDATE OF p"

_HOLDERS = f"""
    SELECT v.place, a.currency, a.key_id, a.wrapped_key, l.status
    FROM {unfolded(line, ("shard", "account_id", "line_id"), numbered=True)}
    JOIN account a USING (shard, account_id) LEFT JOIN line l USING (shard, account_id, line_id)"""

_OWNERS = f"""
    SELECT v.place, l.owner_shard, l.account_id, l.payment_id
    FROM {unfolded(payment_locator, ("shard", "digest"), placed=True)} JOIN payment_locator l USING (shard, digest)"""

_LOCATE = f"""
    SELECT v.place, {STORED}
    FROM {unfolded(payment_locator, ("shard", "digest"), placed=True)}
    JOIN payment_locator l ON l.shard = v.shard AND l.digest = v.digest
    JOIN payment p ON p.shard = l.owner_shard AND p.account_id = l.account_id AND p.payment_id = l.payment_id
    WHERE NOT EXISTS (SELECT FROM payment_locator m WHERE m.shard = v.shard AND m.digest = v.digest || {MARK})"""

_LOCK_LOCATED = f"""
    SELECT {STORED} FROM {unfolded(payment_locator, ("shard", "digest"))}
    JOIN payment_locator l ON l.shard = v.shard AND l.digest = v.digest
    JOIN payment p ON p.shard = l.owner_shard AND p.account_id = l.account_id AND p.payment_id = l.payment_id
    ORDER BY p.shard, p.account_id, p.payment_id FOR NO KEY UPDATE OF p SKIP LOCKED"""

_SEEN = f"""
    SELECT v.place, e.payload_hash, e.done_at IS NOT NULL
    FROM {unfolded(gateway_event, ("shard", "digest"), numbered=True)} JOIN gateway_event e USING (shard, digest)"""

# Who paid, and what they typed, stands with the payment from here on.
_FINISH = f"""
    UPDATE gateway_event t SET done_at = %(done_at)s, sealed = NULL, refused = v.refused
    FROM {unfolded(gateway_event, ("shard", "digest", "refused"))}
    WHERE t.shard = v.shard AND t.digest = v.digest AND t.done_at IS NULL"""


class Holder(NamedTuple):
    """The account that a payment is for. ``wrapped_key`` is None once its person was erased."""

    currency: str
    key_id: int
    wrapped_key: bytes | None
    #: of the line; None where the account has no such line
    status: str | None


class Heard(NamedTuple):
    """One event as the inbox keeps it."""

    shard: int
    digest: bytes
    gateway: str
    event_id: str
    payload_hash: bytes
    #: JSON, or None of what was refused
    body: str | None
    sealed: str | None
    received_at: datetime
    next_check_at: datetime | None
    done_at: datetime | None
    refused: str | None


class Waiting(NamedTuple):
    """An event whose taker is gone."""

    shard: int
    digest: bytes
    gateway: str
    event_id: str
    body: dict[str, Any] | None
    sealed: str | None
    received_at: datetime


async def ask(connection: Connection, sql: str, parameters: dict[str, Any]) -> AsyncCursor[Row]:
    """Send a statement whose answer comes in Postgres's binary format."""
    cursor = connection.cursor(binary=True)
    await cursor.execute(sql, parameters)
    return cursor


def place_of(row: Sequence[Any]) -> tuple[int, bytes]:
    """In the order of shard and digest: that in which rows are locked."""
    return (row[0], row[1])


async def holders(connection: Connection, lines: Sequence[tuple[int, UUID, UUID | None]]) -> list[Holder | None]:
    """The accounts of these lines, in their order; None for one that does not exist."""
    asked = arrays(line, ("shard", "account_id", "line_id"), lines)
    cursor = await ask(connection, _HOLDERS, asked)
    found: list[Holder | None] = [None] * len(lines)
    for place, *row in await cursor.fetchall():
        found[place - 1] = Holder(*row)
    return found


class Inspected(NamedTuple):
    """What the database knows of events that have come."""

    #: by place: payload hash and whether it is done, of those that are stored
    seen: dict[int, tuple[bytes, bool]]
    #: payments, each with the number that its locator was given
    located: list[tuple[int, Stored]]
    #: those that were to be locked and are
    locked: dict[Key, Stored]


async def inspect(
    connection: Connection, heard: Sequence[Heard], wanted: Sequence[tuple[int, Locator]], locking: Sequence[Locator]
) -> Inspected:
    """Look events up and find payments, and lock those found under ``locking`` that nobody else has, in one round trip.

    Whoever calls commits.
    """
    keys = [(one.shard, one.digest) for one in heard]
    owners = [(one.shard, one.digest) for one in locking]
    async with connection.pipeline():
        seen = await ask(connection, _SEEN, arrays(gateway_event, ("shard", "digest"), keys))
        found = await _located(connection, wanted)
        locked = await ask(connection, _LOCK_LOCATED, arrays(payment_locator, ("shard", "digest"), owners))
    known = {place - 1: (kept, done) for place, kept, done in await seen.fetchall()}
    mine = [Stored(*row) for row in await locked.fetchall()]
    return Inspected(known, await _all_located(found), {one.key: one for one in mine})


async def keep_heard(
    connection: Connection, heard: Sequence[Heard], named: Sequence[tuple[Locator, Key]], turns: Turns, now: datetime
) -> None:
    """Store events and names that are new, and what was decided, and commit: one round trip.

    Raises ``UniqueViolation`` where somebody else stored one of them meanwhile.
    """
    names = sorted((one.shard, one.digest, *key) for one, key in named)
    async with connection.pipeline():
        if heard:
            await ask(connection, _INSERT_HEARD, arrays(gateway_event, _HEARD, sorted(heard, key=place_of)))
        if names:
            await ask(connection, _INSERT_NAMES, arrays(payment_locator, LOCATED, names))
        await _send(connection, turns, now)
        await connection.commit()


async def locate(connection: Connection, wanted: Sequence[tuple[int, Locator]]) -> list[tuple[int, Stored]]:
    """The payments found under locators, each with the number that its locator was given."""
    return await _all_located(await _located(connection, wanted))


async def _located(connection: Connection, wanted: Sequence[tuple[int, Locator]]) -> AsyncCursor[Row]:
    asked = arrays(payment_locator, ("shard", "digest"), [(one.shard, one.digest) for _, one in wanted])
    return await ask(connection, _LOCATE, asked | {"place": [number for number, _ in wanted]})


async def _all_located(cursor: AsyncCursor[Row]) -> list[tuple[int, Stored]]:
    return [(row[0], Stored(*row[1:])) for row in await cursor.fetchall()]


async def lock(
    connection: Connection, keys: Sequence[Key], names: Sequence[tuple[int, Locator]]
) -> tuple[list[Stored | None], dict[int, Key]]:
    """Lock payments and enter names for them (number of the payment, name). Returns them and who owns each name.

    A payment that does not exist is None.
    """
    claimed = sorted((name.shard, name.digest, *keys[number]) for number, name in names)
    asked = arrays(payment_locator, ("shard", "digest"), [(name.shard, name.digest) for _, name in names])
    async with connection.pipeline():
        locked = await ask(connection, _LOCK, arrays(payment, KEY, keys))
        await ask(connection, _INSERT_LOCATORS, arrays(payment_locator, LOCATED, claimed))
        owners = await ask(connection, _OWNERS, asked | {"place": [number for number, _ in names]})
    found: list[Stored | None] = [None] * len(keys)
    for place, *row in await locked.fetchall():
        found[place - 1] = Stored(*row)
    return found, {number: (shard, owner, one) for number, shard, owner, one in await owners.fetchall()}


#: shard and digest of an event that is done, and why it has no effect
Finished = tuple[int, bytes, str | None]


class Turns(NamedTuple):
    """What one batch of turns writes: rows by their columns."""

    payments: list[Row]
    evidence: list[Row]
    #: each with the payment that it is about, and when that was asked for
    messages: list[tuple[Row, Row]]
    finished: list[Finished]
    #: names of alarms, each with its facts
    alarms: list[tuple[str, dict[str, Any]]]


async def keep_turns(connection: Connection, turns: Turns, now: datetime) -> None:
    """Write what was decided, and commit."""
    async with connection.pipeline():
        await _send(connection, turns, now)
        await connection.commit()


async def _send(connection: Connection, turns: Turns, now: datetime) -> None:
    if turns.payments:
        await ask(connection, _UPDATE_PAYMENTS, arrays(payment, _TURNED, turns.payments))
    if turns.evidence:
        await ask(connection, INSERT_EVIDENCE, arrays(payment_event, EVIDENCE, turns.evidence))
    if turns.messages:
        messages, about = zip(*turns.messages, strict=True)
        rows = arrays(outbox, _TOLD, messages) | arrays(recharged_other, _ABOUT, about)
        await ask(connection, _INSERT_MESSAGES, rows)
    if turns.alarms:
        told = [alarms.row(*one, now) for one in turns.alarms]
        await ask(connection, _INSERT_ALARMS, arrays(event, alarms.COLUMNS, told))
    if turns.finished:
        columns = ("shard", "digest", "refused")
        given = arrays(gateway_event, columns, sorted(turns.finished, key=place_of))
        await ask(connection, _FINISH, given | {"done_at": now})
